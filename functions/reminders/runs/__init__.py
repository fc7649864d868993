"""
A run, from the event that asks for it to its settled row in the ledger.

`events` reads what was asked for, `lifecycle` is the story, `lock` and `ledger` are what it stands on.
"""

JOB_NAME = "assignment-reminder-cron"
