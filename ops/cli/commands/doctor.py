"""`reminders doctor`: everything that could be wrong, looked at, with a fix beside every finding."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ops.cli import options, output
from ops.cli.doctor.examination import Check, Finding
from ops.cli.errors import DONE, UNHEALTHY
from ops.cli.targets import Target

SIGNS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "problem": "[red]✗[/]", "skipped": "[dim]-[/]"}


@click.command("doctor")
@options.with_target
@options.as_json
def command(target: Target, as_json: bool) -> int:
    """
    Look at everything that could be wrong, and say how to mend it.

    Changes nothing and shows no secret. Exit code 1 when there is a problem; a warning alone is 0.
    """
    from ops.cli.doctor.plan import examine

    told: list[dict[str, Any]] = []
    if not as_json:
        output.out().print(f"[bold]{target.title}[/]\n")
    for check, findings in examine(target):
        told += [{"check": check.name, **asdict(finding)} for finding in findings]
        if not as_json:
            _show(check, findings)
    problems = sum(finding["level"] == "problem" for finding in told)
    if as_json:
        output.show_json({"target": target.title, "healthy": not problems, "findings": told})
    else:
        output.out().print(f"\n{_conclusion(problems, sum(f['level'] == 'warning' for f in told))}")
    return UNHEALTHY if problems else DONE


def _show(check: Check, findings: list[Finding]) -> None:
    console = output.out()
    for finding in findings:
        console.print(f"{SIGNS[finding.level]} [bold]{check.name}[/]: ", end="", soft_wrap=True)
        console.print(finding.what, markup=False, soft_wrap=True)
        if finding.fix:
            console.print("    do: ", style="dim", end="")
            console.print(finding.fix, markup=False, soft_wrap=True)


def _conclusion(problems: int, warnings: int) -> str:
    if not problems and not warnings:
        return "[green]Nothing is wrong.[/]"
    counted = [f"{problems} problem{'s' * (problems != 1)}", f"{warnings} warning{'s' * (warnings != 1)}"]
    return f"[{'red' if problems else 'yellow'}]{', '.join(counted)}.[/]"
