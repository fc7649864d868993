"""The watchdog on a real database: what it notices, what it leaves alone, and that it never does anything twice."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from reminders.alerts.outbox import Outbox
from reminders.database import Connection
from reminders.limits import LIMITS
from reminders.runs import JOB_NAME
from reminders.runs.ledger import Ledger
from reminders.runs.lock import LOCK_KEY, RunLock
from reminders.runs.records import Outcome, RunningRun, RunStatus
from reminders.runs.watchdog import (
    OLDEST_LIVING_RUN,
    ScheduleState,
    WatchdogSummary,
    _LastRuns,
    queries,
    watch,
)
from reminders.scheduling.work import Counts
from tests.alerting import FAILURE, FakeChannel, alerts, captured_log
from tests.factories import add_run, count, runs
from tests.helpers.connections import AsRole
from tests.helpers.services import MakeLedger, MakeOutbox, MakeWatchdog

MINUTE = timedelta(minutes=1)


def now() -> datetime:
    return datetime.now(UTC)


def ago(**how_long: float) -> datetime:
    return now() - timedelta(**how_long)


def daily(tick: datetime) -> str:
    """The expression whose newest tick that is, if it is today's or yesterday's."""
    return f"cron({tick.minute} {tick.hour} * * ? *)"


@pytest.fixture
def lock_is_held(as_role: AsRole) -> Iterable[None]:
    """Someone's run goes on."""
    with RunLock(as_role("cron_runner")).lease(60) as taken:
        assert taken
        yield


def running(owner: Connection, minutes: float, **columns: Any) -> UUID:
    """A run that began that long ago."""
    return add_run(owner, "running", started_at=ago(minutes=minutes), **columns)


def test_quiet_day(make_watchdog: MakeWatchdog, owner: Connection, slack: FakeChannel) -> None:
    """Nothing is wrong: nothing is found, written or sent."""
    assert WatchdogSummary() == watch(make_watchdog())
    assert (0, []) == (count(owner, "cron_alerts"), slack.sent)


# Runs that do not end.


@pytest.mark.usefixtures("lock_is_held")
def test_run_that_takes_too_long(make_watchdog: MakeWatchdog, owner: Connection, slack: FakeChannel) -> None:
    """One overrun alert for it, saying since when, however often the watchdog comes."""
    run_id = running(owner, 31)
    deps = make_watchdog(ledger=NeverRescuing(make_watchdog().ledger))
    assert [1, 0, 0] == [watch(deps).overruns for _ in range(3)]
    (alert,) = slack.sent
    assert ("overrun", str(run_id)) == (alert.kind, alert.run_id)
    assert alert.error_message is not None
    assert alert.error_message.startswith("running for 31 minutes, since ")
    assert [("overrun", f"overrun:{run_id}")] == alerts(owner)


class NeverRescuing(Ledger):
    """A ledger whose rescues have no effect, so that the overrun is seen alone."""

    def __init__(self, real: Ledger) -> None:
        self._real = real

    def running(self) -> list[RunningRun]:
        return self._real.running()

    def rescue(self, abandoned: Iterable[RunningRun]) -> int:
        return 0


