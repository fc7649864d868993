"""
The ReminderSchedulerService: which reminders are due, and their dispatch.

`work` has the words, `service` does it next to the database, `client` reaches the service, and `fanout`
calls all shards until they are done.
"""
