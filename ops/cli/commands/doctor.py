"""`reminders doctor`: everything that could be wrong, looked at, with a fix beside every finding."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ops.cli import options, output
from ops.cli.doctor.examination import Check, Finding
from ops.cli.errors import DONE, UNHEALTHY
from ops.cli.targets.base import Target

if TYPE_CHECKING:
    from rich.text import Text

SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red"), "skipped": ("-", "dim")}


@click.command("doctor")
@options.with_target
@options.as_json
@click.option("--adopt", is_flag=True, help="Only: does a project that exists already fit, before the first migration?")
def command(target: Target, as_json: bool, adopt: bool) -> int:
    """
    Look at everything that could be wrong, and say how to mend it.

    Changes nothing and shows no secret. Exit code 1 when there is a problem; a warning alone is 0.
    """
    from ops.cli.doctor.plan import examine

    told: list[dict[str, Any]] = []
    if not as_json:
        output.out().print(output.styled(target.title, "bold"))
        output.out().print()
    for check, findings in examine(target, adopt=adopt):
        told += [{"check": check.name, **asdict(finding)} for finding in findings]
        if not as_json:
            _show(check, findings)
    problems = sum(finding["level"] == "problem" for finding in told)
    if as_json:
        output.show_json({"target": target.title, "healthy": not problems, "findings": told})
    else:
        output.out().print()
        output.out().print(_conclusion(problems, sum(f["level"] == "warning" for f in told)))
    return UNHEALTHY if problems else DONE


def _show(check: Check, findings: list[Finding]) -> None:
    console = output.out()
    for finding in findings:
        sign = output.styled(*SIGNS[finding.level])
        console.print(sign, output.styled(f"{check.name}:", "bold"), finding.what, soft_wrap=True)
        if finding.fix:
            console.print("   ", output.styled("do:", "dim"), finding.fix, soft_wrap=True)


def _conclusion(problems: int, warnings: int) -> Text:
    if not problems and not warnings:
        return output.styled("Nothing is wrong.", "green")
    counted = [f"{problems} problem{'s' * (problems != 1)}", f"{warnings} warning{'s' * (warnings != 1)}"]
    return output.styled(f"{', '.join(counted)}.", "red" if problems else "yellow")