@pytest.mark.usefixtures("lock_is_held")
def test_run_within_its_time(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """29 minutes are no overrun."""
    running(owner, 29)
    assert 0 == watch(make_watchdog()).overruns
    assert "overrun" not in [kind for kind, _ in alerts(owner)]


def test_overrun_that_is_rescued_at_once(make_watchdog: MakeWatchdog, owner: Connection, slack: FakeChannel) -> None:
    """The overrun is reported although the rescue, in the same round, ends it."""
    running(owner, 45)
    summary = watch(make_watchdog())
    assert (1, 1, ["overrun"]) == (summary.overruns, summary.rescued, slack.kinds)


# Runs whose process is gone.


def test_run_without_the_lock(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """Its process is gone, however young it is: it is settled as failed, and has no duration."""
    running(owner, 0.1)
    assert 1 == watch(make_watchdog()).rescued
    (run,) = runs(owner)
    assert ("failed", 1, None) == (run["status"], run["consecutive_failure_count"], run["duration_ms"])
    assert run["error_message"].startswith("abandoned: ")


def test_rescue_that_alerts(
    make_watchdog: MakeWatchdog, owner: Connection, slack: FakeChannel, sns: FakeChannel
) -> None:
    """An abandoned run counts like a failure, and the second in a row is reported in the same round."""
    add_run(owner, "failed", started_at=ago(days=1), scheduled_for=ago(days=1))
    run_id = running(owner, 2)
    watch(make_watchdog())
    assert (["failure"], ["failure"]) == (slack.kinds, sns.kinds)
    assert (str(run_id), 2) == (slack.sent[0].run_id, slack.sent[0].consecutive_failure_count)


@pytest.mark.usefixtures("lock_is_held")
@pytest.mark.parametrize("minutes", [0.1, 15])
def test_run_that_lives(make_watchdog: MakeWatchdog, owner: Connection, minutes: float) -> None:
    """While the lock is held, and no longer than a Lambda lives, it is left alone."""
    running(owner, minutes)
    assert 0 == watch(make_watchdog()).rescued
    assert ["running"] == [run["status"] for run in runs(owner)]


@pytest.mark.usefixtures("lock_is_held")
def test_run_older_than_any_lambda(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """Another session holds the lock, not this run: no Lambda runs so long."""
    running(owner, OLDEST_LIVING_RUN / MINUTE + 0.1)
    assert 1 == watch(make_watchdog()).rescued


def test_lock_of_another_database(make_watchdog: MakeWatchdog, owner: Connection, server: Any) -> None:
    """Advisory locks belong to a database: the same key held in another database does not keep a run alive."""
    import psycopg

    running(owner, 1)
    with psycopg.connect(server.dsn(server.superuser, "postgres")) as elsewhere:
        elsewhere.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_KEY])
        assert 1 == watch(make_watchdog()).rescued


def test_run_that_settles_meanwhile(
    make_watchdog: MakeWatchdog, make_ledger: MakeLedger, outbox: Outbox, owner: Connection
) -> None:
    """Seen running, then its lock seen free: it has ended properly, and stays as it ended."""
    run_id = running(owner, 2)
    real = make_ledger(outbox)

    class Late(NeverRescuing):
        def running(self) -> list[RunningRun]:
            seen = real.running()
            if seen:
                real.settle(run_id, Outcome(RunStatus.SUCCESS, Counts()))
            return seen

        def rescue(self, abandoned: Iterable[RunningRun]) -> int:
            return real.rescue(abandoned)

    assert 0 == watch(make_watchdog(ledger=Late(real))).rescued
    assert ["success"] == [run["status"] for run in runs(owner)]
    assert [] == alerts(owner)


def test_run_that_a_frozen_batch_still_holds(
    make_watchdog: MakeWatchdog, make_ledger: MakeLedger, outbox: Outbox, as_role: AsRole, owner: Connection
) -> None:
    """It is left to the next round, and the other steps are done."""
    ledger = make_ledger(outbox, limits=replace(LIMITS, settle=replace(LIMITS.settle, lock=0.2)))
    run_id = running(owner, 2)
    add_run(owner, "failed", started_at=ago(days=400))
    batch = as_role("reminder_scheduler")
    with batch.transaction():
        batch.execute("SELECT hold_run(%s)", [run_id])
        summary = watch(make_watchdog(ledger=ledger))
    assert (0, 1) == (summary.rescued, summary.pruned)
    assert 1 == watch(make_watchdog()).rescued


# Ticks that no one ran.


def test_tick_that_left_no_row(make_watchdog: MakeWatchdog, owner: Connection, slack: FakeChannel) -> None:
    """One alert for it, naming tick and schedule, however often the watchdog comes."""
    tick = ago(minutes=20).replace(second=0, microsecond=0)
    deps = make_watchdog(daily(tick))
    message = f"{tick:%Y-%m-%dT%H:%M:%SZ}"
    assert [message, None, None] == [watch(deps).missed_tick for _ in range(3)]
    (alert,) = slack.sent
    assert ("missed_run", message, daily(tick)) == (alert.kind, alert.scheduled_for, alert.schedule)
    assert f"no run was started at the scheduled time {tick:%Y-%m-%d %H:%M} UTC" == alert.error_message
    assert [("missed_run", f"missed_run:{message}")] == alerts(owner)


def test_next_tick_is_missed_too(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """Each tick has an alert of its own."""
    for minutes in (50, 20):
        watch(make_watchdog(daily(ago(minutes=minutes))))
    assert 2 == count(owner, "cron_alerts")


def test_tick_that_is_not_late_yet(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """Within the grace nothing is said of it, and yesterday's is there."""
    tick = ago(minutes=14)
    add_run(owner, "success", scheduled_for=(tick - timedelta(days=1)).replace(second=0, microsecond=0))
    assert watch(make_watchdog(daily(tick))).missed_tick is None


DAY = timedelta(days=1)


@pytest.fixture
def tick() -> datetime:
    """A scheduled time that is past its grace."""
    return ago(minutes=20).replace(second=0, microsecond=0)


@pytest.mark.parametrize("status", ["running", "success", "failed"])
def test_tick_that_left_a_row(make_watchdog: MakeWatchdog, owner: Connection, tick: datetime, status: str) -> None:
    """A run that failed or still runs has alerts of its own."""
    add_run(owner, "success", scheduled_for=tick - DAY, started_at=tick - DAY)
    add_run(owner, status, scheduled_for=tick + timedelta(seconds=17), started_at=tick)
    assert watch(make_watchdog(daily(tick))).missed_tick is None


@pytest.mark.parametrize("other", [{"job_name": "another-job"}, {"scheduled_for": 90}], ids=str)
def test_row_of_something_else(
    make_watchdog: MakeWatchdog, owner: Connection, tick: datetime, other: dict[str, Any]
) -> None:
    """Another job's run, or one that is scheduled a minute later, is not this tick's."""
    columns = {"job_name": JOB_NAME, **other, "scheduled_for": tick + timedelta(seconds=other.get("scheduled_for", 0))}
    add_run(owner, "success", scheduled_for=tick - DAY, started_at=tick - DAY)
    add_run(owner, "failed", started_at=tick, **columns)
    assert watch(make_watchdog(daily(tick))).missed_tick is not None


def test_newest_ticks(as_role: AsRole, owner: Connection, tick: datetime) -> None:
    """The schedule's own, of this job and of the past: of whatever result, and of a success."""
    rows: list[tuple[int, dict[str, Any]]] = [
        (0, {"trigger_source": "manual"}),
        (-1, {}),  # to come
        (1, {"job_name": "another-job"}),
        (3, {}),
    ]
    for days, columns in rows:
        moment = tick - days * DAY
        add_run(owner, "success", started_at=min(moment, now()), scheduled_for=moment, **columns)
    add_run(owner, "failed", started_at=tick - 2 * DAY, scheduled_for=tick - 2 * DAY)
    last = queries.one(as_role("cron_runner"), "last_runs", _LastRuns, job_name=JOB_NAME)
    assert (tick - 2 * DAY, tick - 3 * DAY) == (last.last_tick, last.last_success_tick)


@pytest.mark.parametrize("kind", ["failure", "repeat"])
def test_report_of_failures(as_role: AsRole, owner: Connection, kind: str) -> None:
    """A first alert or a repeated one, of this outage; nothing else."""
    insert = "INSERT INTO cron_alerts (kind, dedupe_key, payload, created_at) VALUES (%s, %s, '{}', %s)"
    owner.execute(insert, [kind, "old", ago(hours=5)])
    owner.execute(insert, ["recovery", "other", ago(hours=1)])
    found = [
        queries.value(as_role("cron_runner"), "failure_is_reported", since=since)
        for since in (ago(hours=6), ago(hours=4), None)
    ]
    assert [True, False, True] == found


def test_tick_whose_runs_were_all_skipped(
    make_watchdog: MakeWatchdog, owner: Connection, tick: datetime, slack: FakeChannel
) -> None:
    """A session that took the lock and let go of it has cost the day's reminders: reported."""
    add_run(owner, "skipped", scheduled_for=tick, started_at=tick, note="advisory_lock_held")
    watch(make_watchdog(daily(tick)))
    message = f"every run for the scheduled time {tick:%Y-%m-%d %H:%M} UTC was skipped"
    assert [f"{message}; the run lock, which another session held, is free now"] == [
        a.error_message for a in slack.sent
    ]


def test_lock_that_a_session_holds(
    make_watchdog: MakeWatchdog, owner: Connection, as_role: AsRole, tick: datetime, slack: FakeChannel
) -> None:
    """Any login can take the lock, so the alert names who has it: pid, role, application name and since when."""
    holder = as_role("contact_admin_api")
    holder.execute("SELECT set_config('application_name', 'psql \x1b[2J', false), pg_advisory_lock(%s)", [LOCK_KEY])
    add_run(owner, "skipped", scheduled_for=tick, started_at=tick, note="advisory_lock_held")
    watch(make_watchdog(daily(tick)))
    (alert,) = slack.sent
    pid = holder.info.backend_pid
    assert alert.error_message
    assert f"; the run lock is held by pid {pid}, role contact_admin_api, application name psql" in alert.error_message
    assert "\x1b" not in alert.error_message
    assert ", since " in alert.error_message


@pytest.mark.parametrize(
    ("row", "worked"),
    [
        ({}, True),
        ({"started_at": -4 * MINUTE}, True),
        ({"started_at": -6 * MINUTE}, False),
        ({"started_at": -DAY}, False),
        ({"trigger_source": "manual"}, True),
        ({"trigger_source": "manual", "started_at": -MINUTE, "scheduled_for": -MINUTE}, False),
        ({"scheduled_for": -MINUTE, "started_at": -MINUTE}, False),
        ({"scheduled_for": DAY}, True),
        ({"started_at": DAY, "scheduled_for": DAY}, False),
        ({"job_name": "another-job"}, False),
    ],
    ids=str,
)
def test_success_that_a_tick_is_done_by(
    make_watchdog: MakeWatchdog, owner: Connection, tick: datetime, row: dict[str, Any], worked: bool
) -> None:
    """Its own, opened at its time, or any that was opened after it. A success of before, or to come, proves nothing."""
    times = {name: tick + row.get(name, timedelta(0)) for name in ("scheduled_for", "started_at")}
    add_run(owner, "success", **{**row, **times})
    assert worked == (watch(make_watchdog(daily(tick))).missed_tick is None)


def test_failures_that_no_alert_reports(
    make_watchdog: MakeWatchdog, owner: Connection, tick: datetime, slack: FakeChannel
) -> None:
    """Rows may say that runs failed for long, so that no failure crosses the threshold: the ticks are counted."""
    add_run(owner, "success", scheduled_for=tick - 2 * DAY, started_at=tick - 2 * DAY)
    for day in (1, 0):
        then = tick - day * DAY
        add_run(owner, "failed", scheduled_for=then, started_at=then, consecutive_failure_count=1_000)
    watch(make_watchdog(daily(tick)))
    message = "at least 2 scheduled times have passed since the last run that did its work"
    assert [("missed_run", message)] == [(alert.kind, alert.error_message) for alert in slack.sent]


def test_failures_that_an_alert_reports(
    make_watchdog: MakeWatchdog, outbox: Outbox, runner: Connection, owner: Connection, tick: datetime
) -> None:
    """The alert about failing runs is enough."""
    ids = [add_run(owner, "failed", scheduled_for=then, started_at=then) for then in (tick - DAY, tick)]
    outbox.write(runner, replace(FAILURE, run_id=str(ids[-1])))
    assert watch(make_watchdog(daily(tick))).missed_tick is None


def test_schedule_that_is_paused(make_watchdog: MakeWatchdog) -> None:
    """A paused schedule that does not fire is not reported."""
    paused = make_watchdog(daily(ago(minutes=20)), schedule=lambda: ScheduleState(False, ago(days=900)))
    assert watch(paused).missed_tick is None


def test_schedule_that_was_resumed_after_the_tick(make_watchdog: MakeWatchdog) -> None:
    """A tick from before it was made, changed or resumed was not its tick."""
    resumed = make_watchdog(daily(ago(minutes=20)), schedule=lambda: ScheduleState(True, ago(minutes=10)))
    assert watch(resumed).missed_tick is None


def test_schedule_that_was_changed_before_the_tick(make_watchdog: MakeWatchdog) -> None:
    """From then on its ticks count."""
    changed = make_watchdog(daily(ago(minutes=20)), schedule=lambda: ScheduleState(True, ago(minutes=30)))
    assert watch(changed).missed_tick is not None


def test_schedule_that_cannot_be_read(make_watchdog: MakeWatchdog) -> None:
    """It is taken to be enabled: better a false alarm than none."""
    assert watch(make_watchdog(daily(ago(minutes=20)), schedule=lambda: None)).missed_tick is not None


def test_rate_counts_from_the_newest_run(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """A rate's ticks follow the newest run that the schedule started."""
    newest = ago(minutes=100)
    add_run(owner, "success", scheduled_for=newest, started_at=newest)
    missed = watch(make_watchdog("rate(1 hour)")).missed_tick
    assert f"{newest + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}" == missed


def test_rate_and_rows_without_a_result(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """Rows that can be written at any moment do not put a rate's ticks off."""
    newest = ago(minutes=100)
    add_run(owner, "success", scheduled_for=newest, started_at=newest)
    for moment in (ago(minutes=16), ago(minutes=1), ago(days=-3)):
        add_run(owner, "skipped", scheduled_for=moment, note="advisory_lock_held")
    assert watch(make_watchdog("rate(1 hour)")).missed_tick is not None


def test_rate_that_is_on_time(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """The next tick is not due yet, or within its grace."""
    add_run(owner, "success", scheduled_for=ago(minutes=74))
    assert watch(make_watchdog("rate(1 hour)")).missed_tick is None


def test_rate_that_never_fired(make_watchdog: MakeWatchdog) -> None:
    """Its ticks follow its making."""
    since = ago(minutes=130)
    deps = make_watchdog("rate(1 hour)", schedule=lambda: ScheduleState(True, since))
    assert f"{since + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}" == watch(deps).missed_tick


def test_rate_that_nothing_is_known_of(make_watchdog: MakeWatchdog) -> None:
    """Without a run and without an answer from EventBridge no one can say when it was due."""
    assert watch(make_watchdog("rate(1 hour)", schedule=lambda: None)).missed_tick is None


def test_rate_that_was_changed_since_the_newest_run(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """A change begins the count again: the old rhythm's ticks are no one's."""
    add_run(owner, "success", scheduled_for=ago(minutes=100))
    changed = make_watchdog("rate(1 hour)", schedule=lambda: ScheduleState(True, ago(minutes=50)))
    assert watch(changed).missed_tick is None


# What it sends, what it prunes.


def test_alert_that_was_not_sent(
    make_watchdog: MakeWatchdog, outbox: Outbox, runner: Connection, owner: Connection, slack: FakeChannel
) -> None:
    """What the outbox still holds goes out, once."""
    outbox.write(runner, replace(FAILURE, run_id=str(add_run(owner, "failed"))))
    deps = make_watchdog()
    watch(deps)
    watch(deps)
    assert ["failure"] == slack.kinds


def test_rows_past_their_retention(
    make_watchdog: MakeWatchdog, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go, batch by batch; younger ones, running ones and the newest success stay."""
    monkeypatch.setattr("reminders.runs.watchdog.PRUNE_BATCH", 3)
    newest_success = add_run(owner, "success", started_at=ago(days=400), scheduled_for=ago(days=400))
    add_run(owner, "success", started_at=ago(days=401), scheduled_for=ago(days=401))
    for days in range(402, 409):
        add_run(owner, "failed", started_at=ago(days=days), scheduled_for=ago(days=days))
    young = add_run(owner, "failed", started_at=ago(days=364))
    deps = make_watchdog(ledger=NeverRescuing(make_watchdog().ledger))
    stuck = running(owner, 500 * 24 * 60)
    assert 8 == watch(deps).pruned
    assert {newest_success, young, stuck} == {run["id"] for run in runs(owner)}


def test_pruning_when_time_is_short(
    make_watchdog: MakeWatchdog, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops after the batch that it is in; the rest goes next time."""
    monkeypatch.setattr("reminders.runs.watchdog.PRUNE_BATCH", 2)
    for days in range(400, 405):
        add_run(owner, "failed", started_at=ago(days=days))
    left = iter([60.0, 9.0, 9.0])  # the last one for messages
    assert 2 == watch(make_watchdog(seconds_left=lambda: next(left))).pruned
    assert 3 == watch(make_watchdog()).pruned


# Twice at once, and with something broken.


def test_two_watchdogs_at_once(
    make_watchdog: MakeWatchdog,
    make_outbox: MakeOutbox,
    make_ledger: MakeLedger,
    owner: Connection,
    slack: FakeChannel,
    sns: FakeChannel,
) -> None:
    """Whatever they both find happens once: overrun, rescue, missed tick, alerts and pruning."""
    tick = ago(minutes=20)
    add_run(owner, "failed", started_at=ago(days=1), scheduled_for=ago(days=1))
    for days in range(400, 440):
        add_run(owner, "failed", started_at=ago(days=days))
    for minutes in (46, 45):
        running(owner, minutes, scheduled_for=ago(minutes=minutes))
    together = threading.Barrier(4)

    def one(number: int) -> WatchdogSummary:
        deps = make_watchdog(daily(tick), ledger=make_ledger(make_outbox(slack, sns)))
        together.wait(30)
        return watch(deps)

    with ThreadPoolExecutor(4) as pool:
        rounds = list(pool.map(one, range(4)))
    assert (2, 2, 40) == tuple(sum(getattr(r, name) for r in rounds) for name in ("overruns", "rescued", "pruned"))
    assert 1 == sum(r.missed_tick is not None for r in rounds)
    expected = ["failure", "missed_run", "overrun", "overrun"]
    assert (expected, expected) == (sorted(slack.kinds), sorted(sns.kinds))
    assert [1, 2, 3] == sorted(run["consecutive_failure_count"] for run in runs(owner))


def test_runs_beside_it(make_watchdog: MakeWatchdog, as_role: AsRole, owner: Connection) -> None:
    """In none of its steps does it hold the run lock, even for an instant: no run is made to skip."""
    deps = make_watchdog(daily(ago(minutes=20)))
    lock = RunLock(as_role("cron_runner"))

    def ten_rounds() -> None:
        for _ in range(10):
            running(owner, 1)
            watch(deps)

    with ThreadPoolExecutor(1) as pool:
        rounds = pool.submit(ten_rounds)
        while not rounds.done():
            with lock.lease(10) as locked:
                assert locked
        rounds.result()


def broken(*arguments: object, **named: object) -> Any:
    raise RuntimeError("broken")


@pytest.mark.parametrize("step", ["overrun", "rescue", "missed", "messages", "deliver", "prune"])
def test_step_that_fails(
    make_watchdog: MakeWatchdog, owner: Connection, slack: FakeChannel, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are done all the same; then its error is raised, so that Lambda counts it."""
    add_run(owner, "skipped", started_at=ago(days=400), note="advisory_lock_held")
    running(owner, 45)
    names = {
        "overrun": "_alert_overruns",
        "rescue": "_rescue",
        "missed": "_alert_missed_tick",
        "messages": "_alert_backlog",
        "prune": "_prune",
    }
    deps = make_watchdog(daily(ago(minutes=20)))
    if step == "deliver":
        monkeypatch.setattr(deps.outbox, "deliver", broken)
    else:
        monkeypatch.setattr(f"reminders.runs.watchdog.{names[step]}", broken)
    with captured_log() as log, pytest.raises(RuntimeError):
        watch(deps)
    assert f'"step":"{step}","reason":"unexpected RuntimeError"' in log.getvalue()
    written = {"overrun": {"missed_run"}, "missed": {"overrun"}}.get(step, {"missed_run", "overrun"})
    assert written == {kind for kind, _ in alerts(owner)}
    assert (set() if step == "deliver" else written) == set(slack.kinds)
    left = {run["status"] for run in runs(owner)}
    assert ("running" in left) == (step == "rescue")
    assert (2 if step == "prune" else 1) == count(owner, "cron_execution_logs")


def test_settings_of_the_rules(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """Overrun and retention are as the settings say."""
    deps = make_watchdog()
    running(owner, 3)
    add_run(owner, "failed", started_at=ago(days=91))
    strict = replace(deps, rules=replace(deps.rules, overrun=2 * MINUTE, retention_days=90))
    summary = watch(strict)
    assert (1, 1) == (summary.overruns, summary.pruned)
