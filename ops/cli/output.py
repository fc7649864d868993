"""
How the command prints: tables and colour for people, JSON for scripts, progress and questions on standard error.

Standard output has the result and nothing else, so that it can be piped. Without a terminal there is no colour, no
spinner, and no question: the command refuses, and names the option that confirms.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.cli.errors import NOT_CONFIRMED, CliError
from ops.tables import styled, table
from reminders.text import printable

WIDTH_WITHOUT_TERMINAL = 120


class SafeConsole(Console):
    """A console that prints text as it is: on one line, without markup, without control characters."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(styled(item) if isinstance(item, str) else item for item in objects), **options)


def out() -> Console:
    """Standard output at the time of the call: a test may have replaced it."""
    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    return SafeConsole(file=sys.stdout, width=width, highlight=False)


def err() -> Console:
    width = None if sys.stderr.isatty() else WIDTH_WITHOUT_TERMINAL
    return SafeConsole(file=sys.stderr, width=width, highlight=False)


def show_json(value: object) -> None:
    """One JSON value in ASCII: indented for eyes, on one line for a pipe. Times are ISO 8601 in UTC."""
    click.echo(json.dumps(value, default=_jsonable, indent=2 if sys.stdout.isatty() else None))


def pairs(rows: Iterable[tuple[str, Any]]) -> Table:
    """Names and values, without a heading."""
    made = table(["", ""], rows)
    made.show_header = False
    return made


def ago(moment: datetime | None, now: datetime) -> str:
    """ "2026-11-21 06:00 UTC (5 h ago)", or "never"."""
    if moment is None:
        return "never"
    distance = now - moment
    words = f"{span(abs(distance))} ago" if distance >= timedelta(0) else f"in {span(-distance)}"
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({words})"


def span(length: timedelta) -> str:
    """A duration in its largest suitable unit."""
    seconds = int(length.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def show_finding(sign: Text, name: str, what: str, fix: str) -> None:
    """A finding of `status` or `doctor`, and what to do about it."""
    out().print(sign, *([styled(f"{name}:", "bold")] if name else []), what, soft_wrap=True)
    if fix:
        out().print("   ", styled("do:", "dim"), fix, soft_wrap=True)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that something is going on: a spinner, or one line where there is no terminal."""
    console = err()
    if not console.is_terminal:
        console.print(f"{what} ...")
        yield
        return
    with console.status(styled(what)):
        yield


def confirm(question: str, yes: bool) -> None:
    """Return after a yes; raise `CliError` (exit code 4) otherwise, and without a terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CliError(f"Not done: there is no terminal to confirm. {question}", "Confirm with --yes.", NOT_CONFIRMED)
    if not click.confirm(printable(question), default=False, err=True):
        raise CliError("Nothing was done.", code=NOT_CONFIRMED)


def _jsonable(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date | UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
