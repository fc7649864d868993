"""The HTTP client against a real server on loopback that fails, stalls, redirects and sends false results."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from uuid import UUID

import httpx
import pytest
import stamina

from reminders.errors import DeadlineExceeded, ReminderError, RunSettledElsewhere, SchedulerError
from reminders.limits import LIMITS, Limits
from reminders.scheduling.client import ATTEMPTS, PROBLEM, HttpScheduler, InProcessScheduler
from reminders.scheduling.ids import previous_id
from reminders.scheduling.service import ReminderSchedulerService
from reminders.scheduling.work import Counts, DispatchRequest, DispatchResult, Planned
from tests.helpers.cases import table
from tests.unit.scheduling.fake_service import CURSOR, DONE, RUN, WORK, Answer, Exchange, FakeService, raw, result


def hang_up(exchange: Exchange) -> None:
    exchange.close_connection = True


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as connections:
        yield connections


Call = Callable[..., DispatchResult]


@pytest.fixture
def call(service: FakeService, http: httpx.Client) -> Iterator[Call]:
    """Calls the service without waiting between attempts."""

    def make(
        work: DispatchRequest = WORK,
        seconds: float = 10.0,
        newer: str | None = None,
        url: str = service.url,
        limits: Limits = LIMITS,
    ) -> DispatchResult:
        scheduler = HttpScheduler(url, "s3cret", lambda: newer, http, time.monotonic, limits=limits)
        return scheduler(work, time.monotonic() + seconds)

    with stamina.set_testing(True, attempts=ATTEMPTS, cap=True):
        yield make


@table("status", [429, 502, 503, 504])
def test_pause_that_the_endpoint_asks_for(service: FakeService, call: Call, status: int) -> None:
    """A busy endpoint is called again, by seconds or by a date that it names."""
    service.requests.clear()
    past = "Wed, 25 Nov 2026 06:00:00"
    pauses = ("1" if status == 429 else "soon", f"{past} GMT", f"{past} -0000")
    service.answers = [raw(b"", status, {"retry-after": text}) for text in pauses] + [result(DONE)]
    assert DispatchResult(Counts(7, 3, 1)) == call()
    assert 4 == len(service.requests)


def test_pause_is_kept(service: FakeService, http: httpx.Client) -> None:
    """The next call is not made before the time that Retry-After names."""
    service.answers = [raw(b"", 429, {"retry-after": "1"}), result(DONE)]
    began = time.monotonic()
    HttpScheduler(service.url, "s3cret", lambda: None, http, time.monotonic)(WORK, began + 10)
    assert time.monotonic() - began >= 1


def test_pause_longer_than_the_run(service: FakeService, call: Call) -> None:
    """No attempt waits past the deadline: the refusal is raised at once."""
    service.answers = [raw(b"", 429, {"retry-after": "3600"})]
    with pytest.raises(SchedulerError, match=r"^scheduler answered 429"):
        call()
    assert 1 == len(service.requests)


@table(("margin", "shortest", "deadline"), [(0.0, 1.0, 3.0), (3.0, 0.5, 5.0)])
def test_pause_that_leaves_no_time(
    service: FakeService, http: httpx.Client, margin: float, shortest: float, deadline: float
) -> None:
    """After it and before the margin, more than the shortest budget must be left."""
    limits = replace(LIMITS, answer_margin=margin, shortest_budget=shortest)
    service.answers = [raw(b"", 429, {"retry-after": "2"}), result(DONE)]
    with pytest.raises(SchedulerError, match=r"^scheduler answered 429"):
        HttpScheduler(service.url, "s3cret", lambda: None, http, lambda: 0.0, limits=limits)(WORK, deadline)


def test_problem_with_text_that_cannot_be_stored(service: FakeService, call: Call) -> None:
    """NUL, escape sequences and half surrogate pairs of a problem document are reported as their escapes."""
    service.answers = [result({"title": "a\x00b", "detail": "\x1b[31m \ud800"}, 422, PROBLEM)]
    with pytest.raises(SchedulerError) as caught:
        call()
    assert "scheduler answered 422: a\\x00b: \\x1b[31m \\ud800" == str(caught.value)


@table("body", [b"{", b"\xff", b"[" * 100_000])
def test_problem_that_cannot_be_read(service: FakeService, call: Call, body: bytes) -> None:
    """The status is reported without it."""
    service.answers = [raw(body, 422, {"content-type": PROBLEM})]
    with pytest.raises(SchedulerError, match=r"^scheduler answered 422: Unprocessable \w+$"):
        call()


def test_request_on_the_wire(service: FakeService, call: Call) -> None:
    """Path, token and body are what the service accepts."""
    assert DispatchResult(Counts(7, 3, 1)) == call()
    ((path, headers, body),) = service.requests
    assert ("/runs", "Bearer s3cret") == (path, headers["authorization"])
    budget = body.pop("budget_ms")
    assert {
        "run_id": str(RUN),
        "as_of": "2026-11-21",
        "shard": {"index": 1, "of": 4, "first": str(WORK.shard.first), "last": str(WORK.shard.last)},
        "cursor": str(WORK.cursor),
        "dry_run": False,
    } == body
    assert 6_000 < budget <= 7_000


def test_budget_of_a_long_run(service: FakeService, call: Call) -> None:
    """One call gets a minute at most, however much time the run has."""
    call(seconds=600)
    assert LIMITS.call_budget * 1000 == service.requests[0][2]["budget_ms"]


def test_no_time_left(service: FakeService, call: Call) -> None:
    """A call that could not be answered in time is not made."""
    with pytest.raises(DeadlineExceeded, match="no time was left"):
        call(seconds=3.05)
    assert [] == service.requests


def test_cursor_and_plan_of_an_answer(service: FakeService, call: Call) -> None:
    """What a dry run would notify comes with the answer, and so does where to go on."""
    planned = {"assignment_id": str(RUN), "org_id": str(RUN), "recipient_id": str(RUN)}
    rows = [{**planned, "kind": "reminder", "gap_days": 12}]
    service.answers = [result({**DONE, "next_cursor": str(WORK.shard.last), "would_notify": rows})]
    expected = DispatchResult(Counts(7, 3, 1), WORK.shard.last, (Planned(RUN, RUN, RUN, "reminder", 12),))
    assert expected == call()


@table(
    "trouble",
    [hang_up, *(result({}, status) for status in (502, 503, 504))],
    ids=["connection closed", "502", "503", "504"],
)
def test_transient_error_is_retried(service: FakeService, call: Call, trouble: Answer) -> None:
    """Broken connections and 502, 503, 504 are tried again, with the same body."""
    service.requests.clear()
    service.answers = [trouble, trouble, result(DONE)]
    assert DispatchResult(Counts(7, 3, 1)) == call()
    assert 3 == len(service.requests)
    assert 1 == len({json.dumps({**body, "budget_ms": 0}) for _, _, body in service.requests})


def test_persistent_error_is_raised(service: FakeService, call: Call) -> None:
    """After four attempts the last answer stands."""
    service.answers = [result({}, 503)]
    with pytest.raises(SchedulerError, match=r"^scheduler answered 503: Service Unavailable$") as caught:
        call()
    assert (503, ATTEMPTS) == (caught.value.http_status, len(service.requests))


@table("status", [400, 403, 404, 405, 413, 422, 500, 501])
def test_refusal_that_a_retry_does_not_help(service: FakeService, call: Call, status: int) -> None:
    """Any other status fails at once, and is kept for the ledger."""
    service.requests.clear()
    service.answers = [result({}, status)]
    with pytest.raises(SchedulerError, match=f"^scheduler answered {status}: ") as caught:
        call()
    assert (status, 1) == (caught.value.http_status, len(service.requests))


def test_run_settled_elsewhere(service: FakeService, call: Call) -> None:
    """409 is the fence's word, not a failure of the service."""
    service.answers = [result({}, 409)]
    with pytest.raises(RunSettledElsewhere):
        call()


