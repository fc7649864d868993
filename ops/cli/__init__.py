"""The `reminders` command, for operators. It is not part of the Lambda artifacts: the functions do not import it."""
