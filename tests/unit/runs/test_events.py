"""What events ask for, and which are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reminders.errors import EventError
from reminders.runs.events import ACCEPTED, RunRequest, TestAlertRequest, parse_event
from tests.helpers.cases import table

TICK = datetime(2026, 11, 21, 6, tzinfo=UTC)
FROM_SCHEDULER = {
    "scheduled_time": "2026-11-21T06:00:00Z",
    "execution_id": "d32c5kddcf5bb8c3",
    "attempt_number": "1",
    "schedule_arn": "arn:aws:scheduler:eu-west-2:123456789012:schedule/default/reminders",
}


def test_scheduler_with_context_attributes() -> None:
    """The tick is the schedule's time, the event id the execution's."""
    assert RunRequest("schedule", "d32c5kddcf5bb8c3", TICK) == parse_event(FROM_SCHEDULER)


@table("key", ["scheduled_time", "scheduled-time", "scheduledTime", "ScheduledTime", "SCHEDULED_TIME"])
def test_attribute_in_any_style(key: str) -> None:
    """People write the attribute's key as they please."""
    assert RunRequest("schedule", None, TICK) == parse_event({key: "2026-11-21T06:00:00Z"})


def test_scheduler_input_that_says_what_it_wants() -> None:
    """{"action": "run"} beside the attributes is what a run is anyway."""
    assert RunRequest("schedule", "d32c5kddcf5bb8c3", TICK) == parse_event({**FROM_SCHEDULER, "action": "run"})


@table("source", ["aws.events", "aws.scheduler"])
def test_eventbridge_envelope(source: str) -> None:
    """A rule's event, and Scheduler's own when the target has no input."""
    event = {"id": "e-1", "source": source, "time": "2026-11-21T06:00:00Z", "detail": {}, "resources": ["arn:x"]}
    assert RunRequest("schedule", "e-1", TICK) == parse_event(event)


@table(
    ("time", "tick"),
    [
        ("2026-11-21T06:00:00Z", TICK),
        ("2026-11-21T06:00:00.000Z", TICK),
        ("2026-11-21T06:00:00", TICK),
        ("2026-11-21T07:00:00+01:00", TICK),
        ("2026-11-20T23:30:00-06:30", TICK),
    ],
)
def test_time_of_a_tick(time: str, tick: datetime) -> None:
    """Any ISO 8601 time, converted to UTC; one without zone is UTC."""
    request = parse_event({"scheduled_time": time})
    assert isinstance(request, RunRequest)
    assert tick == request.scheduled_for
    assert request.scheduled_for and request.scheduled_for.tzinfo is UTC


@table(
    ("event", "request_"),
    [
        ({}, RunRequest("manual")),
        ({"action": "run"}, RunRequest("manual")),
        ({"dry_run": False}, RunRequest("manual")),
        ({"dry_run": True}, RunRequest("manual", dry_run=True)),
        ({"as_of": None}, RunRequest("manual")),
        ({"as_of": "2026-11-21"}, RunRequest("manual", as_of=date(2026, 11, 21))),
        (
            {"action": "run", "dry_run": True, "as_of": "2028-02-29"},
            RunRequest("manual", as_of=date(2028, 2, 29), dry_run=True),
        ),
        ({"action": "test_alert"}, TestAlertRequest()),
    ],
)
def test_person_at_the_console(event: dict[str, Any], request_: RunRequest | TestAlertRequest) -> None:
    """Console events in full and short."""
    assert request_ == parse_event(event)


@table(
    ("event", "reason"),
    [
        (None, "not a JSON object"),
        ([], "not a JSON object"),
        ("run", "not a JSON object"),
        (7, "not a JSON object"),
        ({"action": "stop"}, "unknown action 'stop'"),
        ({"action": ["run"]}, r"unknown action \['run'\]"),
        ({"action": None}, "unknown action None"),
        ({"action": "test_alert", "dry_run": True}, "unknown action 'test_alert'"),
        ({"dryrun": True}, "unknown key 'dryrun'"),
        ({"Dry_Run": True}, "unknown key 'Dry_Run'"),
        ({"dry_run": "true"}, "dry_run must be true or false, got 'true'"),
        ({"dry_run": 1}, "dry_run must be true or false, got 1"),
        ({"dry_run": None}, "dry_run must be true or false, got None"),
        ({"as_of": "21.11.2026"}, "as_of must be a date as in 2026-11-21"),
        ({"as_of": "20261121"}, "as_of must be a date"),
        ({"as_of": "2026-W47-6"}, "as_of must be a date"),
        ({"as_of": "2026-02-29"}, "as_of must be a date as in 2026-11-21, got '2026-02-29'"),
        ({"as_of": "2026-11-21T06:00:00Z"}, "as_of must be a date"),
        ({"as_of": "\u0662\u0660\u0662\u0666-11-21"}, "as_of must be a date"),
        ({"as_of": 20261121}, "as_of must be a date"),
        ({"source": "aws.s3", "detail": {}}, "unknown key 'source'"),
        ({"Records": [{}]}, "unknown key 'Records'"),
        ({"source": "aws.events", "id": "e-1"}, "time must be an ISO 8601 time, got None"),
        ({"source": "aws.events", "time": "yesterday"}, "time must be an ISO 8601 time, got 'yesterday'"),
        ({"scheduled_time": "<aws.scheduler.scheduled-time>"}, "scheduled_time must be an ISO 8601 time"),
        ({"scheduled_time": 1795240800}, "scheduled_time must be an ISO 8601 time"),
        ({"execution_id": "x"}, "scheduled_time must be an ISO 8601 time, got None"),
        ({**FROM_SCHEDULER, "dry_run": True}, "unknown key 'dry_run' in a schedule's input"),
        ({**FROM_SCHEDULER, "as_of": "2026-11-21"}, "unknown key 'as_of' in a schedule's input"),
        ({**FROM_SCHEDULER, "action": "test_alert"}, "unknown action 'test_alert'"),
    ],
)
def test_refused(event: object, reason: str) -> None:
    """Nothing becomes a real run by a slip; the refusal says what is wrong, and those about keys what is accepted."""
    with pytest.raises(EventError, match=reason):
        parse_event(event)


def test_refusal_says_what_is_accepted() -> None:
    """Who reads the error in the console knows what to type next."""
    with pytest.raises(EventError) as caught:
        parse_event({"hello": "world"})
    assert ACCEPTED in str(caught.value)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["action", "dry_run", "as_of", "source", "time", "id", "scheduled_time", "execution_id"])


@given(st.dictionaries(keys | st.text(max_size=6), json_values | st.sampled_from(["run", "aws.events"]), max_size=4))
def test_any_json_object(event: dict[str, Any]) -> None:
    """Whatever comes is understood or refused, and a refusal is short."""
    try:
        assert isinstance(parse_event(event), RunRequest | TestAlertRequest)
    except EventError as error:
        assert len(str(error)) < 500