@table("status", [301, 302, 303, 307, 308])
def test_redirect(service: FakeService, call: Call, status: int) -> None:
    """A redirect is not followed: the token goes to no one else."""
    service.requests.clear()
    service.answers = [raw(b"", status, {"location": f"{service.url}/elsewhere"})]
    with pytest.raises(SchedulerError, match=f"^scheduler answered {status}: "):
        call()
    assert ["/runs"] == [path for path, _, _ in service.requests]


def test_rotated_token(service: FakeService, call: Call) -> None:
    """401: the secret is fetched afresh, and the call made once more with it."""
    service.answers = [result({}, 401), result(DONE)]
    assert DispatchResult(Counts(7, 3, 1)) == call(newer="n3w")
    assert ["Bearer s3cret", "Bearer n3w"] == [headers["authorization"] for _, headers, _ in service.requests]


@table(("newer", "requests"), [(None, 1), ("n3w", 2)])
def test_wrong_token(service: FakeService, call: Call, newer: str | None, requests: int) -> None:
    """401 with nothing newer, or again with the newer one, is a failure; the token is not in its text."""
    service.requests.clear()
    service.answers = [result({"title": "Unauthorized"}, 401, PROBLEM)]
    with pytest.raises(SchedulerError, match=r"^scheduler answered 401: Unauthorized$") as caught:
        call(newer=newer)
    assert (401, requests) == (caught.value.http_status, len(service.requests))


