"""`reminders roles`: let the functions' roles log in."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click
from psycopg import conninfo, pq

from ops.cli import options, output
from ops.cli.errors import WRONG_USE, CliError
from ops.cli.targets.base import Target
from ops.schema import FUNCTION_OF, MESSAGE_ROLES

SHORTEST = 16


@click.command("roles")
@click.option(
    "--role", type=click.Choice(list(FUNCTION_OF)), multiple=True, help="Only this role. You can repeat the option."
)
@click.option("--from-secrets", is_flag=True, help="Read the passwords from the functions' secrets instead of asking.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password of one --role from standard input.")
@options.with_target_if_needed
def command(target: Callable[[], Target], role: tuple[str, ...], from_secrets: bool, from_stdin: bool) -> None:
    """
    Print the SQL that lets the functions' roles log in.

    Without --role it is for the three roles that every deployment needs. With --from-secrets it is also for the two
    roles that send messages, if this deployment sends messages.

    Run the SQL as `postgres`, or pipe it into psql. It contains no password, only the SCRAM verifier that PostgreSQL
    stores. So no password appears on the screen, in the server's log, or in the shell's history.
    """
    chosen = list(role) or [name for name in FUNCTION_OF if name not in MESSAGE_ROLES]
    if from_stdin and (from_secrets or len(chosen) != 1):
        raise CliError("--stdin reads one password.", "Name one --role, and leave out --from-secrets.", WRONG_USE)
    if not (from_secrets or from_stdin) and not sys.stdin.isatty():
        raise CliError("There is no terminal to enter passwords.", "Use --from-secrets or --stdin.", WRONG_USE)
    secrets = target() if from_secrets else None
    if secrets and not role and secrets.environment("courier"):
        chosen += MESSAGE_ROLES
    for name in chosen:
        if secrets:
            password = _of_secret(secrets, name)
        else:
            password = sys.stdin.readline().strip() if from_stdin else _ask_password(name)
        click.echo(f"ALTER ROLE {name} LOGIN PASSWORD '{scram_verifier(name, _usable(name, password))}';")


def scram_verifier(role: str, password: str) -> str:
    """What PostgreSQL stores of `password`, computed by libpq, which needs no open connection for it."""
    closed = pq.PGconn.connect_start(b"host=/")
    return closed.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()


def _of_secret(target: Target, role: str) -> str:
    function = FUNCTION_OF[role]
    name = target.environment(function).get("DATABASE_SECRET")
    if not name:
        raise CliError(f"The {function} function has no DATABASE_SECRET.", "`reminders doctor` finds causes.")
    with output.working(f"Reading the secret {name}"):
        found = conninfo.conninfo_to_dict(target.secret(name))
    login = str(found.get("user", "")).partition(".")[0]
    if login != role:
        hint = "Supabase's pooler wants ROLE.PROJECT_REF, other servers ROLE."
        raise CliError(f"The secret {name} is not the login of {role}.", hint)
    return str(found.get("password", ""))


def _ask_password(role: str) -> str:
    return str(click.prompt(f"Password of {role}", hide_input=True, confirmation_prompt=True, err=True))


def _usable(role: str, password: str) -> str:
    # Beyond ASCII, SASLprep may change a password before it is hashed, and not every client does it alike.
    if len(password) < SHORTEST or not password.isascii() or not password.isprintable():
        raise CliError(f"The password of {role} must be {SHORTEST} or more printable ASCII characters.", "", WRONG_USE)
    return password
