"""`reminders demo`: the story of `make demo`."""

from __future__ import annotations

import os
import subprocess
import sys

import click


@click.command("demo")
@click.option("--assignments", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True, help="How many.")
def command(assignments: int) -> int:
    """
    Ten days of the service on this machine, with every step checked.

    On a PostgreSQL and an AWS of its own, whatever DATABASE_URL says. Exit code 1 when a promise was not kept.
    """
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    story = [sys.executable, "-m", "ops.tools.demo", "--assignments", str(assignments)]
    return subprocess.run(story, env=environment, check=False).returncode
