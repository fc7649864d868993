"""Names, addresses and numbers are in the data and in the database's errors, and nowhere in what we tell."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from handlers import admin, cron, scheduler
from ops.local.aws import Aws
from ops.local.function_url import FunctionUrl
from ops.local.invoke import LocalContext
from ops.local.server import Server
from reminders.database import Connection
from tests.contacts import add_pair, add_run, today
from tests.helpers.cases import table
from tests.tokens import ISSUER, SECRET, claims, signed

NAME, EMAIL, PHONE = "Annika Musterfrau", "annika@charity.example", "+44 20 7946 0958"
PERSON = f"{NAME} <{EMAIL}> {PHONE}"
TOKEN = "a token of the scheduler's own"

# Ways in which PostgreSQL, or a trigger of the project, quotes a row: in the message, its DETAIL, or its HINT.
RAISE = "RAISE EXCEPTION 'cannot notify %', person USING ERRCODE = '{}', DETAIL = person, HINT = person;"
FAULTS = {
    "RAISE": RAISE.format("P0001"),
    "RAISE as a violated constraint": RAISE.format("23514"),
    "RAISE as a missing right": RAISE.format("42501"),
    "RAISE as a serialization failure": RAISE.format("40001"),
    "RAISE as a lost connection": RAISE.format("08006"),
    "cast": "PERFORM person::integer;",
    "check, row in DETAIL": "INSERT INTO people VALUES (person, 0);",
    "unique, key in DETAIL": "INSERT INTO people VALUES (person, 1), (person, 1);",
    "not null, row in DETAIL": "INSERT INTO people VALUES (person, NULL);",
    "too long": "PERFORM person::varchar(3); INSERT INTO short VALUES (person);",
    "dynamic SQL": "EXECUTE person;",
    "column of that name": "EXECUTE format('SELECT %I', person);",
}


@dataclass
class Collected:
    """Everything that a person outside could read."""

    owner: Connection
    caplog: pytest.LogCaptureFixture
    capfd: pytest.CaptureFixture[str]
    texts: list[str] = field(default_factory=list)

    def add(self, *texts: object) -> None:
        self.texts += map(str, texts)

    def check(self) -> None:
        """With logs, ledger and outbox: none of it names a person."""
        self.add(*(vars(record) for record in self.caplog.records), *self.capfd.readouterr())
        for name in ("cron_execution_logs", "cron_alerts", "cron_alert_deliveries"):
            self.add(*self.owner.execute(f"SELECT t::text FROM {name} AS t".encode()).fetchall())
        assert self.about_people() == []
        assert self.texts

    def clear(self) -> None:
        """For the next row of a table: nothing was collected, no run is recorded, and no table is broken."""
        self.texts.clear()
        self.caplog.clear()
        self.owner.execute(
            """
            DROP FUNCTION IF EXISTS quote_a_person() CASCADE;
            TRUNCATE assignments, cron_execution_logs, cron_alerts CASCADE
            """
        )

    def about_people(self) -> list[str]:
        # No part is hexadecimal alone: four digits of a telephone number are in one random id of some thousand.
        return [
            text for text in self.texts if any(part in text for part in ("nnika", "usterfrau", "@charity", "20 79"))
        ]


@pytest.fixture
def environment(
    server: Server, template: str, database: str, owner: Connection, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three functions in this process; each on a connection that may do all, for errors are what counts."""
    prefix = f"reminders/{uuid.uuid4().hex[:8]}"
    for name, value in {
        "DATABASE_SECRET": server.dsn(server.superuser, database),
        "SCHEDULER_TOKEN_SECRET": TOKEN,
        "SUPABASE_JWT_SECRET": SECRET,
    }.items():
        aws.put_secret(f"{prefix}/{name}", value)
        monkeypatch.setenv(name, f"{prefix}/{name}")
    monkeypatch.setenv("SUPABASE_JWT_ISSUER", ISSUER)
    monkeypatch.setenv("BATCH_SIZE", "1")
    owner.execute(
        """
        CREATE TABLE people (who text UNIQUE, age integer NOT NULL CHECK (age > 0));
        CREATE TABLE short (who varchar(3));
        ALTER TABLE assignments ADD contact_name text;
        ALTER TABLE activities ADD note text;
        """
    )


