"""
Slack, by an incoming webhook.

The webhook's URL is a secret: anyone who has it can post. It is never in a message, an error or a log, and httpx's
own exceptions are not passed on, because they contain the request.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from reminders.alerts.channels import ChannelError
from reminders.alerts.message import NO_ORIGIN, Alert, Origin

if TYPE_CHECKING:
    import httpx

# Slack, "Reference: blocks": lengths in characters, counted after escaping.
HEADER_LIMIT = 150
TEXT_LIMIT = 3_000
# Ours: one long value must not push the others past the cut.
VALUE_LIMIT = 2_000
CUT = "… (cut)"
LONGEST_WAIT = 86_400
# RFC 3986: the characters of a URL besides letters, digits and "-._~".
URL_CHARACTERS = ":/?#[]@!$&'()*+,;=%"
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class SlackChannel:
    """
    Posts alerts to the webhook that `webhook()` returns.

    `newer_webhook(than)` is called once when Slack answers that the webhook does not exist: it may have been replaced.
    """

    name = "slack"

    def __init__(
        self, webhook: Callable[[], str], newer_webhook: Callable[[str], str | None], origin: Origin = NO_ORIGIN
    ) -> None:
        self._webhook = webhook
        self._newer_webhook = newer_webhook
        self._origin = origin

    def send(self, alert: Alert, seconds: float) -> None:
        """Post `alert`; raise `ChannelError` with a sentence about Slack's answer."""
        url = self._webhook()
        try:
            _post(url, blocks_of(alert, self._origin), seconds)
        except ChannelError as error:
            replaced = self._newer_webhook(url) if error.permanent else None
            if replaced is None:
                raise
            _post(replaced, blocks_of(alert, self._origin), seconds)


def blocks_of(alert: Alert, origin: Origin = NO_ORIGIN) -> dict[str, Any]:
    """The message in Block Kit: header, section with the details, context with the last success and the runbook."""
    details = "\n".join(f"{label}: {_cut(value, VALUE_LIMIT)}" for label, value in alert.details())
    headline = origin.headline(alert)
    return {
        # What notifications and screen readers show.
        "text": _cut(_escaped(headline), TEXT_LIMIT),
        "blocks": [
            {"type": "header", "text": _plain(headline, HEADER_LIMIT)},
            {"type": "section", "text": _plain(details or alert.headline, TEXT_LIMIT)},
            {
                "type": "context",
                "elements": [_formatted(_escaped(alert.last_success)), _formatted(_runbook(origin))],
            },
        ],
    }


def _runbook(origin: Origin) -> str:
    """A link where there is an address. Slack ends the address at "|" and ">", so it must not contain them."""
    if not origin.runbook_url:
        return f"Runbook: {origin.runbook}"
    return f"<{_escaped(quote(origin.runbook_url, safe=URL_CHARACTERS))}|Runbook>"


def _plain(text: str, limit: int) -> dict[str, Any]:
    """Text in which Slack interprets nothing: an error message may contain `*`, `_`, `~`, `:word:` and `@here`."""
    return {"type": "plain_text", "text": _cut(text, limit), "emoji": False}


def _formatted(text: str) -> dict[str, Any]:
    """`verbatim`, because otherwise Slack would link bare URLs and interpret @here."""
    return {"type": "mrkdwn", "text": _cut(text, TEXT_LIMIT), "verbatim": True}


def _escaped(text: str) -> str:
    """Slack, "Formatting text": these three and no others. Otherwise <!channel> would notify everyone."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT


def _post(url: str, message: dict[str, Any], seconds: float) -> None:
    # Imported here, because most invocations send no alert, and httpx is a tenth of a cold start.
    import httpx

    _check(url)
    try:
        # A redirect is not followed: it would hand the message, and our trust, to another host.
        response = httpx.post(url, json=message, timeout=seconds, follow_redirects=False)
    except httpx.HTTPError as error:
        raise ChannelError(f"slack: {type(error).__name__}") from None
    if not response.is_success:
        raise _refusal(response)


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ChannelError("slack: the webhook secret does not hold an https URL", permanent=True)


# Slack, "Sending messages using incoming webhooks", part "Handling errors".
_MEANINGS = {
    400: "it does not accept the message's form",
    403: "posting is prohibited, by the workspace or its administrators",
    404: "the webhook or its channel no longer exists",
    410: "the channel is archived",
}


def _refusal(response: httpx.Response) -> ChannelError:
    status = response.status_code
    if status == 429:
        return ChannelError("slack: too many messages", retry_after=_retry_after(response))
    if status == 408 or status >= 500:
        return ChannelError(f"slack: it has an internal error ({status})")
    if response.is_redirect:
        return ChannelError("slack: the webhook redirects elsewhere, which is not followed", permanent=True)
    return ChannelError(f"slack: {_MEANINGS.get(status, 'it refuses')} ({status})", permanent=True)


def _retry_after(response: httpx.Response) -> timedelta | None:
    seconds = response.headers.get("retry-after", "")
    # isascii: int() does not take "²". The length, because it refuses thousands of digits.
    if not (seconds.isascii() and seconds.isdigit()):
        return None
    return timedelta(seconds=min(int(seconds), LONGEST_WAIT) if len(seconds) < 9 else LONGEST_WAIT)
