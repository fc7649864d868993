"""The request and the response of `POST /runs`, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator

from reminders.scheduling.ids import AssignmentId, assignment_id, plain_id
from reminders.scheduling.work import DispatchRequest, DispatchResult, Shard

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)


def _id(value: object) -> AssignmentId | None:
    return None if value is None else assignment_id(value)


OptionalId = Annotated[AssignmentId | None, PlainValidator(_id)]


class ShardBody(BaseModel):
    """
    Shard `index` (from 0) of `of` shards: the ids from `first` (null: the lowest) to `last` (null: the highest).

    If both are null, it is an equal part of all possible ids.
    """

    model_config = _STRICT

    index: Annotated[int, Field(ge=0)]
    of: Annotated[int, Field(ge=1, le=64)]
    first: OptionalId = None
    last: OptionalId = None

    @model_validator(mode="after")
    def _check_index(self) -> Self:
        if self.index >= self.of:
            raise ValueError("index must be less than of")
        return self


class RunsBody(BaseModel):
    """The body of `POST /runs`."""

    model_config = _STRICT

    run_id: UUID | None = None
    as_of: date
    shard: ShardBody = ShardBody(index=0, of=1)
    cursor: OptionalId = None
    dry_run: bool = False
    budget_ms: Annotated[int, Field(ge=1, le=900_000)]

    @model_validator(mode="after")
    def _check_run_id_and_cursor(self) -> Self:
        if self.run_id is None and not self.dry_run:
            raise ValueError("run_id is needed unless dry_run is true")
        if self.cursor is not None and not self._shard().includes(self.cursor):
            raise ValueError("cursor must be in the shard")
        return self

    def request(self) -> DispatchRequest:
        """The call that the body asks for."""
        return DispatchRequest(self.run_id, self.as_of, self._shard(), self.cursor, self.dry_run)

    def _shard(self) -> Shard:
        return Shard(self.shard.index, self.shard.of, self.shard.first, self.shard.last)


OCCASIONAL = {"assignments_without_recipient", "first_error", "of_unknown_status"}


def answer(result: DispatchResult, *, dry_run: bool) -> dict[str, Any]:
    """
    The body of a 200, only JSON's own types.

    Only a dry run has `would_notify`. The keys of `OCCASIONAL` are left out if they are empty or 0. An assignment's id
    is a string if it is a uuid, and a number if it is a bigint.
    """
    counts = result.counts
    body: dict[str, Any] = {
        "assignments_evaluated": counts.evaluated,
        "reminders_dispatched": counts.dispatched,
        "assignments_failed": counts.failed,
        "assignments_without_recipient": counts.without_recipient,
        "next_cursor": plain_id(result.next_cursor),
        "first_error": result.first_error,
        "of_unknown_status": result.of_unknown_status,
    }
    if dry_run:
        planned = [asdict(notification) for notification in result.would_notify]
        body["would_notify"] = [{key: _plain(value) for key, value in row.items()} for row in planned]
    return {key: value for key, value in body.items() if value or key not in OCCASIONAL}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value
