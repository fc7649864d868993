"""
The `reminders` command: what an operator holds in hand.

    commands/     one module a command: options, the question, the words      (thin, like the handlers)
    targets       what it works on: the local stack, a deployed one, or a bare database
    local_state   how `local up` tells the other commands where it is
    ledger        what the operator asks the database (operator.sql)
    schedules     EventBridge Scheduler: read, pause, resume, next tick
    health        what `status` concludes
    doctor/       the checks, each with its fix
    output        tables, JSON, progress, questions
    errors        sentences and exit codes

It is no part of the Lambda artifact, and the functions know nothing of it.
"""
