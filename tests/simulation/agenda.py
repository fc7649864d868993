"""What is going to happen, in the order of the simulated time."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any


@dataclass(order=True, slots=True)
class Entry:
    """`what` happens at `moment`; entries of the same moment happen in the order in which they were planned."""

    moment: datetime
    number: int
    what: str = field(compare=False)
    args: dict[str, Any] = field(compare=False)


class Agenda:
    """The entries that are still to come."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._numbers = count()

    def plan(self, moment: datetime, what: str, /, **args: Any) -> None:
        """Let `what` happen at `moment`."""
        heapq.heappush(self._entries, Entry(moment, next(self._numbers), what, args))

    def next_before(self, end: datetime) -> Entry | None:
        """Take the next entry off; None if there is none before `end`."""
        return heapq.heappop(self._entries) if self._entries and self._entries[0].moment < end else None
