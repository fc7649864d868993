"""A channel's time limit always holds, and its errors contain no secret."""

from __future__ import annotations

import threading
import time

import pytest

from reminders.alerts.channels import ChannelError, send_within
from reminders.alerts.direct import DELIVERED, send_now
from reminders.alerts.message import Alert
from tests.alerting import FAILURE, FakeChannel, captured_log


def hang(alert: Alert) -> None:
    threading.Event().wait(30)


def explode(alert: Alert) -> None:
    raise RuntimeError("https://hooks.example/services/secret")


def test_channel_that_hangs() -> None:
    """It is left behind, and the reason says so."""
    began = time.monotonic()
    with pytest.raises(ChannelError, match=r"^sns: no answer within 0\.2 s$"):
        send_within(FakeChannel("sns", hang), FAILURE, 0.2)
    assert time.monotonic() - began < 10


def test_channel_with_a_bug() -> None:
    """Of a surprise only the class is reported, for its text may hold anything; it may pass by itself."""
    with pytest.raises(ChannelError) as raised:
        send_within(FakeChannel("slack", explode), FAILURE, 1)
    assert ("slack: unexpected RuntimeError", False) == (str(raised.value), raised.value.permanent)
    assert raised.value.__suppress_context__


def test_channels_side_by_side() -> None:
    """Each channel's own result; one that hangs or breaks does not delay the alert on the others."""
    good = FakeChannel("good")
    began = time.monotonic()
    answers = send_now([FakeChannel("hangs", hang), FakeChannel("breaks", explode), good], FAILURE, seconds=0.3)
    assert {
        "hangs": "hangs: no answer within 0.3 s",
        "breaks": "breaks: unexpected RuntimeError",
        "good": DELIVERED,
    } == answers
    assert [FAILURE] == good.sent
    assert time.monotonic() - began < 10


def test_no_channel_at_all() -> None:
    """The log says what to set."""
    with captured_log() as log:
        assert {} == send_now([], FAILURE)
    assert "set ALERT_TOPIC_ARN or SLACK_WEBHOOK_SECRET" in log.getvalue()
