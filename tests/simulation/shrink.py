"""
The shortest story that still breaks a promise: delta debugging ("Simplifying and Isolating Failure-Inducing
Input", Zeller and Hildebrandt), first by day, then by assignment, then by event.

A part of the story is left out; if a promise is still broken, it stays out. The parts become smaller. It need not be
the same promise: one defect often shows first in another one when less happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tests.simulation.runner import Failure, Runner
from tests.simulation.story import Event

Item = TypeVar("Item")


@dataclass(slots=True)
class Short:
    """The shortest story so far, and how it fails."""

    events: list[Event]
    failure: Failure


def shortest(runner: Runner, story: Sequence[Event], failure: Failure, seconds: float) -> Short:
    """Look for at most `seconds`."""
    deadline = time.monotonic() + seconds
    best = Short([event for event in story if event.day <= failure.day], failure)

    def still_fails(events: Sequence[Event]) -> bool:
        found = runner.run(events, best.failure.day + 1)
        if found is None:
            return False
        best.events, best.failure = [event for event in events if event.day <= found.day], found
        return True

    def without_pairs(kept: Sequence[int]) -> list[Event]:
        return [only for event in best.events if (only := _restricted(event, set(kept))) is not None]

    for days in (0, 1, 2, 4, 8, 16, 32):
        if days < failure.day and still_fails(_begun_later(best.events, failure.day - days)):
            break
    pairs = sorted({pair for event in best.events for pair in _pairs(event)})
    _reduce(pairs, lambda kept: still_fails(without_pairs(kept)), deadline)
    _reduce(list(best.events), still_fails, deadline)
    return best


def _reduce(items: Sequence[Item], is_enough: Callable[[Sequence[Item]], bool], deadline: float) -> None:
    """Leave out halves, quarters, ... of `items`, as long as what is left is enough."""
    parts = 2
    while items and time.monotonic() < deadline:
        size = max(1, len(items) // parts)
        for begin in range(0, len(items), size):
            rest = [*items[:begin], *items[begin + size :]]
            if time.monotonic() < deadline and is_enough(rest):
                items, parts = rest, max(2, parts - 1)
                break
        else:
            if size == 1:
                return
            parts *= 2


def _begun_later(events: Sequence[Event], day: int) -> list[Event]:
    """As if the charity had begun on `day`."""
    return [replace(event, day=max(day, event.day)) for event in events if event.day == 0 or event.day >= day]


def _pairs(event: Event) -> list[int]:
    return list(event.args.get("pairs", [event.args["pair"]] if "pair" in event.args else []))


def _restricted(event: Event, kept: set[int]) -> Event | None:
    """The event for these assignments only; None if nothing is left of it."""
    if "pairs" in event.args:
        some = [pair for pair in event.args["pairs"] if pair in kept]
        return Event(event.day, event.minute, event.what, {**event.args, "pairs": some}) if some else None
    return event if event.args.get("pair") in kept or "pair" not in event.args else None
