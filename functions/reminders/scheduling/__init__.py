"""
The ReminderSchedulerService: which reminders are due, and their dispatch.

`work` has the requests and results, `service` does the work next to the database, `client` calls the service, and
`fanout` calls all shards until they are done.
"""
