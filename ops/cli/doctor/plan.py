"""The list of checks, and how they are run one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from ops.cli.doctor import adoption, cloud, database, logins, messages, rights, role_settings, shapes
from ops.cli.doctor.examination import Check, Examination, Finding, Skipped, ok, problem
from ops.cli.errors import CliError, expected
from ops.cli.targets.base import Target
from ops.schema import OUR_ROLES

CHECKS = (
    Check("database", database.check_connection),
    Check("server version", database.server_version),
    Check("clock skew", database.clock_skew, "the clocks agree"),
    Check("migrations", database.migrations, "all applied"),
    Check("app's tables", adoption.app_tables),
    Check("shapes", shapes.compare, "indexes, triggers, policies and functions are those of the migrations"),
    Check("roles", rights.roles, "all needed roles can log in, and no role has too many attributes"),
    Check("grants", rights.grants, "as listed in ops/schema/matrix.toml"),
    Check("row level security", rights.row_level_security, "enabled on every table"),
    Check("role settings", role_settings.role_settings),
    *(Check(f"login of {role}", logins.login_of(role)) for role in OUR_ROLES),
    Check("scheduler token", logins.scheduler_token, "cron and scheduler share one token, and it is long enough"),
    Check("alert channels", logins.alert_channels),
    Check("schedule", cloud.schedule),
    Check("Lambda retries", cloud.lambda_retries),
    Check("e-mail account", messages.email_account),
    Check("e-mail identity", messages.email_identity),
    Check("push applications", messages.push_applications),
    Check("recipients", messages.recipients),
    Check("run lock", database.lock, "free"),
    Check("last runs", database.last_runs),
)

# The checks that work before the first migration.
BEFORE_THE_FIRST_MIGRATION = ("database", "server version", "app's tables")


def examine(target: Target, *, adopt: bool = False) -> Iterator[tuple[Check, list[Finding]]]:
    """Run all checks in order, or with `adopt` those that work before the first migration; yield each in turn."""
    examination = Examination(target)
    with ExitStack() as stack:
        try:
            examination.connection = stack.enter_context(target.connect())
        except Exception as error:
            examination.unreachable = _finding_from_error(
                error, "Compare DATABASE_URL with Supabase's Connect page. Is the project paused?"
            )
        for check in CHECKS:
            if not adopt or check.name in BEFORE_THE_FIRST_MIGRATION:
                yield check, _findings(check, examination)


def _findings(check: Check, examination: Examination) -> list[Finding]:
    """What the check yields; what it raises, as a finding."""
    found: list[Finding] = []
    try:
        for finding in check.run(examination):
            found.append(finding)
    except Skipped as why:
        found.append(Finding("skipped", str(why)))
    except CliError as error:
        found.append(Finding("skipped", str(error), error.hint))
    except Exception as error:
        found.append(_finding_from_error(error, "Are the migrations applied? `reminders migrate --check` shows it."))
    return found or [ok(check.ok)]


def _finding_from_error(error: Exception, hint: str) -> Finding:
    if known := expected(error):
        return problem(str(known), known.hint or hint)
    return problem(
        f"unexpected {type(error).__name__}", "This is a defect of the check itself; the other checks are valid."
    )
