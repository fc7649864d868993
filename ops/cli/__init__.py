"""
The `reminders` command, for operators.

    commands/     one module per command: its options and its output
    targets/      what it works on: a deployed stack, the local stack, or a bare database
    local/        what the sub-command `local` alone needs
    local_state   how the other commands find the local stack
    ledger        the operator's queries (operator.sql)
    schedules     EventBridge Scheduler: read, pause, resume, next scheduled time
    health        what `status` concludes
    doctor/       the checks, each with its fix
    output        tables, JSON, progress, questions
    errors        sentences and exit codes

It is not part of the Lambda artifact, and the functions do not import it.
"""
