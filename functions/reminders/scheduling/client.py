"""
How a run reaches the ReminderSchedulerService: over HTTP, or in its own process.

    Scheduler(request, deadline) ──▶ DispatchResult, or a SchedulerError that describes the response

Both take an absolute deadline on the monotonic clock and tell the service how long it may work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol
from uuid import UUID

import httpx
import stamina

from reminders.errors import DeadlineExceeded, RunSettledElsewhere, SchedulerError, safe_message
from reminders.limits import LIMITS, Limits
from reminders.scheduling.ids import AssignmentId, assignment_id, plain_id
from reminders.scheduling.service import ReminderSchedulerService
from reminders.scheduling.work import (
    LARGEST_COUNT,
    TOKEN_HEADER,
    Counts,
    DispatchRequest,
    DispatchResult,
    Planned,
)
from reminders.text import is_printable, printable

ATTEMPTS = 4
# Lambda could not accept the call, or its function failed: a repeated call may succeed.
# 429: Lambda has reached its concurrency at the moment.
RETRYABLE_STATUS = {429, 502, 503, 504}
PROBLEM = "application/problem+json"
LONGEST_REASON = 500


class Scheduler(Protocol):
    """The service as a run sees it."""

    def __call__(self, request: DispatchRequest, deadline: float, /) -> DispatchResult:
        """
        Do what `request` asks for until its shard is done or time is short. `deadline`: seconds of `time.monotonic`.

        Raise `DeadlineExceeded` when there is no time to begin, `RunSettledElsewhere` when another
        process settled the run, `SchedulerError` or `DatabaseError` when the service fails.
        """
        ...


class InProcessScheduler:
    """Calls the service in this process, each call on a connection of its own, as a request would."""

    def __init__(
        self,
        service: Callable[[], AbstractContextManager[ReminderSchedulerService]],
        clock: Callable[[], float],
        limits: Limits = LIMITS,
    ) -> None:
        self._service = service
        self._clock = clock
        self._limits = limits

    def __call__(self, request: DispatchRequest, deadline: float) -> DispatchResult:
        budget = _budget(deadline - self._clock(), self._limits)
        with self._service() as service:
            return service.work(request, budget)


class HttpScheduler:
    """
    Calls `POST {url}/runs` with a token.

    `signature` signs each request, and each retry again. The signature is in the header `Authorization`, so the token
    is in `X-Reminder-Token`. Without a signature, the token is the bearer token.

    Connection errors and 429, 502, 503, 504 are retried with jitter inside the deadline, and not before the time
    that `Retry-After` names: dispatch is idempotent and counts its own rows again, so a repeated call has the
    same result. `newer_token` is called once when the endpoint returns 401, because the token was probably rotated.
    """

    def __init__(
        self,
        url: str,
        token: str,
        newer_token: Callable[[], str | None],
        http: httpx.Client,
        clock: Callable[[], float],
        signature: httpx.Auth | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        self._url = f"{url}/runs"
        self._token = token
        self._newer_token = newer_token
        self._http = http
        self._clock = clock
        self._signature = signature
        self._limits = limits

    def __call__(self, request: DispatchRequest, deadline: float) -> DispatchResult:
        retries = stamina.retry_context(
            on=partial(self._retry, deadline),
            attempts=ATTEMPTS,
            timeout=_budget(deadline - self._clock(), self._limits),
            wait_initial=self._limits.retry_pause,
            wait_max=3.0,
            wait_jitter=self._limits.retry_jitter,
        )
        for attempt in retries:
            with attempt:
                response = self._authorized_post(request, deadline)
        return _result(response, request)

    def _retry(self, deadline: float, error: Exception) -> bool | float:
        """Whether to call again; a number is the pause in seconds that the endpoint asked for."""
        if isinstance(error, _Busy):
            left = deadline - self._clock() - self._limits.answer_margin
            return error.pause if error.pause + self._limits.shortest_budget < left else False
        return isinstance(error, _Unreachable) or (
            isinstance(error, SchedulerError) and error.http_status in RETRYABLE_STATUS
        )

    def _authorized_post(self, request: DispatchRequest, deadline: float) -> httpx.Response:
        response = self._post(request, deadline)
        if response.status_code == HTTPStatus.UNAUTHORIZED and (token := self._newer_token()):
            self._token = token
            response = self._post(request, deadline)
        if response.status_code != HTTPStatus.OK:
            raise _refusal(response)
        return response

    def _credentials(self) -> dict[str, str]:
        return {TOKEN_HEADER: self._token} if self._signature else {"authorization": f"Bearer {self._token}"}

    def _post(self, request: DispatchRequest, deadline: float) -> httpx.Response:
        left = deadline - self._clock()
        try:
            return self._http.post(
                self._url,
                content=json.dumps(_body(request, _budget(left, self._limits))),
                headers={**self._credentials(), "content-type": "application/json"},
                auth=self._signature or httpx.USE_CLIENT_DEFAULT,
                timeout=httpx.Timeout(left, connect=min(left, 5.0)),
                follow_redirects=False,
            )
        except (httpx.ReadTimeout, httpx.WriteTimeout):
            raise DeadlineExceeded("the scheduler did not answer in time") from None
        except httpx.TransportError as error:
            raise _Unreachable(f"scheduler unreachable: {type(error).__name__}") from None
        except httpx.DecodingError:
            raise SchedulerError("scheduler's answer could not be decoded") from None


class _Unreachable(SchedulerError):
    """The connection could not be made, or broke."""


class _Busy(SchedulerError):
    """The endpoint named the time of the next call; `pause` is in seconds."""

    def __init__(self, message: str, http_status: int | None = None, pause: float = 0.0) -> None:
        super().__init__(message, http_status)
        self.pause = pause


def _budget(left: float, limits: Limits) -> float:
    budget = min(limits.call_budget, left - limits.answer_margin)
    if budget < limits.shortest_budget:
        raise DeadlineExceeded("no time was left to go on dispatching")
    return budget


def _body(request: DispatchRequest, budget: float) -> dict[str, Any]:
    return {
        "run_id": request.run_id and str(request.run_id),
        "as_of": request.as_of.isoformat(),
        "shard": {
            "index": request.shard.index,
            "of": request.shard.of,
            "first": plain_id(request.shard.first),
            "last": plain_id(request.shard.last),
        },
        "cursor": plain_id(request.cursor),
        "dry_run": request.dry_run,
        "budget_ms": int(budget * 1000),
    }


def _refusal(response: httpx.Response) -> Exception:
    if response.status_code == HTTPStatus.CONFLICT:
        return RunSettledElsewhere("the scheduler says that the run is not running any more")
    summary = _problem_summary(response)
    text = f"scheduler answered {response.status_code}" + (f": {summary}" if summary else "")
    # The ledger's http_status is for a status of HTTP that is not 2xx.
    known = response.status_code <= 599 and not response.is_success
    pause = _retry_after(response) if response.status_code in RETRYABLE_STATUS else None
    if pause:
        return _Busy(text, response.status_code, pause)
    return SchedulerError(text, http_status=response.status_code if known else None)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds until the next call (RFC 9110, section 10.2.3: seconds or a date); None when it names no time."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        # A pause of more than a day is longer than any budget, and very many digits would not fit in a float.
        return min(float(text[:9]), 86_400.0)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


# Our service writes only safe problem documents, but a proxy in between may return another one.
_PERSONAL = re.compile(r"\S+@\S+|\w+://\S+|\+?\d[\d ()/-]{6,}\d|Bearer \S+")


def _problem_summary(response: httpx.Response) -> str:
    """Title and detail of a problem document (RFC 9457), else only the status' standard phrase."""
    try:
        problem = response.json() if response.headers.get("content-type", "").startswith(PROBLEM) else {}
    except (ValueError, RecursionError):
        problem = {}
    fields = problem if isinstance(problem, dict) else {}
    parts = [fields[key] for key in ("title", "detail") if isinstance(fields.get(key), str)]
    return printable(_PERSONAL.sub("[removed]", ": ".join(parts))) if parts else _phrase(response.status_code)


