"""The Slack message: valid Block Kit, within Slack's limits, and nothing in it that Slack would act upon."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block, ContextBlock, HeaderBlock, SectionBlock

from reminders.alerts.message import Alert
from reminders.alerts.policy import Kind
from reminders.alerts.slack import CUT, HEADER_LIMIT, TEXT_LIMIT, VALUE_LIMIT, blocks_of
from tests.alerting import FAILURE
from tests.helpers.cases import table

# What Slack turns into mentions, links and dates: "Formatting text for app surfaces".
ACTIVE = re.compile(r"[<>]")


def section(message: dict[str, Any]) -> str:
    return str(message["blocks"][1]["text"]["text"])


def texts(message: dict[str, Any]) -> list[str]:
    """All that Slack formats: the fallback and the context."""
    return [message["text"], message["blocks"][2]["elements"][0]["text"]]


def validated(message: dict[str, Any]) -> list[Block]:
    """By Slack's own models, which raise SlackObjectFormationError."""
    blocks = list(Block.parse_all(message["blocks"]))
    for block, sent in zip(blocks, message["blocks"], strict=True):
        block.validate_json()
        assert sent == block.to_dict()
    return blocks


def test_alert_as_slack_gets_it() -> None:
    """Header, section with the error's details, context with the last success, and a fallback text."""
    message = blocks_of(FAILURE)
    headline = "assignment-reminder-cron: 2 runs in a row have failed"
    assert (headline, headline) == (message["text"], message["blocks"][0]["text"]["text"])
    assert [
        "Error: scheduler answered 500: Internal Server Error",
        "Consecutive failures: 2",
        "Failing since: 2026-11-20 06:00:02 UTC",
        "Scheduled time: 2026-11-21 06:00:00 UTC",
        "Run: 5f0c4d1e-0000-4000-8000-000000000001",
    ] == section(message).splitlines()
    assert "Last successful run: 2026-11-19 06:00:05 UTC" == message["blocks"][2]["elements"][0]["text"]


@table("kind", get_args(Kind))
def test_every_kind_is_valid_block_kit(kind: Kind) -> None:
    """Slack's models accept it and give back what was sent, for a full alert and for an empty one."""
    for alert in (replace(FAILURE, kind=kind), Alert(kind, "assignment-reminder-cron")):
        kinds = [type(block) for block in validated(blocks_of(alert))]
        assert [HeaderBlock, SectionBlock, ContextBlock] == kinds


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=5_000), st.text(max_size=400), st.sampled_from(get_args(Kind)))
def test_any_text_at_all(error: str, job: str, kind: Kind) -> None:
    """Whatever an error says: valid, within the limits, and without anything that Slack would act upon."""
    message = blocks_of(replace(FAILURE, kind=kind, error_message=error, job_name=job))
    validated(message)
    assert len(message["blocks"][0]["text"]["text"]) <= HEADER_LIMIT
    assert 0 < len(section(message)) <= TEXT_LIMIT
    for text in texts(message):
        assert 0 < len(text) <= TEXT_LIMIT
        assert not ACTIVE.search(text)


def test_text_that_is_too_long() -> None:
    """It is cut within Slack's limits, and says that it was."""
    message = blocks_of(replace(FAILURE, error_message="x" * 4_000, job_name="j" * 4_000))
    validated(message)
    header = message["blocks"][0]["text"]["text"]
    assert (HEADER_LIMIT, TEXT_LIMIT) == (len(header), len(message["text"]))
    assert header.endswith(CUT)
    assert message["text"].endswith(CUT)


def test_error_that_is_too_long() -> None:
    """It is cut and says so; what stands below it, the run above all, is still there."""
    text = section(blocks_of(replace(FAILURE, error_message="&" * 4_000)))
    error, *below = text.splitlines()
    assert error.endswith(CUT)
    assert len("Error: ") + VALUE_LIMIT == len(error)
    assert any(line.startswith("Run: ") for line in below)


def test_text_that_just_fits() -> None:
    """Nothing is cut that need not be."""
    alert = Alert("recovery", "j" * (HEADER_LIMIT - len(": has recovered")))
    header = blocks_of(alert)["blocks"][0]["text"]["text"]
    assert alert.headline == header
    assert HEADER_LIMIT == len(header)


@table(
    "said",
    [
        "<!channel> wake up",
        "<@U024BE7LH>",
        "<https://example.org|click>",
        "salt & pepper",
        "*a* _b_ ~c~ `d`",
        ":skull: @here",
    ],
)
def test_markup_in_an_error(said: str) -> None:
    """An error pages no one, links nowhere and formats nothing: Slack shows it as it is."""
    text = blocks_of(replace(FAILURE, error_message=said))["blocks"][1]["text"]
    assert ("plain_text", False) == (text["type"], text["emoji"])
    assert f"Error: {said}" == text["text"].splitlines()[0]


@table(
    ("name", "expected"),
    [("<!here|here>", "&lt;!here|here&gt;"), ("salt & pepper", "salt &amp; pepper"), ("&lt;", "&amp;lt;")],
)
def test_markup_in_the_fallback(name: str, expected: str) -> None:
    """The fallback is formatted by Slack, so what it would interpret is escaped."""
    assert blocks_of(replace(FAILURE, job_name=name))["text"].startswith(f"{expected}: ")


def test_context_is_verbatim() -> None:
    """Slack would also link a bare URL and read @here; `verbatim` keeps it from that."""
    context = blocks_of(FAILURE)["blocks"][2]["elements"][0]
    assert ("mrkdwn", True) == (context["type"], context["verbatim"])


def test_header_is_plain_text() -> None:
    """A header takes no markup, so nothing in it is escaped, and no :word: becomes a picture."""
    header = blocks_of(Alert("overrun", "<a> & :skull:"))["blocks"][0]["text"]
    assert {"type": "plain_text", "text": "<a> & :skull:: a run has been going for too long", "emoji": False} == header


def test_test_alert_is_marked() -> None:
    """No one takes a test for the real thing."""
    message = blocks_of(Alert("test", "assignment-reminder-cron"))
    marked = "[test] assignment-reminder-cron: this is a test alert, nothing is wrong"
    assert (marked, marked) == (message["text"], message["blocks"][0]["text"]["text"])
