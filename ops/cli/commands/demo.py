"""`reminders demo`: the same as `make demo`."""

from __future__ import annotations

import os
import subprocess
import sys

import click


@click.command("demo")
@click.option("--assignments", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True, help="How many.")
def command(assignments: int) -> int:
    """
    Six days of the service on this machine, with every step checked.

    It starts its own PostgreSQL and AWS (moto), and ignores DATABASE_URL. Exit code 1 when a check fails.
    """
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    arguments = [sys.executable, "-m", "ops.tools.demo", "--assignments", str(assignments)]
    return subprocess.run(arguments, env=environment, check=False).returncode
