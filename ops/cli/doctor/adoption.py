"""
Whether a project that has tables already fits: the first migration's own check, in a read-only transaction.

The migration refuses with the same words, because it is the same block of SQL: each thing that does not fit is a
WARNING, each thing to look at is a NOTICE, and the SQL that helps is its hint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

import psycopg

from ops.cli.doctor.examination import Examination, Finding, ok, problem, warning
from ops.migrations import MIGRATIONS
from reminders.database import Connection

FIRST_MIGRATION = MIGRATIONS / "20261121090000_roles.sql"
_BLOCK = re.compile(r"^DO \$check\$\n.*?^\$check\$;$", re.DOTALL | re.MULTILINE)


def app_tables(examination: Examination) -> Iterator[Finding]:
    """Everything that does not fit, then everything to look at."""
    found = report(examination.database)
    yield from found
    if not any(finding.level == "problem" for finding in found):
        yield ok("the app's tables have all that we rely on")


def report(connection: Connection) -> list[Finding]:
    """The findings of the check in this database, problems first."""
    found: list[Finding] = []

    def keep(notice: psycopg.errors.Diagnostic) -> None:
        # Read at once: psycopg frees the notice after this call.
        found.append(_finding(notice))

    connection.add_notice_handler(keep)
    try:
        # When something does not fit, the check ends with this error, after its notices.
        with suppress(psycopg.errors.ObjectNotInPrerequisiteState), connection.transaction(force_rollback=True):
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute("SET LOCAL client_min_messages = notice")
            connection.execute(_check())
    finally:
        connection.remove_notice_handler(keep)
    return sorted(found, key=lambda finding: finding.level != "problem")


def _check() -> bytes:
    found = _BLOCK.search(FIRST_MIGRATION.read_text(encoding="utf-8"))
    assert found, f"{FIRST_MIGRATION.name} has no block $check$"
    return found[0].encode()


def _finding(notice: psycopg.errors.Diagnostic) -> Finding:
    level = problem if notice.severity_nonlocalized == "WARNING" else warning
    return level(notice.message_primary or "", notice.message_hint or "")
