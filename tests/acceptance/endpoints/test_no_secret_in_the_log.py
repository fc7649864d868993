"""Whatever Powertools is set to log, no handler logs a token, a secret or the reason of a correction."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
import uuid
from typing import Any

import pytest

import handlers
from ops.local.aws import Aws
from ops.local.server import Server
from ops.local.url_payload import Request, event_from
from reminders.database import Connection
from tests.contacts import add_pair, add_run, today
from tests.tokens import ISSUER, SECRET, claims, signed

HANDLERS = [
    module.name
    for module in pkgutil.iter_modules(handlers.__path__)
    if hasattr(importlib.import_module(f"handlers.{module.name}"), "handler")
]
# All that makes Powertools say more; read when a handler is imported, so that all are imported in a new process.
CHATTY = {
    "POWERTOOLS_LOGGER_LOG_EVENT": "true",
    "POWERTOOLS_LOG_LEVEL": "DEBUG",
    "POWERTOOLS_LOGGER_SAMPLE_RATE": "1",
    "POWERTOOLS_DEBUG": "true",
    "POWERTOOLS_DEV": "true",
}
TOKEN, REASON, WEBHOOK = (
    "a token of the scheduler's own",
    "The mentor was in hospital",
    "hooks.slack.example/T0/B0/hush",
)
PROGRAM = """
import importlib, json, sys, traceback
from ops.local.invoke import LocalContext
events = json.load(sys.stdin)
for name in sys.argv[1:]:
    handler = importlib.import_module(f"handlers.{name}").handler
    answers = []
    for event in events:
        try:
            answers.append(handler(event, LocalContext("x", 60)))
        except Exception:
            traceback.print_exc()
    statuses = [str(answer.get("statusCode", "")) for answer in answers]
    print("answered:", name, *statuses)
"""


def url_event(method: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
    given = {"content-type": "application/json", **headers}
    return event_from(Request(method, path, list(given.items()), json.dumps(body).encode()))


@pytest.fixture
def secrets(server: Server, template: str, database: str, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every handler's environment; the texts that may stand nowhere."""
    prefix = f"reminders/{uuid.uuid4().hex[:8]}"
    values = {
        "DATABASE_SECRET": server.dsn(server.superuser, database),
        "SCHEDULER_TOKEN_SECRET": TOKEN,
        "SUPABASE_JWT_SECRET": SECRET,
        "SLACK_WEBHOOK_SECRET": f"https://{WEBHOOK}",
    }
    for name, value in values.items():
        aws.put_secret(f"{prefix}/{name}", value)
        monkeypatch.setenv(name, f"{prefix}/{name}")
    for name, value in {**CHATTY, "SUPABASE_JWT_ISSUER": ISSUER}.items():
        monkeypatch.setenv(name, value)
    return [TOKEN, SECRET, REASON, WEBHOOK, values["DATABASE_SECRET"]]


@pytest.fixture
def events(owner: Connection) -> list[dict[str, Any]]:
    """A correction and a run's work, each with its token; a run by hand; a test alert."""
    pair, day = add_pair(owner), today(owner).isoformat()
    work = {"run_id": str(add_run(owner)), "as_of": day, "budget_ms": 2_000}
    bearer = {"authorization": f"Bearer {TOKEN}"}
    correction = {"last_contact_date": day, "reason": REASON}
    admin = {"authorization": f"Bearer {signed(claims())}"}
    return [
        url_event("POST", "/runs", bearer, work),
        url_event("POST", "/runs", {"authorization": "AWS4-HMAC-SHA256 x", "x-reminder-token": TOKEN}, work),
        url_event("POST", "/runs", bearer, {**work, "as_of": REASON}),
        url_event("PATCH", f"/assignments/{pair}/last-contact-date", admin, correction),
        url_event("PATCH", f"/assignments/{pair}/last-contact-date", admin, {**correction, "who": REASON}),
        {},
        {"action": "test_alert"},
    ]


def test_nothing_secret_is_logged(secrets: list[str], events: list[dict[str, Any]]) -> None:
    """Not when a handler works, not when it refuses or fails, and not on standard error."""
    tokens = [event["headers"]["authorization"].rpartition(".")[2] for event in events if "headers" in event]
    done = subprocess.run(
        # The scheduler first: a run by hand settles the run of its events as abandoned.
        [sys.executable, "-c", PROGRAM, *sorted(HANDLERS, key=lambda name: name != "scheduler")],
        input=json.dumps(events),
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    answered = {name: rest.split() for name, rest in re.findall(r"^answered: (\w+)(.*)", done.stdout, re.MULTILINE)}
    assert set(HANDLERS) == set(answered), done.stderr
    # Those that the handler takes, or the logs would show nothing.
    assert ["200", "200", "422", "404", "404"] == answered["scheduler"][:5]
    assert ["401"] * 3 + ["200", "422"] == answered["admin"][:5]
    assert [] == [text for text in [*secrets, *tokens] if text in done.stdout + done.stderr]
