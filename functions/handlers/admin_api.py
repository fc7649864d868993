"""Requests and responses of the admin function as JSON, and their OpenAPI description."""

from __future__ import annotations

import re
from datetime import date, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from handlers.problems import CONTENT_TYPE

TITLE = "Assignment Reminders: admin"
DESCRIPTION = """\
The run history, and the correction of a contact date.

Every call but the one for this document needs a Supabase access token of a user whose `app_metadata.role` is
`admin`. Where `app_metadata.org_ids` is set, it limits which organisations' assignments can be corrected.
Every error is a problem document (RFC 9457).
"""


def _day(value: object) -> object:
    # Pydantic would take timestamps and numbers, too.
    if not isinstance(value, date) and not (
        isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII)
    ):
        raise ValueError("must be a date as in 2026-11-21")
    return value


def _uuid(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        raise ValueError("must be a UUID")
    return value


def _assignment_id(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value, re.ASCII):
        return int(value)
    return _uuid(value)


def _digits(value: object) -> object:
    # int() would take other scripts' digits, "1_0" and " 10 ", too.
    if isinstance(value, str) and not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise ValueError("must be a whole number")
    return value


Day = Annotated[date, BeforeValidator(_day)]
Uuid = Annotated[UUID, BeforeValidator(_uuid)]
# A uuid, or a number where the project's assignments have such ids.
AssignmentIdParam = Annotated[UUID | int, BeforeValidator(_assignment_id)]
Limit = Annotated[int, Field(ge=1, le=100), BeforeValidator(_digits)]

# What reminders.text.is_printable refuses, as a client's regular expression can say it (a test compares them).
_UNPRINTABLE = (
    "\x00-\x1f\x7f-\x9f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
)
# No space at either end.
REASON = rf"^[^\s{_UNPRINTABLE}][^{_UNPRINTABLE}]{{1,498}}[^\s{_UNPRINTABLE}]$"


class Status(StrEnum):
    """The status of a run."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"


class CorrectionBody(BaseModel):
    """The body of `PATCH /assignments/{id}/last-contact-date`."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"last_contact_date": "2026-11-14", "reason": "Met on Saturday, logged late"}},
    )

    last_contact_date: Annotated[Day, Field(description="Not in the future (UTC), not before the assignment began")]
    reason: Annotated[
        str, Field(min_length=3, max_length=500, pattern=REASON, description="One line; kept with the correction")
    ]


class CorrectionAnswer(BaseModel):
    """
    The correction that made the date what it is.

    `corrected_by`, `corrected_at` and `reason` are null if the date had this value already, without a correction.
    """

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "assignment_id": "7f0c2f0e-2b5e-4a0c-9d6b-0f6a3a4d9a11",
                "old_date": "2026-11-01",
                "new_date": "2026-11-14",
                "reason": "Met on Saturday, logged late",
                "corrected_by": "0b9f6c1e-5d52-4f2a-8a57-6a2f7f0f2c55",
                "corrected_at": "2026-11-21T09:30:00Z",
            }
        },
    )

    assignment_id: UUID | int
    old_date: Annotated[
        date | str | None,
        Field(description="As PostgreSQL writes it where it is infinite or outside the years 1 to 9999: `infinity`"),
    ]
    new_date: date
    reason: str | None
    corrected_by: UUID | None
    corrected_at: datetime | None


class RunItem(BaseModel):
    """One run. Times are UTC, `http_status` is what the scheduler answered when it was not 2xx."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    trigger_source: str
    scheduled_for: datetime
    started_at: datetime
    completed_at: datetime | None
    duration_ms: int | None
    assignments_evaluated: int
    reminders_dispatched: int
    assignments_failed: int
    assignments_without_recipient: int
    status: Status
    http_status: int | None
    error_message: str | None
    note: str | None
    consecutive_failure_count: int


class RunsAnswer(BaseModel):
    """Newest first. `next_before` is the `before` of the next, older page; null on the last."""

    model_config = ConfigDict(from_attributes=True)

    runs: list[RunItem]
    next_before: UUID | None


def problems(**described: str) -> dict[int, Any]:
    """The OpenAPI description of an operation's errors: `problems(NOT_FOUND="no such assignment")`."""
    return {int(HTTPStatus[name]): _problem(HTTPStatus[name], text) for name, text in described.items()}


def _problem(status: HTTPStatus, text: str) -> dict[str, Any]:
    example = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": text}
    schema = {
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    }
    return {"description": text, "content": {CONTENT_TYPE: {"schema": schema, "example": example}}}


EVERYWHERE = problems(
    UNAUTHORIZED="no valid access token",
    FORBIDDEN="the caller is not an admin, or a second factor is needed",
    UNPROCESSABLE_ENTITY="the request is not valid; `errors` says why",
    INTERNAL_SERVER_ERROR="an unexpected error; the log has it under the request's id",
    SERVICE_UNAVAILABLE="the database or the keys cannot be reached at the moment",
)
