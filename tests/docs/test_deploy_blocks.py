"""docs/deploy.md: its blocks, pasted one after the other into one terminal, deploy to stand-ins on loopback."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from ops.migrations import MIGRATIONS
from tests.docs.blocks import ROOT, Block, blocks_of
from tests.docs.deployer import MESSAGE_SECRETS, SECRETS, Deployer, deployer
from tests.docs.terminal import PasteError

PAGE = ROOT / "docs" / "deploy.md"
BLOCKS = blocks_of(PAGE.name, PAGE.read_text())
RUN = [block for block in BLOCKS if (block.marker or "").startswith("run: ")]
ROLES = {"cron_runner": "cron", "reminder_scheduler": "scheduler", "contact_admin_api": "admin"}
MESSAGE_ROLES = {"reminder_courier": "courier", "message_feedback": "feedback"}
APPLIED = "SELECT count(*) FROM supabase_migrations.schema_migrations"
# A stand-in that does nothing is named, and a check has its reason.
MARKERS = re.compile(
    r"run: shell(, (with own values|answering the question|without (git|make|sam)((,| and) (git|make|sam))*))?"
    r"|check: (json|make|reminders|sam), because .+"
)


@pytest.fixture
def person(supabase: str, tmp_path: Path) -> Iterator[Deployer]:
    with deployer(supabase, tmp_path) as made:
        yield made


def test_every_block_says_how_it_is_tested() -> None:
    """A block without a marker, or with one that no test knows, fails here."""
    assert [] == [str(block) for block in BLOCKS if not MARKERS.fullmatch(block.marker or "")]


@pytest.mark.matrix
def test_the_blocks_deploy_and_tear_down(person: Deployer) -> None:
    """In the page's order; after each that changes something, it is so."""
    seen = []
    for block in RUN:
        shown = _paste(person, block)
        found = [outcome for word, outcome in OUTCOMES.items() if word in block.text]
        for outcome in found:
            outcome(person, shown)
        seen += found
    assert list(OUTCOMES.values()) == seen


def _paste(person: Deployer, block: Block) -> str:
    text = block.text
    if block.marker == "run: shell, with own values":
        for word, value in person.values.items():
            assert word in text
            text = text.replace(word, value)
    asked = block.marker == "run: shell, answering the question"
    answers = [("Slack webhook (empty for none): ", person.slack.webhook)] if asked else []
    try:
        return person.terminal.paste(text, *answers)
    except PasteError as error:
        raise AssertionError(f"{block}: {error}") from None


def _schema_is_there(person: Deployer, shown: str) -> None:
    assert len(list(MIGRATIONS.glob("*.sql"))) == person.one(APPLIED), shown
    person.assign(40)


def _roles_log_in(person: Deployer, shown: str) -> None:
    """By their secrets, which were never displayed."""
    for role, function in ROLES.items():
        uri = person.secret(f"{function}-database")
        with psycopg.connect(uri) as connection:
            assert (role,) == connection.execute("SELECT current_user").fetchone()
        assert str(psycopg.conninfo.conninfo_to_dict(uri)["password"]) not in shown
    assert person.slack.webhook == person.secret("slack-webhook")
    assert [] == [name for name in SECRETS if person.secret(name) in shown]


def _the_login_is_shown(person: Deployer, shown: str) -> None:
    assert "cron_runner" in shown


def _alert_arrived_and_nothing_changed(person: Deployer, shown: str) -> None:
    assert (1, 1) == (len(person.slack.posted), len(person.aws.published(person.topic)))
    assert '"would_notify": [{' in shown
    written = "SELECT (SELECT count(*) FROM notifications) + (SELECT count(*) FROM cron_execution_logs)"
    assert 0 == person.one(written)


def _the_url_is_filled_in(person: Deployer, shown: str) -> None:
    made = (person.folder / "build" / "env.json").read_text()
    assert "http://127.0.0.1:" in made
    assert "PUT-THE-SCHEDULER-URL-HERE" not in made


def _all_of_the_upgrade_was_done(person: Deployer, shown: str) -> None:
    """Nothing took the lines that were pasted after it for an answer."""
    assert len(list(MIGRATIONS.glob("*.sql"))) + 1 == person.one(APPLIED)
    assert "sam deploy\n" in shown


def _message_roles_log_in(person: Deployer, shown: str) -> None:
    for role, function in MESSAGE_ROLES.items():
        with psycopg.connect(person.secret(f"{function}-database")) as connection:
            assert (role,) == connection.execute("SELECT current_user").fetchone()
    assert [] == [name for name in MESSAGE_SECRETS if person.secret(name) in shown]


def _nothing_is_left(person: Deployer, shown: str) -> None:
    _are_gone(person, SECRETS, ROLES)


def _nothing_of_the_messages_is_left(person: Deployer, shown: str) -> None:
    _are_gone(person, MESSAGE_SECRETS, MESSAGE_ROLES)


def _are_gone(person: Deployer, secrets: Iterable[str], roles: Iterable[str]) -> None:
    """No secret that could be read, no role that could log in."""
    left = []
    for name in secrets:
        with suppress(person.aws.client("secretsmanager").exceptions.ClientError):
            left.append(person.secret(name))
    assert [] == left
    assert 0 == person.one(f"SELECT count(*) FROM pg_roles WHERE rolcanlogin AND rolname IN {tuple(roles)}")


# The blocks with these words, in the page's order, and what is true afterwards.
OUTCOMES: dict[str, Callable[[Deployer, str], None]] = {
    "mkdir -p supabase": _schema_is_there,
    "cron_runner cron-database": _roles_log_in,
    "SELECT current_user": _the_login_is_shown,
    "test_alert": _alert_arrived_and_nothing_changed,
    "message_feedback feedback-database": _message_roles_log_in,
    "SchedulerUrl": _the_url_is_filled_in,
    "git pull": _all_of_the_upgrade_was_done,
    "contact_admin_api NOLOGIN": _nothing_is_left,
    "message_feedback NOLOGIN": _nothing_of_the_messages_is_left,
}
