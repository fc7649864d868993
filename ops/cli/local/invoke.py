"""`reminders local invoke`: a built function in AWS' image, which uses the local stack."""

from __future__ import annotations

import json
from typing import IO

import click

from ops.cli import local_state, output
from ops.cli.errors import DONE, UNHEALTHY, UNREACHABLE, WRONG_USE, CliError
from ops.cli.local_state import LocalState
from ops.cli.targets.base import TargetOptions
from ops.tools.build.local import FUNCTION_NAMES


@click.command("invoke", context_settings={"ignore_unknown_options": True})
@click.argument("function", type=click.Choice(list(FUNCTION_NAMES)))
@click.argument("event", type=click.File())
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def command(function: str, event: IO[str], options: tuple[str, ...]) -> int:
    """
    Invoke a built function in a container, by `sam local invoke`.

    EVENT is a JSON file, or - for standard input. The placeholders of the sample events in infra/events (PUT-...-HERE)
    are replaced by values of the local stack. OPTIONS are those of `sam local invoke`. The function's answer is printed
    on standard output. The exit code is 1 when the function failed.
    """
    state = _state()
    from ops.cli.local import sam

    sam.check_build()
    answer = sam.invoke(state, function, _fill_placeholders(event.read(), state), options)
    output.show_json(answer)
    return UNHEALTHY if sam.failed(answer) else DONE


def _state() -> LocalState:
    state = local_state.read()
    if state is None or not state.sam_environment:
        running = "No local stack is running." if state is None else "The local stack was not started for containers."
        raise CliError(running, "Start one with `reminders local up --for-sam`.", UNREACHABLE)
    return state


def _fill_placeholders(text: str, state: LocalState) -> str:
    from ops.cli.local import events
    from ops.cli.targets.local import Local

    secrets = Local(state, TargetOptions()).client("secretsmanager")
    filled = events.fill(text, events.local_values(state.environments, secrets))
    if left := events.PLACEHOLDER.search(filled):
        raise CliError(f"The event still has {left[0]} in it.", "Replace it with the value.", WRONG_USE)
    try:
        json.loads(filled)
    except ValueError as error:
        raise CliError(f"The event is not JSON: {error}.", code=WRONG_USE) from None
    return filled
