"""
Runs: by the schedule and by hand, ordinary ones whose end is known beforehand, and ones with a fault.

What a run with a fault did is taken from the database. It must be possible, and is true from then on.
"""

from __future__ import annotations

from datetime import datetime
from itertools import count
from typing import Any

from tests.faults.processes import PATIENCE, Process
from tests.faults.steps import since
from tests.simulation.alerts import Alerts
from tests.simulation.ledger import compare_ledger
from tests.simulation.model import HOUR, MINUTE, Key, Notification, Run
from tests.simulation.situation import START, Situation, check, check_equal, shortened
from tests.simulation.world import LONGEST_LEASE, key_of, number_of

# No time is left after what a run reserves, so it fails at once.
TOO_SHORT = 8.05
FAULTS = ("killed", "scheduler killed", "paused", "cut", "restarted", "answer lost")
SENDING = since("outbox: BEGIN")


class Runs:
    """`ticks`: what happens to the scheduled time of a day, where it is not ordinary."""

    def __init__(self, situation: Situation, alerts: Alerts, ticks: dict[int, dict[str, Any]]) -> None:
        self._situation, self._world, self._model = situation, situation.world, situation.model
        self._alerts, self._ticks = alerts, ticks
        self._numbers = count()
        self._paused: Process | None = None

    def stop(self) -> None:
        """End the process that is still paused."""
        if self._paused is not None:
            self._paused.kill()

    def on_fire(self) -> None:
        """The schedule fires, or should."""
        now, agenda = self._situation.now, self._situation.agenda
        tick = self._ticks.get((now - START).days, {"how": "normal", "retries": 2})
        enabled, _ = self._world.outside.schedule
        if not enabled or tick["how"] == "never":
            return
        if tick["how"] == "late":
            agenda.plan(now + tick["minutes"] * MINUTE, "deliver", tick=now, retries=tick["retries"])
            return
        if tick["how"] == "twice":
            agenda.plan(now + tick["minutes"] * MINUTE, "deliver", tick=now, retries=0)
        self.on_deliver(now, **tick)

    def on_deliver(self, tick: datetime, retries: int, how: str = "normal", attempt: int = 0, **fault: Any) -> None:
        """EventBridge delivers; a failed invocation is tried again by Lambda, `retries` times."""
        name = f"run-{next(self._numbers)}"
        is_quiet = not (
            self._world.lock_is_taken
            or self._situation.is_down("database", "scheduler")
            or self._model.last("running")
            or self._paused
        )
        if how == "at once" and is_quiet and not self._model.tick_is_done(tick):
            failed = self._two_runs_at_once(tick, name)
        elif how in FAULTS and is_quiet:
            failed = self._run_with_fault(tick, name, how, **fault)
        else:
            failed = self._ordinary_run(tick, name, out_of_time=how == "out of time")
        if failed and attempt < retries:
            again = self._situation.now + (1 + attempt * 2) * MINUTE
            self._situation.agenda.plan(again, "deliver", tick=tick, retries=retries, attempt=attempt + 1)

    def on_run_by_hand(self) -> None:
        self._ordinary_run(None, None)

    def _ordinary_run(self, tick: datetime | None, name: str | None, *, out_of_time: bool = False) -> bool:
        """A run in this process, whose end is known beforehand; whether it failed."""
        event = _event(tick, name) if tick and name else {"action": "run"}
        dedupe_key, now = f"run {tick or 'by hand'}", self._situation.now
        answer = self._world.cron(event, seconds=TOO_SHORT if out_of_time else 60.0)
        self._situation.counted["invocations"] += 1
        if self._world.is_down("database"):
            check(isinstance(answer, Exception), "a run without a database", answer)
            self._alerts.expect_direct(dedupe_key)
            self._alerts.compare()
            return True
        run = Run(name, tick or now, now, "running")
        reason = self._rescue_and_find_skip_reason(tick)
        self._model.runs.append(run)
        failed = False
        if reason:
            check(isinstance(answer, dict), f"a run that must be skipped ({reason}) raised", repr(answer))
            run.skip(reason)
        elif out_of_time or self._world.is_down("scheduler"):
            check(isinstance(answer, Exception), "a run that must fail succeeded", answer)
            self._compare_notifications({}, all_of_them=True)
            self._model.end_run(run, "failed", now)
            failed = True
        else:
            self._check_success(run, answer)
        if not failed:
            self._alerts.succeeded(dedupe_key)
        self._compare()
        if reason != "advisory_lock_held":
            self._alerts.check_delivery()
        return failed

    def _rescue_and_find_skip_reason(self, tick: datetime | None) -> str | None:
        """Why the next run does no work. A run that gets the lock settles older rows first, so the model does, too."""
        if self._world.lock_is_taken:
            return "advisory_lock_held"
        self._model.rescue(self._situation.now)
        return "duplicate_tick" if tick and self._model.tick_is_done(tick) else None

    def _check_success(self, run: Run, answer: object) -> None:
        check(isinstance(answer, dict), "a run that must succeed failed", repr(answer))
        evaluated = sum(pair.is_open for pair in self._model.pairs.values())
        check_equal("assignments that were evaluated", evaluated, dict(answer)["assignments_evaluated"])  # type: ignore[call-overload]
        due = self._model.due(run.tick.date(), self._situation.now)
        run.dispatched = len(due)
        self._compare_notifications(due, all_of_them=True)
        self._model.end_run(run, "success", self._situation.now)

    def _two_runs_at_once(self, tick: datetime, name: str) -> bool:
        """Two deliveries in the same moment: one works, the other is skipped."""
        names = [name, f"{name}-b"]
        self._world.at_once(*(_event(tick, each) for each in names))
        self._situation.counted["invocations"] += 2
        rows = self._situation.rows_of_runs(names)
        check_equal("two runs at once", ["skipped", "success"], sorted(row["status"] for row in rows))
        due = self._model.due(tick.date(), self._situation.now)
        for row in rows:
            run = Run(row["event_id"], tick, self._situation.now, "running", id=row["id"])
            self._model.runs.append(run)
            if row["status"] == "success":
                self._model.end_run(run, "success", self._situation.now)
                run.dispatched = len(due)
            else:
                check(row["note"] in ("advisory_lock_held", "duplicate_tick"), "a skipped run", row["note"])
                run.skip(row["note"])
        self._compare_notifications(due, all_of_them=True)
        self._compare()
        return False

    def _run_with_fault(self, tick: datetime, name: str, how: str, step: str, **details: Any) -> bool:
        """A run that is killed, paused or cut off at `step`; whether it failed."""
        self._situation.counted["invocations"] += 1
        cron, reached = self._world.hold(_event(tick, name), step, short=how == "paused")
        if reached:
            self._cause_fault(cron, how, **details)
            self._situation.counted[f"runs {how}"] += 1
        if self._paused is None:
            cron.ended.result(PATIENCE)
        self._world.wait_until_quiet("reminders-scheduler" if self._paused else "reminders-%")
        self._world.barrier.hold_at(None)
        raised = any("raised" in report for report in cron.reports)
        if step in SENDING and reached:
            self._alerts.allow_a_copy()
        self._record_outcome(tick, name, raised=raised, ended=not reached or how not in ("killed", "paused"))
        return raised or (reached and how in ("killed", "paused"))

    def _cause_fault(self, cron: Process, how: str, *, target: str = "", orderly: bool = False) -> None:
        if how == "killed":
            cron.kill()
        elif how == "cut":
            self._world.end_backends(target)
        elif how == "restarted":
            self._world.restart_database(orderly=orderly)
        elif how == "scheduler killed":
            self._world.replace_scheduler()
        elif how == "paused":
            cron.pause()
            self._paused = cron
            self._situation.agenda.plan(self._situation.now + 15 * HOUR, "resume_process")
        self._world.barrier.release(answer_is_lost=how == "answer lost")
        if how == "paused":
            in_time = self._world.lock_is_free(LONGEST_LEASE.total_seconds() + 2)
            check(in_time, "the lock of a paused run is older than its lease")

    def _record_outcome(self, tick: datetime, name: str, *, raised: bool, ended: bool) -> None:
        """Take the result of a run with a fault from the database, if it is possible."""
        due = self._model.due(tick.date(), self._situation.now)
        row = next(iter(self._situation.rows_of_runs([name])), None)
        status = row["status"] if row else None
        check(row or raised or not ended, "a run ended without a row and without an error")
        is_done = self._model.tick_is_done(tick)
        if row:
            run = Run(name, tick, self._situation.now, "running", id=row["id"])
            self._model.runs.append(run)
            if status == "skipped":
                check(is_done and row["note"] == "duplicate_tick", "a skipped run", row["note"])
                run.skip("duplicate_tick")
            elif status in ("failed", "success"):
                self._model.end_run(run, status, self._situation.now)
        new = self._compare_notifications(due, all_of_them=status == "success")
        check(not new or row, "notifications without a run")
        if status == "success":
            self._model.runs[-1].dispatched = new
        if raised and status in (None, "running"):
            self._alerts.expect_direct(name, new_process=True)
        self._compare()

    def on_resume_process(self) -> None:
        """Hours later the paused process goes on: it must find that its run is over."""
        paused, self._paused = self._paused, None
        if paused is None:
            return
        paused.resume()
        paused.ended.result(PATIENCE)
        self._world.wait_until_quiet()
        check_equal("notifications of a run that was resumed after its lease", [], self._world.new_notifications())
        self._compare()

    def _compare_notifications(self, due: dict[Key, Notification], *, all_of_them: bool) -> int:
        """The new notifications must be among those that are due; the model has them from now on."""
        found: dict[Key, Notification] = {}
        for row in self._world.new_notifications():
            key = key_of(row)
            check(key not in found, "a notification twice", key)
            found[key] = Notification(number_of(row["recipient_id"]), row["gap_days"], self._situation.now)
        extra = {key: notification for key, notification in found.items() if due.get(key) != notification}
        check(not extra, "notifications that are not due, or wrong", shortened(extra))
        missing = due.keys() - found.keys()
        check(not (all_of_them and missing), "reminders that were lost", shortened(sorted(missing)))
        self._model.dispatch(found)
        self._situation.counted["notifications"] += len(found)
        return len(found)

    def _compare(self) -> None:
        compare_ledger(self._situation)
        self._alerts.compare()


def _event(tick: datetime, name: str) -> dict[str, str]:
    return {"scheduled_time": tick.isoformat(), "execution_id": name}
