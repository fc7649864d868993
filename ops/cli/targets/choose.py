"""
Which target a command works on.

    --stack NAME, --local            named by an option
    REMINDERS_STACK                  a deployed stack: AWS by boto3, names from the stack's outputs
    --database URI (DATABASE_URL)    a bare database: commands that need AWS refuse
    a running `reminders local up`   the local stack, when nothing else is named

The first of these that is set is used, and every command prints which on standard error. A named target is never
replaced by a running local stack: with DATABASE_URL set, the local stack is used only if DATABASE_URL names its own
database.

The database is the operator's own login (`postgres` on Supabase), never a function's: from --database, from a
secret, or from DATABASE_URL.
"""

from __future__ import annotations

import os

from ops.cli import local_state
from ops.cli.errors import UNREACHABLE, WRONG_USE, CliError
from ops.cli.targets.base import Target, TargetOptions


def choose(options: TargetOptions) -> Target:
    """The target that the options, the environment and a running local stack make; or `CliError`."""
    if options.stack and options.local:
        raise CliError("Both --stack and --local are given.", "Name one.", WRONG_USE)
    if options.local:
        return _chosen(_local(options), "--local")
    if options.stack:
        return _chosen(_deployed(options.stack, options), "--stack")
    if stack := os.environ.get("REMINDERS_STACK"):
        return _chosen(_deployed(stack, options), "REMINDERS_STACK")
    if url := options.database or os.environ.get("DATABASE_URL"):
        source = "--database" if options.database else "DATABASE_URL"
        return _chosen(_local(options) if _is_local(url) else _bare_database(options), source)
    return _chosen(_local(options), "it is running")


def _chosen(target: Target, by: str) -> Target:
    target.chosen_by = by
    return target


def _deployed(name: str, options: TargetOptions) -> Target:
    from ops.cli.targets.deployed import Deployed

    return Deployed(name, options)


def _bare_database(options: TargetOptions) -> Target:
    from ops.cli.targets.database import BareDatabase

    return BareDatabase(options)


def _local(options: TargetOptions) -> Target:
    state = local_state.read()
    if state is None:
        hint = "Start one with `reminders local up`, or name a deployed one with --stack."
        raise CliError("There is no stack to work on.", hint, UNREACHABLE)
    from ops.cli.targets.local import Local

    return Local(state, options)


def _is_local(url: str) -> bool:
    """Whether `url` is the database of the local stack that runs."""
    try:
        state = local_state.read()
    except CliError:
        return False
    from ops.cli.targets.database import place_of

    return state is not None and place_of(url) == place_of(state.database_url)
