"""
A run, from the event that asks for it to its settled row in the ledger.

`events` parses the event, `lifecycle` has the steps of a run, and uses `lock` and `ledger`.
"""

JOB_NAME = "assignment-reminder-cron"