def test_connection_refused(call: Call) -> None:
    """A refused connection is reported by its class, without host and port."""
    with FakeService() as gone:
        url = gone.url
    with pytest.raises(SchedulerError, match=r"^scheduler unreachable: ConnectError$") as caught:
        call(url=url)
    assert None is caught.value.http_status


def test_service_that_stalls(service: FakeService, call: Call) -> None:
    """A call without an answer ends at the deadline and is not repeated."""
    end = threading.Event()
    service.answers = [lambda exchange: (end.wait(10), None)[1]]
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="did not answer in time"):
        call(seconds=0.3, limits=replace(LIMITS, answer_margin=0.0))
    end.set()
    assert time.monotonic() - began < 8
    assert 1 == len(service.requests)


def test_retries_end_with_the_deadline(service: FakeService, http: httpx.Client) -> None:
    """With little time left, no attempt begins that could not be answered."""
    service.answers = [result({}, 503)]
    scheduler = HttpScheduler(service.url, "s3cret", lambda: None, http, time.monotonic)
    began = time.monotonic()
    with pytest.raises(ReminderError):
        scheduler(WORK, time.monotonic() + 3.3)
    assert time.monotonic() - began < 3.3
    assert len(service.requests) <= 2


FALSE_RESULTS: list[object] = [
    None,
    [],
    "fine",
    {},
    {**DONE, "assignments_evaluated": -1},
    {**DONE, "assignments_evaluated": "7"},
    {**DONE, "reminders_dispatched": 3.5},
    {**DONE, "reminders_dispatched": True},
    {**DONE, "assignments_failed": None},
    {**DONE, "assignments_failed": 10**12},
    {**DONE, "next_cursor": "soon"},
    {**DONE, "next_cursor": 5},
    {**DONE, "next_cursor": True},
    {**DONE, "next_cursor": 2**63},
    {**DONE, "next_cursor": str(UUID(int=0))},
    {**DONE, "next_cursor": str(previous_id(CURSOR))},
    {**DONE, "next_cursor": str(CURSOR)},
    {**DONE, "next_cursor": str(UUID(int=1 << 127))},
    {**DONE, "would_notify": None},
    {**DONE, "would_notify": [{}]},
    {**DONE, "would_notify": ["Anna"]},
]


