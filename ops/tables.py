"""Tables for people, without lines: of the command, the demo and the benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from reminders.text import printable


def styled(text: str, style: str = "") -> Text:
    """`text` as rich prints it literally, in a style of rich's ("bold", "red"); line breaks become spaces."""
    return Text(printable(text), style=style)


def table(columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Numbers are aligned right; a value may be `styled`."""
    lines = [list(row) for row in rows]
    made = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        numbers = bool(lines) and all(isinstance(line[index], int | float | None) for line in lines)
        made.add_column(styled(column), justify="right" if numbers else "left", overflow="fold")
    for line in lines:
        made.add_row(*map(_cell, line))
    return made


def _cell(value: object) -> Text:
    return value if isinstance(value, Text) else styled(_words(value))


def _words(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
