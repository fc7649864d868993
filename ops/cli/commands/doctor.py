"""`reminders doctor`: check the whole installation; each problem has its fix."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ops.cli import options, output
from ops.cli.errors import DONE, UNHEALTHY
from ops.cli.targets.base import Target
from ops.tables import styled

if TYPE_CHECKING:
    from rich.text import Text

SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red"), "skipped": ("-", "dim")}


@click.command("doctor")
@options.with_target
@options.as_json
@click.option(
    "--adopt",
    is_flag=True,
    help="Only check whether the tables of an existing project fit. Use it before the first migration.",
)
def command(target: Target, as_json: bool, adopt: bool) -> int:
    """
    Check the whole installation, and show how to fix each problem.

    Changes nothing and shows no secret. The exit code is 1 when there is a problem, and 0 when there are only warnings.
    """
    from ops.cli.doctor.plan import examine

    reported: list[dict[str, Any]] = []
    if not as_json:
        output.out().print(styled(target.title, "bold"))
        output.out().print()
    for check, findings in examine(target, adopt=adopt):
        reported += [{"check": check.name, **asdict(finding)} for finding in findings]
        for finding in findings if not as_json else ():
            output.show_finding(styled(*SIGNS[finding.level]), check.name, finding.what, finding.fix)
    problems = sum(finding["level"] == "problem" for finding in reported)
    if as_json:
        output.show_json({"target": target.title, "healthy": not problems, "findings": reported})
    else:
        output.out().print()
        output.out().print(_conclusion(problems, sum(f["level"] == "warning" for f in reported)))
    return UNHEALTHY if problems else DONE


def _conclusion(problems: int, warnings: int) -> Text:
    if not problems and not warnings:
        return styled("Nothing is wrong.", "green")
    counted = [f"{problems} problem{'s' * (problems != 1)}", f"{warnings} warning{'s' * (warnings != 1)}"]
    return styled(f"{', '.join(counted)}.", "red" if problems else "yellow")
