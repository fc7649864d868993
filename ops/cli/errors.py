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
    DONE: "done; for status and doctor: healthy",
    UNHEALTHY: "it ran and failed, or it found problems",
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


def of_aws(error: Exception) -> CliError:
    """boto3's errors, by name: most are about credentials and the region."""
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
    hint = f"You need the permission for {operation}." if "AccessDenied" in code else ""
    return CliError(f"AWS refused {operation or 'the call'}: {code}.", hint, UNREACHABLE)
