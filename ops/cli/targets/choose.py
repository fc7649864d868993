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
from ops.cli.targets.database import BareDatabase, place_of
from ops.cli.targets.deployed import Deployed
from ops.cli.targets.local import Local


def choose(options: TargetOptions) -> Target:
    """The target that the options, the environment and a running local stack make; or `CliError`."""
    if options.stack and options.local:
        raise CliError("Both --stack and --local are given.", "Name one.", WRONG_USE)
    target: Target
    if options.local:
        target, by = _local(options), "--local"
    elif stack := options.stack or os.environ.get("REMINDERS_STACK"):
        target, by = Deployed(stack, options), "--stack" if options.stack else "REMINDERS_STACK"
    elif url := options.database or os.environ.get("DATABASE_URL"):
        target = _local(options) if _is_local(url) else BareDatabase(options)
        by = "--database" if options.database else "DATABASE_URL"
    else:
        target, by = _local(options), "it is running"
    target.chosen_by = by
    return target


def _local(options: TargetOptions) -> Local:
    state = local_state.read()
    if state is None:
        hint = "Start one with `reminders local up`, or name a deployed one with --stack."
        raise CliError("There is no stack to work on.", hint, UNREACHABLE)
    return Local(state, options)


def _is_local(url: str) -> bool:
    """Whether `url` is the database of the local stack that runs."""
    try:
        state = local_state.read()
    except CliError:
        return False
    return state is not None and place_of(url) == place_of(state.database_url)
