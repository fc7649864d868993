"""
The entry point: `reminders COMMAND`.

Commands are imported by name when they are called, so that completion does not wait for boto3. Every error ends
here, as one sentence and an exit code.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any

import click

from ops.cli import errors
from ops.cli.errors import CliError
from ops.cli.output import err
from ops.tables import styled

TRACEBACK = "REMINDERS_TRACEBACK"
SECTIONS: dict[str, tuple[str, ...]] = {
    "Try": ("demo", "local"),
    "Look": ("status", "logs", "history", "messages", "plan", "doctor"),
    "Act": ("run", "pause", "resume", "unlock", "alert-test"),
    "Set up": ("migrate", "roles"),
}
# Commands that share a module: its name, and that of the command in it.
MODULES = {"pause": ("pause", "pause"), "resume": ("pause", "resume")}
CODES = "\n".join(f"  {code:<4} {meaning}" for code, meaning in errors.MEANINGS.items())
STORY = f"""
Operate the assignment reminders: the daily job that reminds mentors, and its ledger.

\b
First steps, on this machine and without an account:
  reminders local up               start a whole stack with generated data; Ctrl-C stops it
  reminders status                 in a second terminal: show whether it is healthy
  reminders run                    start a run now
  reminders logs                   show the newest runs

\b
On a deployed stack: reminders status --stack assignment-reminders
Commands that change something there ask first. No command prints a secret.

\b
Exit codes:
{CODES}

\b
Completion of commands and options, in ~/.bashrc (zsh_source, fish_source for other shells):
  eval "$(_REMINDERS_COMPLETE=bash_source reminders)"

The runbook: docs/operations/cron-reminder-runbook.md
"""


class Commands(click.Group):
    """Commands by section, each loaded when it is needed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Only the names: click suggests the nearest one for a name that it does not know.
        self.commands: dict[str, Any] = dict.fromkeys(self.list_commands(None))

    def list_commands(self, ctx: click.Context | None) -> list[str]:
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands:
            return None
        module, name = MODULES.get(cmd_name, (cmd_name.replace("-", "_"), "command"))
        command: click.Command = getattr(importlib.import_module(f"ops.cli.commands.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(section):
                formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in commands if command])


@click.group(
    cls=Commands, help=STORY, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="assignment-reminders", message="%(version)s")
def cli() -> None:
    pass


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    # The functions' log lines are not the command's output. Set before the first import of their telemetry.
    os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "CRITICAL")
    os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
    try:
        code: Any = cli.main(arguments, prog_name="reminders", standalone_mode=False)
        return code if isinstance(code, int) else errors.DONE
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return errors.DONE
    except click.UsageError as error:
        return _print_error(CliError(error.format_message(), _help_hint(error), errors.WRONG_USE))
    except click.ClickException as error:
        return _print_error(CliError(error.format_message(), code=errors.WRONG_USE))
    except (click.Abort, KeyboardInterrupt):
        err().print("Interrupted.")
        return errors.INTERRUPTED
    except Exception as error:
        return _print_error(errors.expected(error) or _unexpected_error(error))


def run() -> None:
    """The entry point."""
    sys.exit(main())


def _print_error(error: CliError) -> int:
    err().print(styled(str(error), "red"), soft_wrap=True)
    if hint := error.hint or ("`reminders doctor` finds causes." if error.code == errors.UNREACHABLE else ""):
        err().print(hint, soft_wrap=True)
    return error.code


def _help_hint(error: click.UsageError) -> str:
    return f"See `{error.ctx.command_path} --help`." if error.ctx else ""


def _unexpected_error(error: Exception) -> CliError:
    """A defect of this command; the traceback is printed on request only."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    return CliError(
        f"Unexpected {type(error).__name__}.", f"This is a defect of the command. {TRACEBACK}=1 shows the traceback."
    )
