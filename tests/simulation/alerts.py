"""The outbox, and what Slack and SNS received, compared with the model's alerts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.simulation.model import DAY, Alert, Run
from tests.simulation.operators import LONGEST_PAUSE
from tests.simulation.situation import START, Situation, check, check_equal

CHANNELS = ("slack", "sns")
HEADLINES = {
    "in a row have failed": "failure",
    "1 run has failed": "failure",
    "still failing": "repeat",
    "has recovered": "recovery",
    "did not do its work": "missed_run",
    "has been going for too long": "overrun",
    "messages are not sent in time": "message_backlog",
    "messages are sent in time again": "message_recovery",
    "a channel refuses messages": "message_failure",
    "a failure that the ledger does not record": "direct",
}


class Alerts:
    """Reads what is new at each comparison."""

    def __init__(self, situation: Situation) -> None:
        self._situation, self._world, self._model = situation, situation.world, situation.model
        self._reported: set[str] = set()  # dedupe keys of what this warm process has reported directly
        self._direct_expected = dict.fromkeys(CHANNELS, 0)
        self._direct_received = dict.fromkeys(CHANNELS, 0)
        self._seen = {"outbox": 0, **dict.fromkeys(CHANNELS, 0)}
        self._undelivered: dict[str, list[Alert]] = {name: [] for name in CHANNELS}
        self._possible_copies = dict.fromkeys(CHANNELS, 0)

    def compare(self) -> None:
        """What was written to the outbox since the last time, and what the channels received."""
        rows = self._world.all(
            "SELECT kind, dedupe_key, payload FROM cron_alerts ORDER BY created_at OFFSET %s", self._seen["outbox"]
        )
        new = self._model.alerts[self._seen["outbox"] :]
        check_equal("alerts", [_key(alert) for alert in new], [_key_of_row(row) for row in rows])
        for alert, row in zip(new, rows, strict=True):
            if alert.failures is not None:
                check_equal("failures in an alert", alert.failures, row["payload"]["consecutive_failure_count"])
        self._seen["outbox"] += len(rows)
        self._situation.counted["alerts"] += len(rows)
        for channel in CHANNELS:
            self._undelivered[channel] += new
            for kind, about in self._received(channel):
                self._match(channel, kind, about)
        check_equal("alerts that were sent directly", self._direct_expected, self._direct_received)

    def check_delivery(self) -> None:
        """A channel that has worked for as long as the longest pause has every alert."""
        for channel in CHANNELS:
            up_since = self._situation.up_since.get(channel, START - DAY)
            if not self._world.is_down(channel) and self._situation.now - up_since >= LONGEST_PAUSE:
                left = [alert.kind for alert in self._undelivered[channel]]
                check_equal(f"alerts that {channel} did not get", [], left)

    @property
    def are_delivered(self) -> bool:
        return not any(self._undelivered.values())

    def expect_direct(self, dedupe_key: str, *, new_process: bool = False) -> None:
        """A failure that nothing records goes to every channel that works, once in a warm process."""
        if dedupe_key in self._reported and not new_process:
            return
        up = [channel for channel in CHANNELS if not self._world.is_down(channel)]
        for channel in up:
            self._direct_expected[channel] += 1
        if up and not new_process:
            self._reported.add(dedupe_key)

    def succeeded(self, dedupe_key: str) -> None:
        """This process reports the next failure with this key again."""
        self._reported.discard(dedupe_key)

    def allow_a_copy(self) -> None:
        """A process died, or lost its connection, between sending and recording it: each channel may get one twice."""
        for channel in CHANNELS:
            self._possible_copies[channel] += 1

    def _received(self, channel: str) -> Iterator[tuple[str, str | None]]:
        """Kind and subject of what a channel got since the last time."""
        source: list[Any] = self._world.slack.posted if channel == "slack" else self._world.outside.published
        new = source[self._seen[channel] :]
        self._seen[channel] += len(new)
        return map(_of_slack if channel == "slack" else _of_payload, new)

    def _match(self, channel: str, kind: str, about: str | None) -> None:
        """Find the alert that the channel got; none before it may be left out."""
        if kind == "direct":
            self._direct_received[channel] += 1
            return
        waiting = self._undelivered[channel]
        place = next((i for i, alert in enumerate(waiting) if _subject(alert) == (kind, about)), None)
        if place is None:
            known = any(_subject(alert) == (kind, about) for alert in self._model.alerts)
            can_be_copy = known and self._possible_copies[channel]
            check(can_be_copy, f"{channel} got an alert that nothing calls for", kind, about)
            self._possible_copies[channel] -= 1
            return
        # A recovery reports also the failures that were not delivered.
        passed = [
            alert.kind for alert in waiting[:place] if kind != "recovery" or alert.kind not in ("failure", "repeat")
        ]
        check_equal(f"{channel} got {kind} before", [], passed)
        del waiting[: place + 1]


def _key(alert: Alert) -> str:
    """As the outbox has it; of messages that wait, the kind alone."""
    if alert.about is None or isinstance(alert.about, str):
        return alert.about or alert.kind
    if isinstance(alert.about, datetime):
        return f"{alert.kind}:{alert.about:%Y-%m-%dT%H:%M:%SZ}"
    return f"{alert.kind}:{alert.about.id}"


def _key_of_row(row: dict[str, Any]) -> str:
    kind = str(row["kind"])
    return kind if kind in ("message_backlog", "message_recovery") else str(row["dedupe_key"])


def _subject(alert: Alert) -> tuple[str, str | None]:
    """As a channel shows it."""
    if isinstance(alert.about, Run):
        return alert.kind, str(alert.about.id)
    return alert.kind, f"{alert.about:%Y-%m-%d %H:%M}" if isinstance(alert.about, datetime) else None


def _of_slack(message: dict[str, Any]) -> tuple[str, str | None]:
    text = message["blocks"][1]["text"]["text"]
    kind = next(kind for words, kind in HEADLINES.items() if words in message["text"])
    run = re.search(r"^Run: (\S+)", text, re.MULTILINE)
    tick = re.search(r"^Scheduled time: (\S+ \d\d:\d\d)", text, re.MULTILINE)
    found = run or tick
    return kind, found[1] if found else None


def _of_payload(payload: dict[str, Any]) -> tuple[str, str | None]:
    kind, run, tick = payload["kind"], payload.get("run_id"), payload.get("scheduled_for")
    if kind == "failure" and run is None:
        return "direct", None
    return kind, run or (f"{datetime.fromisoformat(tick):%Y-%m-%d %H:%M}" if tick else None)
