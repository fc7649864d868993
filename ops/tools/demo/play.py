"""What every act of the demo needs: the stack, the dates, and a console for acts, tables and checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import psycopg
from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from ops.local.stack import LocalStack
from ops.tables import table


@dataclass(slots=True)
class Play:
    """Prints the story on `console` and remembers which checks failed; the first day is a week ago."""

    console: Console
    stack: LocalStack = field(init=False)
    database: psycopg.Connection[Any] = field(init=False)
    first_day: date = field(default_factory=lambda: datetime.now(UTC).date() - timedelta(6))
    checks: int = 0
    failed: list[str] = field(default_factory=list)

    def tick(self, day: int) -> dict[str, str]:
        """The event that EventBridge Scheduler sends for the 06:00 tick of story day `day` (0, 1, 2 …)."""
        moment = datetime.combine(self.first_day + timedelta(day), time(6))
        return {"scheduled_time": f"{moment.isoformat()}Z", "execution_id": f"demo-{day}", "attempt_number": "1"}

    def count(self, table: str, where: str = "true") -> int:
        """How many rows there are."""
        row = self.database.execute(f"SELECT count(*) FROM {table} WHERE {where}".encode()).fetchone()
        return int(row[0]) if row else 0

    def act(self, title: str, subtitle: str = "") -> None:
        """Open a new act."""
        self.console.print()
        self.console.print(Rule(Text(title, style="bold"), align="left", style="cyan"))
        if subtitle:
            self.console.print(subtitle, style="dim")

    def say(self, text: str) -> None:
        """A line of the story, in rich's markup."""
        self.console.print(text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table; numbers are aligned right."""
        self.console.print(table(columns, rows))

    def panel(self, title: str, text: Text) -> None:
        """A message as its reader sees it."""
        self.console.print(Panel(text, title=title, title_align="left", border_style="yellow", width=100))

    def check(self, promise: str, expected: object, actual: object) -> None:
        """Show that `promise` was kept, or the actual value."""
        self.checks += 1
        if expected == actual:
            self.say(f"  [green]✓[/] {promise}")
        else:
            self.failed.append(promise)
            self.say(f"  [red]✗ {promise}: expected {expected!r}, got {actual!r}[/]")

    def conclude(self, seconds: float) -> int:
        """The last line; return the exit status."""
        self.say("")
        if self.failed:
            self.say(f"[bold red]{len(self.failed)} of {self.checks} promises were not kept.[/]")
            return 1
        self.say(f"[bold green]All {self.checks} promises were kept[/], in {seconds:.1f} s.")
        self.say("To see it in a browser: [bold].venv/bin/reminders local up[/], then the console's address.")
        return 0
