"""`reminders demo`: the same as `make demo`."""

from __future__ import annotations

import subprocess
import sys

import click


@click.command("demo")
@click.option(
    "--assignments", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True, help="How many assignments."
)
def command(assignments: int) -> int:
    """
    Play six days of the service on this machine, and check every step.

    Starts its own PostgreSQL and AWS (moto), and ignores DATABASE_URL. The exit code is 1 when a check fails.
    """
    arguments = [sys.executable, "-m", "ops.tools.demo", "--assignments", str(assignments)]
    return subprocess.run(arguments, check=False).returncode
