"""
What the sub-command `local` alone needs. Only this package may import the local stack (ops.local) and ops.tools.

    up        the stack that `reminders local up` holds open
    sam       `sam local invoke` on the local stack
    invoke    the sub-command `reminders local invoke`
    events    the sample events of infra/events, completed
"""
