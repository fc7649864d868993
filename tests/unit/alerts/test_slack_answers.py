"""What Slack answers, over real HTTP, and what the outbox learns from it: whether a retry helps, and when."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from reminders.alerts.channels import Channel, ChannelError, send_within
from reminders.alerts.slack import SlackChannel
from reminders.errors import SecretError
from tests.alerting import (
    FAILURE,
    Behaviour,
    answering,
    closing_halfway,
    dripping_body,
    dripping_header,
    silence,
    webhook,
)
from tests.helpers.cases import table

HOUR = timedelta(hours=1)


def channel(url: str, newer: Callable[[str], str | None] = lambda old: None) -> SlackChannel:
    return SlackChannel(lambda: url, newer)


def refusal(slack: Channel, seconds: float = 3.0) -> ChannelError:
    """What sending through it raises; never a word of the URL."""
    with pytest.raises(ChannelError) as raised:
        send_within(slack, FAILURE, seconds)
    assert "/services/" not in repr(raised.value)
    assert "127.0.0.1" not in repr(raised.value)
    return raised.value


def answer_of(behave: Behaviour, seconds: float = 3.0) -> ChannelError:
    with webhook(behave) as url:
        return refusal(channel(url), seconds)


@table("status", [200, 201, 204])
def test_success(status: int) -> None:
    """Slack's 200 "ok", or any other 2xx."""
    with webhook(answering(status)) as url:
        send_within(channel(url), FAILURE, 3)


@table(
    ("status", "body", "permanent", "message"),
    [
        (400, b"invalid_payload", True, "slack: it does not accept the message's form (400)"),
        (403, b"action_prohibited", True, "slack: posting is prohibited, by the workspace or its administrators (403)"),
        (404, b"no_service", True, "slack: the webhook or its channel no longer exists (404)"),
        (410, b"channel_is_archived", True, "slack: the channel is archived (410)"),
        (418, b"teapot", True, "slack: it refuses (418)"),
        (500, b"rollup_error", False, "slack: it has an internal error (500)"),
        (502, b"", False, "slack: it has an internal error (502)"),
        (503, b"", False, "slack: it has an internal error (503)"),
        (599, b"", False, "slack: it has an internal error (599)"),
    ],
)
def test_refusal(status: int, body: bytes, permanent: bool, message: str) -> None:
    """By what the status means: the body is not repeated, and only Slack's own trouble passes by itself."""
    error = answer_of(answering(status, body))
    assert (message, permanent, None) == (str(error), error.permanent, error.retry_after)


@table(
    ("header", "expected"),
    [
        (None, None),
        ("0", timedelta(0)),
        ("30", timedelta(seconds=30)),
        ("86401", timedelta(days=1)),
        ("9" * 30, timedelta(days=1)),
        ("9" * 5_000, timedelta(days=1)),
        ("-5", None),
        ("1.5", None),
        ("\u00b2", None),
        ("", None),
        ("soon", None),
        ("Sat, 21 Nov 2026 06:00:00 GMT", None),
    ],
)
def test_too_many_requests(header: str | None, expected: timedelta | None) -> None:
    """Retry-After is kept where it is a number of seconds, a day at most; anything else is as good as none."""
    headers = {} if header is None else {"retry_after": header}
    error = answer_of(answering(429, b"", **headers))
    assert ("slack: too many messages", False, expected) == (str(error), error.permanent, error.retry_after)


@table("status", [301, 302, 303, 307, 308])
def test_redirect(status: int) -> None:
    """It is not followed: the host that it names is never spoken to."""
    visitors: list[object] = []
    with webhook(visitors.append) as elsewhere:
        error = answer_of(answering(status, location=elsewhere))
    assert [] == visitors
    assert ("slack: the webhook redirects elsewhere, which is not followed", True) == (str(error), error.permanent)


@table("behave", [silence, dripping_header, dripping_body])
def test_webhook_that_never_ends(behave: Behaviour) -> None:
    """It is given up in time, drip or no drip, and may be tried again."""
    began = time.monotonic()
    error = answer_of(behave, seconds=0.6)
    assert 0.5 < time.monotonic() - began < 10
    assert not error.permanent
    assert str(error) in {"slack: no answer within 0.6 s", "slack: ReadTimeout"}


def test_connection_closed_before_the_answer() -> None:
    """Slack may or may not have posted it; it is tried again."""
    error = answer_of(lambda connection: None)
    assert ("slack: RemoteProtocolError", False) == (str(error), error.permanent)


def test_connection_closed_in_mid_answer() -> None:
    """Half an answer is none."""
    error = answer_of(closing_halfway)
    assert ("slack: RemoteProtocolError", False) == (str(error), error.permanent)


def test_answer_that_is_no_http() -> None:
    """Another session listens there; it is tried again."""
    error = answer_of(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9\r\n\r\n"))
    assert ("slack: RemoteProtocolError", False) == (str(error), error.permanent)


def test_connection_refused() -> None:
    """A refused connection passes by itself."""
    with webhook(silence) as url:
        pass
    error = refusal(channel(url))
    assert ("slack: ConnectError", False) == (str(error), error.permanent)


@table(
    "secret",
    ["http://hooks.slack.example/services/T/B/x", "hooks.slack.example/services/T/B/x", "ftp://127.0.0.2/services/x"],
)
def test_secret_that_is_no_https_url(secret: str) -> None:
    """The message is not sent in plain text over a network; a person must correct the secret."""
    error = refusal(channel(secret))
    assert ("slack: the webhook secret does not hold an https URL", True) == (str(error), error.permanent)


@table("secret", ["https://[/services/T/B/x", "https://127.0.0.1:port/services/x", "https:///services/x"])
def test_secret_that_is_no_url(secret: str) -> None:
    """It is refused without a word of it."""
    refusal(channel(secret))


def test_secret_that_cannot_be_read() -> None:
    """A Secrets Manager that is down for a moment is worth a retry."""

    def unreadable() -> str:
        raise SecretError("secret 'slack-webhook' could not be read: AccessDeniedException")

    error = refusal(SlackChannel(unreadable, lambda old: None))
    expected = "slack: secret 'slack-webhook' could not be read: AccessDeniedException"
    assert (expected, False) == (str(error), error.permanent)


@table("status", [403, 404, 410])
def test_webhook_that_was_replaced(status: int) -> None:
    """A webhook that is gone has perhaps been replaced: the new one is used at once, the old one not again."""
    asked: list[str] = []
    with webhook(answering(status)) as old, webhook(answering(200, b"ok")) as new:

        def newer(than: str) -> str:
            asked.append(than)
            return new

        send_within(channel(old, newer), FAILURE, 3)
    assert [old] == asked


def test_webhook_that_was_not_replaced() -> None:
    """The refusal stands."""
    with webhook(answering(404)) as old:
        error = refusal(channel(old, lambda than: None))
    assert ("slack: the webhook or its channel no longer exists (404)", True) == (str(error), error.permanent)


def test_trouble_that_is_not_the_webhooks() -> None:
    """No one asks for another webhook because Slack is down: Secrets Manager is not called at each retry."""
    asked: list[str] = []
    with webhook(answering(503)) as url:
        refusal(channel(url, asked.append))
    assert [] == asked