def _phrase(status: int) -> str:
    """The standard phrase of the status, because the response could contain any text."""
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""


def _result(response: httpx.Response, request: DispatchRequest) -> DispatchResult:
    """The answer, validated before it reaches the ledger."""
    try:
        answer = response.json()
        return DispatchResult(
            Counts(
                evaluated=_count(answer["assignments_evaluated"]),
                dispatched=_count(answer["reminders_dispatched"]),
                failed=_count(answer["assignments_failed"]),
                without_recipient=_count(answer.get("assignments_without_recipient", 0)),
            ),
            first_error=_reason(answer.get("first_error")),
            next_cursor=_cursor(answer["next_cursor"], request),
            would_notify=tuple(_planned(row) for row in answer.get("would_notify", ())),
            of_unknown_status=_count(answer.get("of_unknown_status", 0)),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        # The error's text may quote the answer, so only its class is shown.
        raise SchedulerError(
            f"scheduler answered 200 with something else than a result ({safe_message(error)})"
        ) from None


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_COUNT:
        raise ValueError("not a count")
    return value


def _reason(value: str | None) -> str | None:
    """The first assignment's error, as safe as a problem document's text."""
    return value and _PERSONAL.sub("[removed]", printable(value))[:LONGEST_REASON]


def _cursor(value: object, request: DispatchRequest) -> AssignmentId | None:
    if value is None:
        return None
    cursor = assignment_id(value)
    # A cursor that does not advance, or that leaves the shard, would keep the run busy until its deadline.
    if not request.can_go_on_at(cursor):
        raise ValueError("cursor out of bounds")
    return cursor


def _kind(value: object) -> str:
    if not isinstance(value, str) or not is_printable(value):
        raise ValueError("not a kind")
    return value


def _planned(row: dict[str, Any]) -> Planned:
    return Planned(
        assignment_id=assignment_id(row["assignment_id"]),
        org_id=UUID(row["org_id"]),
        recipient_id=UUID(row["recipient_id"]),
        kind=_kind(row["kind"]),
        gap_days=_count(row["gap_days"]),
    )
