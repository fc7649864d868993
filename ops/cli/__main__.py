"""`python -m ops.cli` is `reminders`."""

from ops.cli.main import run

run()
