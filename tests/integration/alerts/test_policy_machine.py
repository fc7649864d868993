"""
The whole of alerting as a state machine: runs, retries, abandoned runs, crashes and channels that are down.

The model is a few lines: a count, the ticks that have failed in this outage, the alerts that are due. The
ledger and the outbox are real, on a real database; only the channels are fakes.
"""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ops.local.server import MIGRATOR, Server
from reminders.alerts.message import Alert
from reminders.alerts.outbox import Outbox
from reminders.alerts.policy import Policy
from reminders.database import Connection
from reminders.errors import TickDone
from reminders.runs import JOB_NAME
from reminders.runs.events import RunRequest
from reminders.runs.ledger import Ledger
from reminders.runs.records import Outcome, RunStatus
from reminders.scheduling.work import Counts
from tests.alerting import FakeChannel, alerts, time_passes
from tests.factories import TICK
from tests.helpers.connections import connect_as

FIRST_TICK = TICK - timedelta(days=2)


class Place:
    """The database that all examples share; each begins with an empty one."""

    def __init__(self, owner: Connection, ledger: Connection, deliverers: list[Connection]) -> None:
        self.owner = owner
        self.ledger = ledger
        self._free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        for connection in deliverers:
            self._free.put(connection)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Connecting takes longer than everything else here, so connections are lent."""
        connection = self._free.get(timeout=30)
        try:
            yield connection
        finally:
            self._free.put(connection)

    def empty(self) -> None:
        self.owner.execute("TRUNCATE cron_execution_logs, cron_alerts, cron_alert_deliveries")


class Machine(RuleBasedStateMachine):
    """What the system does, and beside it what it should have done."""

    place: Place

    @initialize(threshold=st.integers(1, 3), repeat_every=st.integers(0, 2))
    def begin(self, threshold: int, repeat_every: int) -> None:
        self.place.empty()
        self.threshold, self.repeat_every = threshold, repeat_every
        self.channels = {name: FakeChannel(name) for name in ("slack", "sns")}
        self.outbox = Outbox(
            JOB_NAME, Policy(threshold, repeat_every), list(self.channels.values()), self.place.connect
        )
        self.ledger = Ledger(self.place.ledger, lambda: self.place.ledger, self.outbox)
        self.tick = FIRST_TICK
        self.abandoned: list[tuple[UUID, datetime | None]] = []
        self.failures = 0
        self.failed_ticks: set[datetime] = set()
        self.done_ticks: set[datetime | None] = set()
        self.due: list[tuple[str, str]] = []
        self.copies_lost_track_of: Counter[tuple[str, str]] = Counter()

    # What happens.

    @rule(succeeds=st.booleans(), delivers=st.booleans())
    def run_of_the_next_tick(self, succeeds: bool, delivers: bool) -> None:
        """`delivers` False: the process is killed between settling and sending."""
        self.tick += timedelta(minutes=1)
        self.run(self.tick, succeeds, delivers)

    @rule(succeeds=st.booleans())
    def retry_of_the_last_tick(self, succeeds: bool) -> None:
        """One that has succeeded is not begun again."""
        if self.tick not in self.done_ticks:
            return self.run(self.tick, succeeds, delivers=True)
        self.rescue()
        with pytest.raises(TickDone):
            self.open(self.tick)

    @rule(succeeds=st.booleans())
    def run_by_hand(self, succeeds: bool) -> None:
        self.run(None, succeeds, delivers=True)

    @rule(retries=st.booleans())
    def run_that_is_killed_before_it_settles(self, retries: bool) -> None:
        if not retries or self.tick in self.done_ticks:
            self.tick += timedelta(minutes=1)
        self.rescue()
        self.abandoned.append((self.open(self.tick), self.tick))

    @rule()
    def watchdog(self) -> None:
        self.rescue()
        self.deliver()

    @rule()
    def delivery_without_a_run(self) -> None:
        self.deliver()

    @rule(name=st.sampled_from(["slack", "sns"]))
    def channel_goes_down(self, name: str) -> None:
        self.channels[name].fails()

    @rule(name=st.sampled_from(["slack", "sns"]))
    def channel_comes_back(self, name: str) -> None:
        self.channels[name].works()
        time_passes(self.place.owner)

    @precondition(lambda self: any(channel.before is None for channel in self.channels.values()))
    @rule(name=st.sampled_from(["slack", "sns"]))
    def killed_between_answer_and_mark(self, name: str) -> None:
        channel = self.channels[name]
        if channel.before is not None:
            return
        before = len(channel.sent)

        def die(alert: Alert) -> None:
            channel.sent.append(alert)
            raise SystemExit

        channel.before = die
        self.deliver()
        channel.works()
        for alert in channel.sent[before:]:
            self.copies_lost_track_of[name, str(alert.run_id) + alert.kind] += 1

    # What it takes.

    def run(self, tick: datetime | None, succeeds: bool, delivers: bool) -> None:
        self.rescue()
        run_id = self.open(tick)
        outcome = (
            Outcome(RunStatus.SUCCESS, Counts())
            if succeeds
            else Outcome(RunStatus.FAILED, Counts(), error_message="it broke")
        )
        settled = self.ledger.settle(run_id, outcome)
        self.expect(run_id, tick, succeeds)
        assert self.failures == settled.consecutive_failure_count
        if delivers:
            self.deliver()

    def open(self, tick: datetime | None) -> UUID:
        request = RunRequest("schedule" if tick else "manual", scheduled_for=tick)
        return self.ledger.open(request, self.ledger.tick(request)).id

    def rescue(self) -> None:
        assert len(self.abandoned) == self.ledger.rescue(self.ledger.running())
        for run_id, tick in self.abandoned:
            self.expect(run_id, tick, succeeds=False)
        self.abandoned.clear()

    def deliver(self) -> None:
        self.outbox.deliver(self.place.ledger)

    # What should come of it: the model.

    def expect(self, run_id: UUID, tick: datetime | None, succeeds: bool) -> None:
        if succeeds:
            if self.failures >= self.threshold:
                self.due.append(("recovery", f"recovery:{run_id}"))
            self.failures = 0
            self.failed_ticks.clear()
            self.done_ticks.add(tick)
            return
        if tick in self.failed_ticks:
            return
        if tick is not None:
            self.failed_ticks.add(tick)
        self.failures += 1
        further = self.failures - self.threshold
        if further == 0:
            self.due.append(("failure", f"failure:{run_id}"))
        elif further > 0 and self.repeat_every and further % self.repeat_every == 0:
            self.due.append(("repeat", f"repeat:{run_id}"))

    @invariant()
    def outbox_holds_what_is_due(self) -> None:
        assert sorted(self.due) == sorted(alerts(self.place.owner))

    @invariant()
    def no_alert_arrives_twice(self) -> None:
        for name in self.channels:
            for key, copies in self.copies(name).items():
                assert copies <= 1 + self.copies_lost_track_of[name, key]

    def teardown(self) -> None:
        """
        When everything works again, every channel has got everything, once and in order. Only a failure that
        had not arrived when the run recovered is not reported by itself: the recovery reports it.
        """
        if not hasattr(self, "channels"):
            return
        for channel in self.channels.values():
            channel.works()
        time_passes(self.place.owner)
        self.deliver()
        for name in self.channels:
            copies, first_copies = self.copies(name), list(dict.fromkeys(self.keys(name)))
            for key, kind in zip(self.due_keys(), self.due_kinds(), strict=True):
                lowest = 0 if kind in ("failure", "repeat") and self.recovers_after(key) else 1
                assert lowest <= copies[key] <= 1 + self.copies_lost_track_of[name, key]
            assert [key for key in self.due_keys() if key in copies] == first_copies

    def copies(self, name: str) -> Counter[str]:
        return Counter(self.keys(name))

    def keys(self, name: str) -> list[str]:
        return [str(alert.run_id) + alert.kind for alert in self.channels[name].sent]

    def recovers_after(self, key: str) -> bool:
        return "recovery" in self.due_kinds()[self.due_keys().index(key) :]

    def due_kinds(self) -> list[str]:
        return [kind for kind, _ in self.due]

    def due_keys(self) -> list[str]:
        return [key.partition(":")[2] + kind for kind, key in self.due]


@pytest.fixture
def place(server: Server, module_database: str) -> Iterator[Place]:
    with ExitStack() as stack:
        runners = [stack.enter_context(connect_as(server, module_database, "cron_runner")) for _ in range(3)]
        owner = stack.enter_context(psycopg.connect(server.dsn(MIGRATOR, module_database), autocommit=True))
        yield Place(owner, runners[0], runners[1:])


# The thread that dies between answer and mark stands for a process that was killed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_alerting_against_its_model(place: Place) -> None:
    """Whatever happens in whatever order, the outbox holds what the policy says, and each channel hears it once."""
    machine = type("OnThisPlace", (Machine,), {"place": place})
    bounds = settings(
        max_examples=30,
        stateful_step_count=20,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=bounds)
