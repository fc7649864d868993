"""
The door: `reminders COMMAND`.

Commands are loaded when they are called, by name, so that the completion of a word does not wait for boto3.
Whatever goes wrong ends here, as one sentence and an exit code.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from typing import Any

import click

from ops.cli import errors
from ops.cli.errors import CliError
from ops.cli.output import err, styled

TRACEBACK = "REMINDERS_TRACEBACK"
SECTIONS: dict[str, tuple[str, ...]] = {
    "Learn": ("demo", "local"),
    "Look": ("status", "logs", "history", "messages", "plan", "doctor"),
    "Act": ("run", "pause", "resume", "unlock", "alert-test"),
    "Set up": ("migrate", "roles", "completion"),
}
CODES = "\n".join(f"  {code:<4} {meaning}" for code, meaning in errors.MEANINGS.items())
STORY = f"""
Operate the assignment reminders: the daily job that reminds mentors, and its ledger.

\b
First steps, on this machine and without an account:
  reminders local up               a whole stack with generated data, until Ctrl-C
  reminders status                 (in a second terminal) is it healthy?
  reminders run                    the day's run, now
  reminders logs                   what it did

\b
A deployed stack is named: reminders status --stack reminders-production
What changes something there asks first. No command prints a secret.

\b
Exit codes:
{CODES}

The runbook: docs/operations/cron-reminder-runbook.md
"""


class Commands(click.Group):
    """Commands by section, each loaded when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"ops.cli.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"{error.format_message()}{hint}", ctx) from None

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
    # The functions' own log lines are not the command's words. Before the first import of their telemetry.
    os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "CRITICAL")
    os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
    try:
        code: Any = cli.main(arguments, prog_name="reminders", standalone_mode=False)
        return code if isinstance(code, int) else errors.DONE
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return errors.DONE
    except click.UsageError as error:
        return _say(CliError(error.format_message(), _help_of(error), errors.WRONG_USE))
    except click.ClickException as error:
        return _say(CliError(error.format_message(), code=errors.WRONG_USE))
    except (click.Abort, KeyboardInterrupt):
        err().print("Interrupted.")
        return errors.INTERRUPTED
    except CliError as error:
        return _say(error)
    except Exception as error:
        return _say(_known(error) or _unexpected(error))


def run() -> None:
    """The entry point."""
    sys.exit(main())


def _say(error: CliError) -> int:
    err().print(styled(str(error), "red"), soft_wrap=True)
    if error.hint:
        err().print(error.hint, soft_wrap=True)
    return error.code


def _help_of(error: click.UsageError) -> str:
    return f"See `{error.ctx.command_path} --help`." if error.ctx else ""


def _known(error: Exception) -> CliError | None:
    """Errors that are sentences already: ours, and those of boto3 and psycopg, by class and code."""
    from botocore.exceptions import BotoCoreError, ClientError
    from psycopg import Error as PostgresError

    from ops.local.binaries import PostgresError as ServerError
    from ops.local.database import MigrationError
    from reminders import database
    from reminders.errors import DatabaseError, DatabaseUnavailable, ReminderError

    if isinstance(error, PostgresError):
        error = database.translated(error)
    if isinstance(error, DatabaseUnavailable):
        hint = error.hint or "`reminders doctor` looks closer."
        return CliError(f"{str(error)[:1].upper()}{str(error)[1:]}.", hint, errors.UNREACHABLE)
    if isinstance(error, DatabaseError) and error.sqlstate in errors.SCHEMA_DIFFERS:
        return CliError(
            str(error), "`reminders migrate --check` shows what is pending; `reminders doctor` looks closer."
        )
    if isinstance(error, ReminderError | MigrationError | ServerError):
        return CliError(str(error))
    return errors.of_aws(error) if isinstance(error, BotoCoreError | ClientError) else None


def _unexpected(error: Exception) -> CliError:
    """A defect of this command: nobody should have to read a traceback at 03:00, and whoever mends it can have one."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    return CliError(f"Unexpected {type(error).__name__}.", f"This is a defect. {TRACEBACK}=1 shows where it arose.")