@table("answer", FALSE_RESULTS, ids=lambda answer: json.dumps(answer)[-60:])
def test_answer_that_is_no_result(service: FakeService, call: Call, answer: object) -> None:
    """A 200 with nonsense is a failure, not a number in the ledger."""
    service.answers = [result(answer)]
    with pytest.raises(SchedulerError, match="answered 200 with something else than a result") as caught:
        call()
    assert None is caught.value.http_status


@table(
    "answer",
    [
        raw(b"<html>Anna Smith</html>"),
        raw(b"\xff\xfe"),
        raw(b""),
        raw(b"not gzip", headers={"content-encoding": "gzip"}),
        raw(b"NaN"),
        raw(b"[" * 100_000),
    ],
)
def test_answer_that_is_no_json(service: FakeService, call: Call, answer: Answer) -> None:
    """Nor is a page of someone's proxy; nothing of it is quoted."""
    service.answers = [answer]
    with pytest.raises(SchedulerError) as caught:
        call()
    assert "Anna" not in str(caught.value)


def test_2xx_that_is_not_200(service: FakeService, call: Call) -> None:
    """An answer without a result is a failure; the ledger's http_status is for those that are not 2xx."""
    service.answers = [raw(b"", 204)]
    with pytest.raises(SchedulerError, match="scheduler answered 204") as caught:
        call()
    assert None is caught.value.http_status


@table(("status", "recorded"), [(599, 599), (600, None), (799, None)])
def test_status_outside_http(service: FakeService, call: Call, status: int, recorded: int | None) -> None:
    """A number that the ledger's CHECK would refuse stays out of http_status."""
    service.answers = [raw(b"", status)]
    with pytest.raises(SchedulerError, match=f"scheduler answered {status}") as caught:
        call()
    assert recorded == caught.value.http_status


@table(
    ("problem", "message"),
    [
        ({"title": "Internal Server Error", "detail": "it broke"}, "Internal Server Error: it broke"),
        ({"detail": "it broke"}, "it broke"),
        ({"title": 7}, "Internal Server Error"),
        ([], "Internal Server Error"),
        ("it broke", "Internal Server Error"),
        (None, "Internal Server Error"),
        ({"detail": "write to anna@example.org or +44 20 7946 0000"}, "write to [removed] or [removed]"),
        ({"detail": "postgresql://user:hunter2@db/x failed"}, "[removed] failed"),
        ({"detail": "Bearer abc.def was wrong"}, "[removed] was wrong"),
    ],
)
def test_problem_document(service: FakeService, call: Call, problem: object, message: str) -> None:
    """Title and detail reach the ledger, without what looks like a person, a URL or a token."""
    service.answers = [result(problem, 500, PROBLEM)]
    with pytest.raises(SchedulerError) as caught:
        call()
    assert f"scheduler answered 500: {message}" == str(caught.value)


def test_refusal_by_a_proxy(service: FakeService, call: Call) -> None:
    """Neither a page's body nor the sender's own reason phrase is believed."""
    service.answers = [raw(b"Anna Smith", 500, {"content-type": "text/html"}, phrase="Anna Smith is away")]
    with pytest.raises(SchedulerError) as caught:
        call()
    assert "scheduler answered 500: Internal Server Error" == str(caught.value)


def test_in_process_without_time() -> None:
    """In process the same rule holds: no call without time, and no connection opened for it."""
    with pytest.raises(DeadlineExceeded, match="no time was left"):
        InProcessScheduler(lambda: pytest.fail("a service was made"), lambda: 0.0)(WORK, 3.0)
    with pytest.raises(DeadlineExceeded, match="no time was left"):
        InProcessScheduler(lambda: pytest.fail("a service was made"), lambda: 100.0)(WORK, 103.0)


def test_just_enough_time_in_this_process() -> None:
    """The shortest budget is enough for a call."""
    limits = replace(LIMITS, shortest_budget=0.5, answer_margin=1.0)
    with pytest.raises(LookupError, match="a service was made"):
        InProcessScheduler(no_service, lambda: 0.0, limits)(WORK, 1.5)


def no_service() -> AbstractContextManager[ReminderSchedulerService]:
    raise LookupError("a service was made")
