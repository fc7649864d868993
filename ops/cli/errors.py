"""Errors of the command: a sentence, what to do about it, and an exit code."""

from __future__ import annotations

from reminders.aws_errors import error_code

DONE = 0
UNHEALTHY = 1
WRONG_USE = 2
UNREACHABLE = 3
NOT_CONFIRMED = 4
INTERRUPTED = 130

MEANINGS = {
    DONE: "done; status and doctor: healthy",
    UNHEALTHY: "the command ran and failed, or found problems",
    WRONG_USE: "wrong use, nothing was done",
    UNREACHABLE: "the database or AWS cannot be reached, so the state is unknown",
    NOT_CONFIRMED: "not confirmed, nothing was done",
    INTERRUPTED: "interrupted by Ctrl-C",
}

# undefined_table, undefined_function, undefined_column, insufficient_privilege
SCHEMA_DIFFERS = {"42P01", "42883", "42703", "42501"}


class CliError(Exception):
    """A sentence for the operator. `hint` says what to do; `code` is the exit code."""

    def __init__(self, message: str, hint: str = "", code: int = UNHEALTHY) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


def expected(error: Exception) -> CliError | None:
    """An error with a text for users: one of this project, or of boto3 or psycopg by class and code; else None."""
    from botocore.exceptions import BotoCoreError, ClientError
    from psycopg import Error as PostgresError

    from ops.migrations import MigrationError
    from reminders import database
    from reminders.errors import DatabaseError, DatabaseUnavailable, ReminderError

    if isinstance(error, PostgresError):
        error = database.translate_error(error)
    if isinstance(error, CliError):
        return error
    if isinstance(error, DatabaseUnavailable):
        return CliError(f"{str(error)[:1].upper()}{str(error)[1:]}.", error.hint, UNREACHABLE)
    if isinstance(error, DatabaseError) and error.sqlstate in SCHEMA_DIFFERS:
        return CliError(str(error), "Are the migrations applied? `reminders migrate --check` shows it.")
    if isinstance(error, ReminderError | MigrationError):
        return CliError(str(error))
    return _of_aws(error) if isinstance(error, BotoCoreError | ClientError) else None


def _of_aws(error: Exception) -> CliError:
    """By name: most are about credentials and the region."""
    kind = type(error).__name__
    code = error_code(error)
    operation = getattr(error, "operation_name", "")
    if kind in {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "TokenRetrievalError"}:
        hint = "Log in first (AWS_PROFILE, or your company's sign-in)."
        return CliError("There are no usable AWS credentials.", hint, UNREACHABLE)
    if kind == "NoRegionError":
        return CliError("No AWS region is set.", "Set AWS_REGION to the region of the stack.", UNREACHABLE)
    if kind in {"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"}:
        return CliError(f"AWS cannot be reached ({kind}).", "Check the network and AWS_REGION.", UNREACHABLE)
    hint = "Look at the AWS console."
    if "NotFound" in code:
        hint = "It does not exist: create it, or correct what names it."
    elif "AccessDenied" in code:
        hint = f"You need the permission for {operation}."
    return CliError(f"AWS refused {operation or 'the call'}: {code}.", hint, UNREACHABLE)
