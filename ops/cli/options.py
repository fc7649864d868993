"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import date
from typing import Any, ParamSpec, TypeVar

import click

from ops.cli.output import err
from ops.cli.targets.base import Target, TargetOptions
from ops.cli.targets.choose import choose
from ops.tables import styled

P = ParamSpec("P")
R = TypeVar("R")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
yes = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


def with_target(command: Callable[..., R]) -> Callable[..., R]:
    """Adds the options that choose a target; the command gets `target` instead of them, and prints its name."""

    @functools.wraps(command)
    def chosen(*, target: Callable[[], Target], **rest: Any) -> R:
        return command(target=target(), **rest)

    return with_target_if_needed(chosen)


def with_target_if_needed(command: Callable[..., R]) -> Callable[..., R]:
    """The same for a command that may need no target: it calls `target`, which chooses and prints one."""

    @click.option("--stack", metavar="NAME", help="Work on this deployed stack [env REMINDERS_STACK].")
    @click.option("--local", is_flag=True, help="Work on the stack of `reminders local up`.")
    @click.option(
        "--database",
        "--database-url",
        metavar="URI",
        help="URI of the database, with the operator's login [env DATABASE_URL].",
    )
    @click.option(
        "--database-secret",
        metavar="NAME",
        help="With --stack: name of the secret that contains this URI [env REMINDERS_DATABASE_SECRET].",
    )
    @functools.wraps(command)
    def with_options(
        *, stack: str | None, local: bool, database: str | None, database_secret: str | None, **rest: Any
    ) -> R:
        def target() -> Target:
            found = choose(TargetOptions(stack, database, database_secret, local))
            err().print(styled(f"Target: {found.title} ({found.chosen_by}).", "dim"), soft_wrap=True)
            return found

        return command(target=target, **rest)

    return with_options


class Day(click.ParamType[date]):
    """A date as in 2026-11-21."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a date; write it as in 2026-11-21.", param, ctx)
