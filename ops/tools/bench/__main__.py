"""`make bench`: measure, print tables, write build/bench.json and build/bench.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from ops.tables import table

RESULTS = Path("build/bench.json")
MARKDOWN = RESULTS.with_suffix(".md")
SIZES = [1_000, 10_000, 100_000, 1_000_000]


def main() -> int:
    """Measure what the options ask for; exit status 0 when all went through."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="assignments")
    parser.add_argument("--only-messages", action="store_true", help="leave out everything else")
    parser.add_argument("--only-job", action="store_true", help="leave out whatever is not the main job")
    options = parser.parse_args()
    os.environ.update({"POWERTOOLS_LOG_LEVEL": "CRITICAL", "POWERTOOLS_METRICS_DISABLED": "true"})
    from ops.tools.bench import ledger, messages, run

    console = Console(width=None if sys.stdout.isatty() else 120)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    console.print(f"[bold]Assignment Reminders[/], {machine}")
    tables: dict[str, list[dict[str, object]]] = {}
    if not options.only_messages:
        with run.started(max(options.sizes), console.print) as bench:
            tables |= run.measure(bench, options.sizes)
            if not options.only_job:
                tables |= run.compare(bench, options.sizes)
    if not options.only_job:
        tables |= messages.measure(console.print)
    if not (options.only_job or options.only_messages):
        console.print("lock, ledger and contact hook …")
        tables["Lock and ledger at 1,000,000 ledger rows, contact hook at 100,000 assignments"] = ledger.measure()
    for title, rows in tables.items():
        console.print(f"\n[italic]{title}[/]", _table(rows), sep="\n")
    RESULTS.parent.mkdir(exist_ok=True)
    _write_markdown(tables)
    RESULTS.write_text(json.dumps({"machine": machine, **tables}, indent=2) + "\n")
    console.print(f"written to {RESULTS} and {MARKDOWN}")
    return 0


def _write_markdown(tables: dict[str, list[dict[str, object]]]) -> None:
    with MARKDOWN.open("w") as file:
        console = Console(file=file, width=200)
        for title, rows in tables.items():
            shown = _table(rows)
            shown.box, shown.pad_edge = box.MARKDOWN, True
            console.print(f"\n## {title}\n", shown)


def _table(rows: list[dict[str, object]]) -> Table:
    return table(rows[0], [list(row.values()) for row in rows])


if __name__ == "__main__":
    sys.exit(main())
