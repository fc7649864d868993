"""
The scheduler's endpoint fails, stalls, breaks off, or answers with something false, and the cron function calls it.

What the client makes of each answer is tested with the client. Here it is what is left in the end: the service may have
done its work before its answer was lost, and every reminder must be sent exactly once and counted exactly once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest
import stamina

from ops.local.postgres import free_port
from ops.local.stack import LocalStack
from reminders.errors import DeadlineExceeded, SchedulerError
from reminders.limits import LIMITS
from reminders.scheduling import client
from tests.alerting import Behaviour, dripping_body, dripping_header, silence
from tests.faults.dependencies.days import DUE, Days
from tests.faults.dependencies.faulty_service import (
    Fault,
    FaultyService,
    after_the_work,
    answer_falsely,
    answer_with,
    cut_halfway,
)
from tests.helpers.cases import first

BUSY_MACHINE_SECONDS = 2
NO_RESULT = "answered 200 with something else than a result"


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """Four attempts, as ever, but none waits for its turn."""
    with stamina.set_testing(True, attempts=client.ATTEMPTS, cap=True):
        yield


@pytest.fixture
def short_of_time(stack: LocalStack) -> float:
    """An invocation's length in s; of it, the work gets two, because a busy machine needs one."""
    stack.limits = replace(LIMITS, reserve=1.0, answer_margin=0.1)
    return 3.0


def test_connection_refused(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connection refused: the run fails, and the next one does all."""
    with monkeypatch.context() as broken:
        broken.setenv("REMINDER_FUNCTION_URL", f"http://127.0.0.1:{free_port()}")
        row = days.expect_failure(SchedulerError, r"^scheduler unreachable: ConnectError$")
    assert row and row["http_status"] is None
    assert DUE == days.expect_success()["reminders_dispatched"]
    days.check_final_state()


def stalling(behave: Behaviour) -> Fault:
    return lambda call: behave(call.connection)


# With what the next run still finds to do.
STALLS: dict[str, tuple[Fault, int]] = {
    "silence": (stalling(silence), DUE),
    "silence after the work": (after_the_work(stalling(silence)), 0),
    "a header that drips": (stalling(dripping_header), DUE),
    "a body that drips": (after_the_work(stalling(dripping_body)), 0),
}


@pytest.mark.parametrize("stall", first(2, STALLS))
def test_answer_that_does_not_come(days: Days, faulty: FaultyService, short_of_time: float, stall: str) -> None:
    """The run fails in time to say so, whether or not the service did its work; the next one does what is left."""
    fault, left = STALLS[stall]
    faulty.next(fault)
    began = time.monotonic()
    row = days.expect_failure(DeadlineExceeded, "the scheduler did not answer in time", seconds=short_of_time)
    assert time.monotonic() - began < short_of_time + BUSY_MACHINE_SECONDS
    assert row and 0 == row["reminders_dispatched"]
    assert left == days.expect_success()["reminders_dispatched"]
    days.check_final_state()


def test_answer_that_is_cut_once(days: Days, faulty: FaultyService) -> None:
    """The call is made again; the second answer counts what the first, lost one had dispatched."""
    faulty.next(cut_halfway)
    assert DUE == days.expect_success()["reminders_dispatched"]
    assert 2 == len(faulty.calls)
    days.check_final_state()


def test_answer_that_is_cut_every_time(days: Days, faulty: FaultyService) -> None:
    """After four attempts the run fails; all was dispatched by the first one, and once."""
    faulty.next(*[cut_halfway] * client.ATTEMPTS)
    days.expect_failure(SchedulerError, r"^scheduler unreachable: RemoteProtocolError$")
    assert 0 == days.expect_success()["reminders_dispatched"]
    days.check_final_state()


@pytest.mark.parametrize("status", first(1, [500, 504, 501]))
def test_refusal_that_stays(days: Days, faulty: FaultyService, status: int) -> None:
    """The run fails with the status in its row; of those that may pass, four attempts are made."""
    attempts = client.ATTEMPTS if status in client.RETRYABLE_STATUS else 1
    faulty.next(*[answer_with(status)] * attempts)
    row = days.expect_failure(SchedulerError, f"^scheduler answered {status}: ")
    assert row and status == row["http_status"]
    assert attempts == len(faulty.calls)
    days.check_final_state()


def test_refusal_that_passes(days: Days, faulty: FaultyService) -> None:
    """A 503 before the work and a 502 after it: the run succeeds with the right counts."""
    faulty.next(answer_with(503), after_the_work(answer_with(502)))
    assert DUE == days.expect_success()["reminders_dispatched"]
    days.check_final_state()


NONSENSE: dict[str, Fault] = {
    "a page": after_the_work(answer_with(200, b"<html>", "text/html")),
    "half a JSON": after_the_work(answer_with(200, b'{"assignments_evaluated": 1')),
    "another JSON": after_the_work(answer_with(200, b'{"ok": true}')),
    "a negative count": answer_falsely(reminders_dispatched=-1),
    "a count beyond an integer": answer_falsely(assignments_evaluated=2**31),
    "a cursor outside the shard": answer_falsely(next_cursor="soon"),
    "the cursor that it was given": answer_falsely(next_cursor=str(UUID(int=0))),
}


@pytest.mark.parametrize("nonsense", first(1, NONSENSE))
def test_answer_that_cannot_be_true(days: Days, faulty: FaultyService, nonsense: str) -> None:
    """A 200 that is no result fails the run, writes no number into the ledger, and is asked for once."""
    faulty.next(NONSENSE[nonsense])
    row = days.expect_failure(SchedulerError, NO_RESULT)
    assert row and (0, 0) == (row["assignments_evaluated"], row["reminders_dispatched"])
    assert 1 == len(faulty.calls)
    days.check_final_state()


def test_cursor_that_goes_backwards(days: Days, faulty: FaultyService) -> None:
    """A run cannot be made to circle: the second answer points behind the call, and the run fails."""
    middle, before = UUID(int=1 << 127), UUID(int=(1 << 127) - 1)
    faulty.next(answer_falsely(next_cursor=str(middle)), answer_falsely(next_cursor=str(before)))
    row = days.expect_failure(SchedulerError, NO_RESULT)
    assert [None, str(middle)] == [call.body["cursor"] for call in faulty.calls]
    assert row and DUE == row["reminders_dispatched"]
    days.check_final_state()


def test_counts_whose_sum_no_ledger_can_hold(
    days: Days, faulty: FaultyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each count may be true, their sum cannot: the run fails by name, and its row can be written."""
    monkeypatch.setenv("SCHEDULER_SHARDS", "2")
    faulty.next(*[answer_falsely(assignments_evaluated=2**31 - 1)] * 2)
    row = days.expect_failure(SchedulerError, "counts are larger than the ledger can hold")
    assert row and 2**31 - 1 == row["assignments_evaluated"]
    days.check_final_state()
