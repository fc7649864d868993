"""How the demo prints: acts, tables, and checks that decide the exit status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text


class Stage:
    """Prints the story on `console` and remembers which checks failed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._checks = 0
        self._failed: list[str] = []

    def act(self, title: str, subtitle: str = "") -> None:
        """Open a new act."""
        self._console.print()
        self._console.print(Rule(Text(title, style="bold"), align="left", style="cyan"))
        if subtitle:
            self._console.print(subtitle, style="dim")

    def say(self, text: str) -> None:
        """A line of the story, in rich's markup."""
        self._console.print(text)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table; numbers stand right."""
        lines = [list(row) for row in rows]
        table = Table(box=None, header_style="bold", pad_edge=False)
        for index, column in enumerate(columns):
            numbers = all(isinstance(line[index], int | float | None) for line in lines)
            table.add_column(column, justify="right" if numbers else "left", overflow="fold")
        for line in lines:
            table.add_row(*(_cell(value) for value in line))
        self._console.print(table)

    def panel(self, title: str, text: Text) -> None:
        """A message as its reader sees it."""
        self._console.print(Panel(text, title=title, title_align="left", border_style="yellow", width=100))

    def check(self, promise: str, expected: object, actual: object) -> None:
        """Show that `promise` was kept, or the actual value."""
        self._checks += 1
        if expected == actual:
            self._console.print(f"  [green]✓[/] {promise}")
            return
        self._failed.append(promise)
        self._console.print(f"  [red]✗ {promise}: expected {expected!r}, got {actual!r}[/]")

    def conclude(self, seconds: float) -> int:
        """The last line; return the exit status."""
        self._console.print()
        if self._failed:
            self._console.print(f"[bold red]{len(self._failed)} of {self._checks} promises were not kept.[/]")
            return 1
        self._console.print(f"[bold green]All {self._checks} promises were kept[/], in {seconds:.1f} s.")
        self._console.print(
            "To see it in a browser: [bold].venv/bin/reminders local up[/], then the console's address."
        )
        return 0


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)