@pytest.fixture
def collected(
    environment: None, owner: Connection, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Collected]:
    """What a test collects, and what is checked at its end."""
    found = Collected(owner, caplog, capfd)
    yield found
    found.check()


def break_table(owner: Connection, name: str, fault: str) -> None:
    """Every insert into `name` fails, and the error speaks of a person."""
    owner.execute(
        f"""
        CREATE FUNCTION quote_a_person() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        DECLARE person text := '{PERSON}';
        BEGIN {fault} RETURN NEW; END $$;
        CREATE TRIGGER quote_a_person BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION quote_a_person();
        """.encode()
    )


def add_people(owner: Connection) -> Any:
    pair = add_pair(owner)
    owner.execute("UPDATE assignments SET contact_name = %s", [PERSON])
    return pair


@table("fault", FAULTS)
def test_run_that_fails_on_a_person(owner: Connection, collected: Collected, fault: str) -> None:
    """Neither log nor ledger nor outbox nor the error that Lambda prints."""
    collected.clear()
    add_people(owner)
    break_table(owner, "notifications", FAULTS[fault])
    for _ in range(2):
        try:
            collected.add(cron.handler({}, LocalContext("cron", 60)))
        except Exception as error:
            collected.add(*traceback.format_exception(error))
    collected.check()


@table("fault", FAULTS)
def test_request_that_fails_on_a_person(owner: Connection, collected: Collected, fault: str) -> None:
    """Neither of the two endpoints' answers, though the admin's own token is full of it."""
    collected.clear()
    pair = add_people(owner)
    break_table(owner, "notifications", FAULTS[fault])
    owner.execute(
        """
        CREATE TRIGGER quote_a_person BEFORE INSERT ON contact_date_corrections
        FOR EACH ROW EXECUTE FUNCTION quote_a_person()
        """
    )
    work = {"run_id": str(add_run(owner)), "as_of": today(owner).isoformat(), "budget_ms": 2_000}
    with FunctionUrl(scheduler.handler) as served:
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        collected.add(httpx.post(f"{served.url}/runs", headers=headers, json=work, timeout=20).text)
    token = signed(claims(email=EMAIL, phone=PHONE, user_metadata={"full_name": NAME}))
    body = {"last_contact_date": "2026-11-21", "reason": f"{NAME} says so"}
    with FunctionUrl(admin.handler) as served:
        headers = {"authorization": f"Bearer {token}", "if-match": "*"}
        path = f"{served.url}/assignments/{pair}/last-contact-date"
        response = httpx.patch(path, headers=headers, json=body, timeout=20)
        assert response.status_code >= 500
        collected.add(response.text, httpx.get(f"{served.url}/runs", headers=headers).text)
        for wrong in ({"reason": PERSON, "last_contact_date": PERSON}, {PERSON[:20]: 1}, [PERSON]):
            collected.add(httpx.patch(path, headers=headers, json=wrong).json()["detail"])
    collected.check()


def test_what_a_caller_sent_is_not_echoed(collected: Collected) -> None:
    """A body, a parameter or a token with a person in it."""
    token = signed(claims(email=EMAIL))
    with FunctionUrl(admin.handler) as served:
        headers = {"authorization": f"Bearer {token}"}
        collected.add(httpx.get(f"{served.url}/runs", params={"status": PERSON, "before": EMAIL}, headers=headers).text)
        collected.add(httpx.get(f"{served.url}/{EMAIL}", headers=headers).text)
        collected.add(httpx.get(f"{served.url}/runs", headers={"authorization": f"Bearer {EMAIL}"}).text)
        path = f"{served.url}/assignments/{EMAIL}/last-contact-date"
        collected.add(httpx.patch(path, headers=headers, json={"last_contact_date": PERSON, "reason": PHONE}).text)
    with FunctionUrl(scheduler.handler) as served:
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        collected.add(httpx.post(f"{served.url}/runs", headers=headers, json={"as_of": PERSON, "cursor": EMAIL}).text)
