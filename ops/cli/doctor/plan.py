"""The list of checks, and how they are run one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from ops.cli.doctor import adoption, cloud, database, logins, messages, rights, role_settings, shapes
from ops.cli.doctor.examination import Check, Examination, Finding, Skipped, problem
from ops.cli.errors import CliError, of_aws
from ops.cli.targets.base import Target
from ops.schema import OUR_ROLES

CHECKS = (
    Check("database", database.reachable),
    Check("server version", database.server_version),
    Check("clock skew", database.clock_skew),
    Check("migrations", database.migrations),
    Check("app's tables", adoption.app_tables),
    Check("shapes", shapes.compare),
    Check("roles", rights.roles),
    Check("grants", rights.grants),
    Check("row level security", rights.row_level_security),
    Check("statement timeouts", role_settings.role_settings),
    *(Check(f"login of {role}", logins.login_of(role)) for role in OUR_ROLES),
    Check("scheduler token", logins.scheduler_token),
    Check("alert channels", logins.alert_channels),
    Check("schedule", cloud.schedule),
    Check("Lambda retries", cloud.lambda_retries),
    Check("e-mail account", messages.email_account),
    Check("e-mail identity", messages.email_identity),
    Check("push applications", messages.push_applications),
    Check("recipients", messages.recipients),
    Check("run lock", database.lock),
    Check("last runs", database.last_runs),
)

# The checks that work before the first migration.
BEFORE_THE_FIRST_MIGRATION = ("database", "server version", "app's tables")


def examine(target: Target, *, adopt: bool = False) -> Iterator[tuple[Check, list[Finding]]]:
    """Run all checks in order, or with `adopt` those that work before the first migration; yield each in turn."""
    it = Examination(target)
    with ExitStack() as stack:
        unreachable = _connect(it, stack)
        for check in CHECKS:
            if adopt and check.name not in BEFORE_THE_FIRST_MIGRATION:
                continue
            if check.look is database.reachable and unreachable:
                yield check, [unreachable]
            else:
                yield check, list(_findings(check, it))


def _connect(it: Examination, stack: ExitStack) -> Finding | None:
    from reminders.errors import DatabaseUnavailable, ReminderError

    try:
        it.connection = stack.enter_context(it.target.connect())
    except DatabaseUnavailable as error:
        return problem(str(error), error.hint or "Is the project paused? Supabase's dashboard shows it.")
    except ReminderError as error:
        return problem(str(error), "Compare DATABASE_URL with Supabase's Connect page.")
    except CliError as error:
        return problem(str(error), error.hint)
    except Exception as error:
        return _of(error)
    return None


def _findings(check: Check, it: Examination) -> Iterator[Finding]:
    """What the check yields; what it raises, as a finding."""
    try:
        yield from check.look(it)
    except Skipped as why:
        yield Finding("skipped", str(why))
    except CliError as error:
        yield Finding("skipped", str(error), error.hint)
    except Exception as error:
        yield _of(error)


def _of(error: Exception) -> Finding:
    import psycopg
    from botocore.exceptions import BotoCoreError, ClientError

    from reminders import database
    from reminders.aws_errors import error_code
    from reminders.errors import ReminderError

    if isinstance(error, BotoCoreError | ClientError):
        found = of_aws(error)
        missing = "It does not exist: create it, or correct the variable that names it."
        missing = missing if "NotFound" in error_code(error) else ""
        return problem(str(found), missing or found.hint or "Look at the AWS console.")
    if isinstance(error, psycopg.Error):
        return problem(database.describe(error), "Are the migrations applied? `reminders migrate --check`.")
    if isinstance(error, ReminderError):
        return problem(str(error), "Are the migrations applied? `reminders migrate --check`.")
    return problem(
        f"unexpected {type(error).__name__}", "This is a defect of the check itself; the other checks are valid."
    )
