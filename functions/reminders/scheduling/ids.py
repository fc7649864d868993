"""
The ids of assignments: `uuid`, or a whole number where the project existed before.

In JSON a uuid is a string and a number is a number. The ids of each type are ordered, so a range of them can be
divided.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

AssignmentId = UUID | int


@dataclass(frozen=True, slots=True)
class IdType:
    """All ids of one type, from the lowest to the highest."""

    lowest: AssignmentId
    highest: AssignmentId

    def part(self, index: int, of: int) -> tuple[AssignmentId, AssignmentId]:
        """The first and the last id of part `index` (from 0), where all ids are divided into `of` equal parts."""
        size = _number(self.highest) - _number(self.lowest) + 1
        return _moved(self.lowest, size * index // of), _moved(self.lowest, size * (index + 1) // of - 1)


UUIDS = IdType(UUID(int=0), UUID(int=(1 << 128) - 1))
BIGINTS = IdType(-(1 << 63), (1 << 63) - 1)


def ids_like(an_id: AssignmentId) -> IdType:
    """The type of the id."""
    return UUIDS if isinstance(an_id, UUID) else BIGINTS


def next_id(an_id: AssignmentId) -> AssignmentId | None:
    """The id after `an_id`, or None after the very last one."""
    return None if an_id == ids_like(an_id).highest else _moved(an_id, 1)


def previous_id(an_id: AssignmentId) -> AssignmentId:
    """The id before `an_id`, which is not the lowest."""
    return _moved(an_id, -1)


def _number(an_id: AssignmentId) -> int:
    return an_id.int if isinstance(an_id, UUID) else an_id


def _moved(an_id: AssignmentId, by: int) -> AssignmentId:
    return UUID(int=an_id.int + by) if isinstance(an_id, UUID) else an_id + by


def assignment_id(value: object) -> AssignmentId:
    """The id in JSON's `value`; raise `ValueError` if it is not one."""
    if isinstance(value, str):
        return UUID(value)
    if isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63:
        return value
    raise ValueError("not an assignment's id")


def plain_id(an_id: AssignmentId | None) -> str | int | None:
    """The id as JSON has it."""
    return str(an_id) if isinstance(an_id, UUID) else an_id
