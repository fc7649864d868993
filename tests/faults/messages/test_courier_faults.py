"""
A courier is killed, paused, cut off from the database or from the provider's answer at every step.

Nothing is lost, whatever the fault. Nothing is sent twice but the one message that the provider took and that was not
settled: where the process was killed or paused, or where the provider's answer never came.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from _pytest.mark import ParameterSet

from tests.faults.messages.environment import (
    KILLED,
    PEOPLE,
    SEND_SECONDS,
    UNAVAILABLE,
    CourierEnvironment,
    Outcome,
    sent,
)
from tests.helpers.waiting import eventually

ONE_TWICE = (*(1,) * (PEOPLE - 1), 2)
COMPOSING = ["courier: connect", "courier: compose", "courier: connect 2", "courier: claim"]
SENDING = [
    f"{step} {number}" if number > 1 else step
    for number in range(1, PEOPLE + 1)
    for step in ("courier: load", "provider: send_email", "courier: settle")
]
STEPS = [*COMPOSING, *SENDING, "courier: claim 2"]
DATABASE_STEPS = [step for step in STEPS if step.startswith("courier: ")]
PROVIDER_STEPS = [step for step in STEPS if step.startswith("provider: ")]


def number_of(step: str) -> int:
    """The position of the step's message."""
    return int(step.rsplit(maxsplit=1)[-1]) if step[-1].isdigit() else 1


def kill(env: CourierEnvironment, step: str) -> Outcome:
    """SIGKILL."""
    courier = env.held_at(step)
    courier.kill()
    env.barrier.release()
    return env.finish(courier)


def after_kill(step: str) -> Outcome:
    return Outcome(KILLED, ONE_TWICE if step in PROVIDER_STEPS else (1,) * PEOPLE)


def pause(env: CourierEnvironment, step: str) -> Outcome:
    """SIGSTOP until its lease is over and others have done the work; then SIGCONT."""
    courier = env.held_at(step)
    courier.pause()
    env.barrier.release()
    time.sleep(SEND_SECONDS / 2)
    env.later_couriers()
    courier.resume()
    return env.finish(courier)


def after_pause(step: str) -> Outcome:
    if step not in SENDING:
        return Outcome(sent(PEOPLE if step == "courier: claim 2" else 0))
    # A message that is settled too late counts for the courier that sent it, as an answer that came.
    reported = number_of(step) if step not in DATABASE_STEPS or "settle" in step else number_of(step) - 1
    return Outcome(sent(reported), ONE_TWICE if step in PROVIDER_STEPS else (1,) * PEOPLE)


def cut(env: CourierEnvironment, step: str) -> Outcome:
    """The server ends every connection of the courier."""
    courier = env.held_at(step)
    end_backends(env)
    env.barrier.release()
    return env.finish(courier)


def after_cut(step: str) -> Outcome:
    return Outcome(sent())


def cut_for_a_second(env: CourierEnvironment, step: str) -> Outcome:
    """The same, and for a second there is no server."""
    courier = env.held_at(step)
    env.wire.is_away = True
    end_backends(env)
    env.barrier.release()
    time.sleep(1)
    env.wire.is_away = False
    return env.finish(courier)


def end_backends(env: CourierEnvironment) -> None:
    ours = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'reminders-courier'"
    env.superuser.execute(f"SELECT pg_terminate_backend(pid) {ours}".encode())
    assert eventually(lambda: not env.superuser.execute(f"SELECT {ours}".encode()).fetchall())


def lose_answer(env: CourierEnvironment, step: str) -> Outcome:
    """PostgreSQL, or the provider, has done it, and the connection breaks before the answer comes."""
    courier = env.held_at(step)
    env.barrier.release(answer_is_lost=True)
    return env.finish(courier)


def after_lost_answer(step: str) -> Outcome:
    if step.startswith("courier: connect"):
        return Outcome(UNAVAILABLE)
    if step == "courier: claim":
        return Outcome(sent(0))  # until the lease ends, it is not known what was claimed
    if step in PROVIDER_STEPS:
        return Outcome(sent(PEOPLE - 1, 1), ONE_TWICE)
    return Outcome(sent())


@dataclass(frozen=True, slots=True)
class Case:
    fault: Callable[[CourierEnvironment, str], Outcome]
    expected: Callable[[str], Outcome]
    step: str
    pooled: bool

    def __str__(self) -> str:
        return f"{self.fault.__name__}-{self.step}-{'pooled' if self.pooled else 'direct'}"


def cases() -> Iterator[Case]:
    """Every fault at every step where it can happen; a client of the pooler has no backend of its own to be ended."""
    for pooled in (False, True):
        for step in STEPS:
            yield Case(kill, after_kill, step, pooled)
            yield Case(pause, after_pause, step, pooled)
            yield Case(lose_answer, after_lost_answer, step, pooled)
    for step in STEPS[:-1]:
        yield Case(cut, after_cut, step, False)
    for step in SENDING:
        yield Case(cut_for_a_second, after_cut, step, False)


def first_of_each_outcome() -> list[ParameterSet]:
    """All cases; only the first one with an outcome of its fault is outside the matrix."""
    found: list[ParameterSet] = []
    seen: set[tuple[object, Outcome]] = set()
    for case in cases():
        outcome = case.fault, case.expected(case.step)
        marks = [pytest.mark.matrix] if outcome in seen or case.pooled else []
        seen.add(outcome)
        found.append(pytest.param(case, case.pooled, id=str(case), marks=marks))
    return found


@pytest.mark.parametrize(("case", "pooled"), first_of_each_outcome())
def test_fault(env: CourierEnvironment, case: Case) -> None:
    """What is left is what the fault explains, and no more."""
    env.notify()
    assert case.expected(case.step) == case.fault(env, case.step)


def test_steps(env: CourierEnvironment) -> None:
    """A courier without a fault takes these steps in this order, no more and no fewer."""
    env.notify()
    courier = env.courier(observed=True)
    assert Outcome(sent()) == env.finish(courier)
    assert STEPS == env.barrier.steps


@pytest.mark.parametrize(("patience", "expected"), [(5.0, Outcome(sent())), (0.3, Outcome(sent(0, 3), (2, 2, 2)))])
def test_slow_provider(env: CourierEnvironment, patience: float, expected: Outcome) -> None:
    """One that answers in time is waited for. One that does not may have taken the message: it is sent once more."""
    env.notify()
    env.provider.delay = 0.6
    courier = env.courier(provider_patience=patience)
    courier.ended.result(9)
    env.provider.delay = 0
    assert expected == env.finish(courier)


@pytest.mark.parametrize("couriers", [2, pytest.param(50, marks=pytest.mark.matrix)])
def test_couriers_at_once(env: CourierEnvironment, couriers: int) -> None:
    """Processes that compose, claim and send side by side: each message is sent once."""
    env.notify(40)
    running = [env.courier(send_seconds=30) for _ in range(couriers)]
    assert {0} == {courier.ended.result(50) for courier in running}
    assert (40, {1}) == (len(env.provider.taken), set(env.provider.taken.values()))
    assert 0 == env.unsent()
