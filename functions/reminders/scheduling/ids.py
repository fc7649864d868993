"""
The ids of assignments: `uuid`, or a whole number where the project existed before.

In JSON a uuid is a string and a number is a number. The ids of each type are ordered, so that their range
can be divided into equal parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

AssignmentId = UUID | int

_LOWEST_BIGINT = -(1 << 63)


@dataclass(frozen=True, slots=True)
class IdType:
    """All ids of one type in order: how many there are, which is `at` a position from 0, and the position of one."""

    size: int
    at: Callable[[int], AssignmentId]

    def position(self, an_id: AssignmentId) -> int:
        """How many ids are lower."""
        return an_id.int if isinstance(an_id, UUID) else an_id - _LOWEST_BIGINT


UUIDS = IdType(1 << 128, lambda position: UUID(int=position))
BIGINTS = IdType(1 << 64, lambda position: position + _LOWEST_BIGINT)


def ids_like(an_id: AssignmentId) -> IdType:
    """The type of the id."""
    return UUIDS if isinstance(an_id, UUID) else BIGINTS


def assignment_id(value: object) -> AssignmentId:
    """The id in JSON's `value`; raise `ValueError` if it is not one."""
    if isinstance(value, str):
        return UUID(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= BIGINTS.position(value) < BIGINTS.size:
        return value
    raise ValueError("not an assignment's id")
