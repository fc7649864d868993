"""
The product, running: the real handlers on a real PostgreSQL whose clock is set, and what surrounds them.

    cron, watchdog, courier, admin    in this process, which stays warm for the whole year
    scheduler                         a process behind a URL
    a run with a fault                a process of its own, at whose chosen step the barrier holds it (tests/faults)

Nothing here knows what should happen.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

import handlers.admin
import handlers.courier
import handlers.cron
import handlers.watchdog
from ops.local.database import apply_shim, create_database, drop_database, give_logins
from ops.local.invoke import LocalContext
from ops.local.server import MIGRATOR, Server
from ops.local.slack import Slack, SlackResponse
from ops.local.url_payload import Request, event_from
from ops.migrations import migrate
from reminders import database
from reminders.database import Connection
from reminders.messages.delivery import CourierLimits
from reminders.runs.lock import LOCK_KEY
from reminders.secrets import Secrets
from reminders.telemetry import logger
from tests.contacts import as_user
from tests.faults.crashing_postgres import CrashingPostgres
from tests.faults.process_server import PlainSecrets, redefine
from tests.faults.processes import PATIENCE, Deployment, Process, Processes
from tests.faults.statement_barrier import StatementBarrier
from tests.helpers.locks import HELD
from tests.helpers.passwords import hash_passwords_once
from tests.helpers.pooler import Pooler
from tests.helpers.waiting import eventually
from tests.proxy import Wire
from tests.simulation.clock import Clock, replace_clock
from tests.simulation.model import Key
from tests.simulation.outside import Outside
from tests.tokens import ADMIN, ISSUER, SECRET, claims, signed

# Several batches even for a small charity.
BATCH_SIZE = 50
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
# No name, no address and no device may be in ledger, outbox, alerts or logs.
DOMAIN, NAME, TOKEN = "people.example", "Mira Quill", "token-of-phone-"
ROLES = {
    "cron-database": "cron_runner",
    "scheduler-database": "reminder_scheduler",
    "courier-database": "reminder_courier",
    "admin-database": "contact_admin_api",
}
QUIET = "SELECT FROM pg_stat_activity WHERE application_name LIKE %s AND datname = current_database()"
PAUSED_SECONDS, LEASE_GRACE = 1.5, 0.3
NO_SETTLE_WAIT = CourierLimits(settle_seconds=0)  # no waiting for further results


def pair_id(number: int) -> UUID:
    """Spread over all ids, so that the order is not that of the numbers."""
    return UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128))


def person_id(number: int) -> UUID:
    return UUID(int=(0xB << 120) + number)


def org_id(number: int) -> UUID:
    return UUID(int=(0xA << 120) + number)


def address(person: int) -> str | None:
    """Every third person has one: mails take most of the time, and some people have none."""
    return None if person % 3 else f"mira.quill.{person}@{DOMAIN}"


def phone(person: int) -> str | None:
    """The token of the device that every fourth person has; some of them have an address as well."""
    return None if person % 4 != 1 else f"{TOKEN}{person}"


PAIRS = {pair_id(number): number for number in range(1, 20_000)}


def number_of(person: UUID) -> int:
    return person.int & 0xFFFFFFFF


def key_of(row: Mapping[str, Any]) -> Key:
    """The model's key of a notification."""
    return PAIRS[row["assignment_id"]], row["kind"], row["contact_anchor"]


class World:
    """Made by `make_world`."""

    def __init__(self, server: Server, database: str, processes: Processes, stack: ExitStack) -> None:
        self.slack, self.outside = stack.enter_context(Slack()), stack.enter_context(Outside())
        redefine(vars(self.slack)["_server"], handle_error=lambda *_: None)  # a client that is killed breaks its pipe
        self.server, self._processes, self._database = server, processes, database
        self.clock = Clock(database)
        self._pooler = stack.enter_context(closing(Pooler()))
        self._sessions = stack.enter_context(ExitStack())
        self._connect()
        self.barrier = StatementBarrier()
        self.log = io.StringIO()
        dsns = {secret: server.dsn(role, database) for secret, role in ROLES.items()}
        self._wires = {
            name: stack.enter_context(Wire(dsns[name], self.barrier.answered))
            for name in ("cron-database", "scheduler-database")
        }
        others = {"scheduler-token": "token", "slack-webhook": self.slack.webhook, "jwt": SECRET, "key": "key" * 20}
        self._secrets = dsns | others
        self._observed = self._secrets | {name: wire.dsn for name, wire in self._wires.items()}
        self._environment = {
            **_aws(self.outside.url),
            "SCHEDULER_TOKEN_SECRET": "scheduler-token",
            "SLACK_WEBHOOK_SECRET": "slack-webhook",
            "ALERT_TOPIC_ARN": "arn:aws:sns:eu-west-2:123456789012:alerts",
            "ALERT_THRESHOLD": "2",
            "ALERT_REPEAT_EVERY": "3",
            "BATCH_SIZE": str(BATCH_SIZE),
            "LOG_RETENTION_DAYS": "90",
            "MESSAGE_RETENTION_DAYS": "30",
            "REMINDER_SCHEDULE_NAME": "reminders/daily",
            "EMAIL_FROM": "Reminders <reminders@charity.example>",
            "PUSH_APPLICATION_ARNS": "arn:aws:sns:eu-west-2:123456789012:app/GCM/reminders",
            "APP_URL": "https://app.charity.example",
            "UNSUBSCRIBE_URL": "https://links.charity.example",
            "UNSUBSCRIBE_KEY_SECRET": "key",
            "MESSAGES_PER_SECOND": "1000",
            "SUPABASE_JWT_SECRET": "jwt",
            "SUPABASE_JWT_ISSUER": ISSUER,
            "POWERTOOLS_LOG_LEVEL": "INFO",
        }
        self.passwords = [server.password(role) for role in ROLES.values()]
        self._scheduler = self._start_scheduler(self._secrets, pooled=True).url.result(PATIENCE)
        self._observed_scheduler = self._start_scheduler(self._observed)
        self._stray: Connection | None = None
        self.seen_notifications = 0

    def _connect(self) -> None:
        """The sessions of the app and of the comparisons; again after a restart."""
        self._sessions.close()
        dsn, superuser = (
            self.server.dsn(MIGRATOR, self._database),
            self.server.dsn(self.server.superuser, self._database),
        )
        self.owner = self._sessions.enter_context(psycopg.connect(dsn, autocommit=True))
        self.rows = self._sessions.enter_context(psycopg.connect(superuser, autocommit=True, row_factory=dict_row))
        self.clock.sessions = [self.rows, self.owner]

    @contextmanager
    def as_function_environment(self) -> Iterator[None]:
        """Until the block ends, this process has the environment, secrets and log of the functions."""
        handler, kept = logger.registered_handler, dict(os.environ)
        real_source, real_connect = Secrets._source, database.connect
        before = handler.setStream(self.log)  # type: ignore[attr-defined]  # it is a StreamHandler
        redefine(Secrets, _source=lambda _: PlainSecrets(self._secrets_of_now()))
        redefine(database, connect=self._pooler.connect)
        os.environ.update(self._environment)
        os.environ["REMINDER_FUNCTION_URL"] = self._scheduler
        try:
            yield
        finally:
            redefine(Secrets, _source=real_source)
            redefine(database, connect=real_connect)
            handler.setStream(before)  # type: ignore[attr-defined]
            os.environ.clear()
            os.environ.update(kept)

    def _secrets_of_now(self) -> Mapping[str, str]:
        if not self.is_down("database"):
            return self._secrets
        return self._secrets | dict.fromkeys(ROLES, NOWHERE)

    # Functions

    def cron(self, event: object, *, seconds: float = 60.0) -> dict[str, Any] | BaseException:
        """What it answered, or raised."""
        os.environ["REMINDER_FUNCTION_URL"] = self.outside.broken if self.is_down("scheduler") else self._scheduler
        return self._invoke("cron-database", handlers.cron.handler, event, LocalContext("cron", seconds))

    def watchdog(self) -> dict[str, Any] | BaseException:
        return self._invoke("cron-database", handlers.watchdog.handler, {}, LocalContext("watchdog", 60))

    def courier(self) -> dict[str, Any] | BaseException:
        courier = partial(handlers.courier.handler, limits=NO_SETTLE_WAIT)
        return self._invoke("courier-database", courier, {}, LocalContext("courier", 60))

    def correct(self, pair: int, day: date, version: str) -> int:
        """The status that the admin's request is answered with."""
        body = json.dumps({"last_contact_date": day.isoformat(), "reason": f"{NAME} rang"}).encode()
        headers = {"authorization": f"Bearer {signed(claims(ADMIN))}", "content-type": "application/json"}
        request = Request(
            "PATCH",
            f"/assignments/{pair_id(pair)}/last-contact-date",
            [*headers.items(), ("if-match", f'"{version}"')],
            body,
        )
        answer = self._invoke("admin-database", handlers.admin.handler, event_from(request), LocalContext("admin", 30))
        assert isinstance(answer, dict), answer
        return int(answer["statusCode"])

    def _invoke(
        self, secret: str, handler: Any, event: object, context: LocalContext
    ) -> dict[str, Any] | BaseException:
        os.environ["DATABASE_SECRET"] = secret
        try:
            with redirect_stdout(self.log):  # metrics are printed
                answer: dict[str, Any] = handler(event, context)
        except Exception as error:
            return error
        return answer

    # Runs with a fault

    def hold(self, event: object, step: str, *, short: bool = False) -> tuple[Process, bool]:
        """A run in a process of its own, held at `step`; whether it came there, or has ended before."""
        self.barrier.hold_at(step)
        url = self._observed_scheduler.url.result(PATIENCE)
        deployment = Deployment(self._function("cron-database", url), dict(self._observed))
        seconds = PAUSED_SECONDS if short else 60.0
        cron = self._processes.start("cron", deployment, event=event, seconds=seconds, short=short)
        assert eventually(lambda: self.barrier.reached.is_set() or cron.ended.done(), PATIENCE)
        return cron, self.barrier.reached.is_set()

    def at_once(self, *events: object) -> None:
        """Each event in a process of its own, in the same moment."""
        deployment = Deployment(self._function("cron-database", self._scheduler), self._secrets)
        started = [self._processes.start("cron", deployment, event=event, seconds=60.0) for event in events]
        for cron in started:
            cron.ended.result(PATIENCE)
        self.wait_until_quiet()

    def courier_process(self) -> Process:
        deployment = Deployment(self._function("courier-database", self._scheduler), self._secrets)
        return self._processes.start("courier", deployment)

    def replace_scheduler(self) -> None:
        """Kill the scheduler that the run under test calls; another process has its URL a moment later."""
        port = int(self._observed_scheduler.url.result(PATIENCE).rpartition(":")[2])
        self._observed_scheduler.kill()
        self._observed_scheduler = self._start_scheduler(self._observed, port)

    def end_backends(self, target: str) -> None:
        """Cut the connections of one application name; `%`: of all, as a restart does."""
        name = [f"reminders-{target}"]
        ours = "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE %s"
        self.rows.execute(f"SELECT pg_terminate_backend(pid) {ours}".encode(), name)
        assert eventually(lambda: not self.rows.execute(f"SELECT 1 {ours}".encode(), name).fetchall())

    def wait_until_quiet(self, names: str = "reminders-%") -> None:
        """Until no function has a connection any more: the scheduler finishes the call of a process that is gone."""
        assert eventually(lambda: not self.rows.execute(QUIET.encode(), [names]).fetchall(), 20), "still connected"

    def lock_is_free(self, within: float = 0.0) -> bool:
        free = "SELECT 1 WHERE %s NOT IN (" + HELD + ")"
        return eventually(lambda: bool(self.rows.execute(free.encode(), [LOCK_KEY]).fetchall()), within)

    def take_lock(self) -> None:
        """A session that is not ours takes the run lock, and keeps it."""
        dsn = self.server.dsn(self.server.superuser, self._database)
        self._stray = psycopg.connect(dsn, autocommit=True, application_name="psql")
        self._stray.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])

    def unlock(self) -> None:
        """What `reminders unlock` does."""
        self.rows.execute("SELECT pg_terminate_backend(pid) FROM public.run_lock_holder()")
        assert self.lock_is_free(5)
        self._close_stray()

    def _close_stray(self) -> None:
        if self._stray is not None:
            self._stray.close()
            self._stray = None

    @property
    def lock_is_taken(self) -> bool:
        return self._stray is not None

    # Outages

    def restart_database(self, *, orderly: bool) -> None:
        """Every connection breaks. A server that is not ours only ends the connections."""
        self._close_stray()
        if isinstance(self.server, CrashingPostgres):
            self.server.restart(orderly=orderly)
        else:
            self.end_backends("%")
        self._connect()

    def is_down(self, what: str) -> bool:
        return what in self.outside.down

    def set_down(self, what: str, *, down: bool) -> None:
        (self.outside.down.add if down else self.outside.down.discard)(what)
        if what == "slack":
            self.slack.response = SlackResponse(503) if down else SlackResponse()

    # People

    def open(self, pair: int, org: int, people: tuple[int, int | None], began: date, last: date | None) -> None:
        mentor, coordinator = people
        self.owner.execute(
            """
            INSERT INTO assignments (id, org_id, peer_mentor_id, coordinator_id, assigned_at, last_contact_date)
            VALUES (%s, %s, %s, %s, %s, %s)
            """,
            [
                pair_id(pair),
                org_id(org),
                person_id(mentor),
                coordinator and person_id(coordinator),
                datetime.combine(began, self.clock.moment.timetz()),
                last,
            ],
        )
        self.add_people(mentor, *([coordinator] if coordinator else []))

    def add_people(self, *people: int) -> None:
        for person in people:
            self.owner.execute(
                "INSERT INTO auth.users (id, email) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [person_id(person), address(person)],
            )
            if token := phone(person):
                self.owner.execute(
                    "INSERT INTO devices (person_id, platform, token) VALUES (%s, 'fcm', %s) ON CONFLICT DO NOTHING",
                    [person_id(person), token],
                )

    def log_contact(self, pair: int, day: date, kind: str, path: str, by: int) -> None:
        """As the mentor or the coordinator themselves, through row level security."""
        with as_user(self.owner, person_id(by)):
            self.owner.execute(
                """
                INSERT INTO activities (assignment_id, activity_type, recorded_date, registered_by, registration_path)
                VALUES (%s, %s, %s, %s, %s)
                """,
                [pair_id(pair), kind, day, person_id(by), path],
            )

    def log_contacts(self, pairs: list[int], day: date, kind: str) -> None:
        """Many in one statement, as the app's backend does."""
        self.owner.execute(
            """
            INSERT INTO activities (assignment_id, activity_type, recorded_date, registration_path)
            SELECT pair, %s, %s, 'bulk' FROM unnest(%s::uuid []) AS pair
            """,
            [kind, day, [pair_id(pair) for pair in pairs]],
        )

    def forget_contact(self, pair: int) -> None:
        """An activity is changed, and another one deleted: neither moves a date."""
        newest = "SELECT max(id) FROM activities WHERE assignment_id = %s"
        self.owner.execute(f"DELETE FROM activities WHERE id = ({newest})".encode(), [pair_id(pair)])
        self.owner.execute(
            f"UPDATE activities SET recorded_date = recorded_date - 400 WHERE id = ({newest})".encode(), [pair_id(pair)]
        )

    def update_pair(self, pair: int, column: str, value: object) -> None:
        self.owner.execute(f"UPDATE assignments SET {column} = %s WHERE id = %s".encode(), [value, pair_id(pair)])

    def read(self, person: int, pair: int) -> None:
        """The recipient opens the app."""
        with as_user(self.owner, person_id(person)):
            self.owner.execute(
                "UPDATE notifications SET read_at = now() WHERE assignment_id = %s AND read_at IS NULL", [pair_id(pair)]
            )

    def set_org(self, org: int, **columns: object) -> None:
        names = ", ".join(["org_id", *columns])
        marks = ", ".join(["%s"] * (len(columns) + 1))
        changes = ", ".join(f"{name} = excluded.{name}" for name in columns)
        insert = f"INSERT INTO org_settings ({names}) VALUES ({marks}) ON CONFLICT (org_id) DO UPDATE SET {changes}"
        self.owner.execute(insert.encode(), [org_id(org), *columns.values()])

    def set_zone(self, person: int, zone: str | None) -> None:
        self.owner.execute(
            """
            INSERT INTO recipient_settings (person_id, time_zone) VALUES (%s, %s)
            ON CONFLICT (person_id) DO UPDATE SET time_zone = excluded.time_zone
            """,
            [person_id(person), zone],
        )

    # What is there

    def all(self, statement: str, *values: object) -> list[dict[str, Any]]:
        return self.rows.execute(statement.encode(), values).fetchall()

    def value(self, statement: str, *values: object) -> Any:
        (row,) = self.all(statement, *values)
        return next(iter(row.values()))

    def new_notifications(self) -> list[dict[str, Any]]:
        """Those that were not asked for before."""
        found = self.all(
            "SELECT id, assignment_id, kind, contact_anchor, recipient_id, gap_days FROM notifications WHERE id > %s",
            self.seen_notifications,
        )
        self.seen_notifications = max([self.seen_notifications, *(row["id"] for row in found)])
        return found

    def take_log(self) -> str:
        text = self.log.getvalue()
        self.log.seek(0)
        self.log.truncate()
        return text

    def _start_scheduler(self, secrets: Mapping[str, str], port: int = 0, *, pooled: bool = False) -> Process:
        deployment = Deployment(self._function("scheduler-database", ""), dict(secrets))
        return self._processes.start("scheduler", deployment, port=port, pooled=pooled)

    def _function(self, secret: str, scheduler: str) -> dict[str, str]:
        url = {"REMINDER_FUNCTION_URL": scheduler} if scheduler else {}
        return self._environment | url | {"DATABASE_SECRET": secret}


def _aws(url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "eu-west-2",
        "AWS_DEFAULT_REGION": "eu-west-2",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }


@contextmanager
def simulated_database(server: Server, migrations: Path) -> Iterator[str]:
    """The name of a migrated template whose clock can be set."""
    name = create_database(server, "simulation_template")
    try:
        replace_clock(server, name)
        apply_shim(server, name)
        migrate(server.dsn(MIGRATOR, name), migrations)
        give_logins(server, name)
        hash_passwords_once(server)
        yield name
    finally:
        drop_database(server, name)


@contextmanager
def make_world(server: Server, template: str, processes: Processes) -> Iterator[World]:
    """A world that begins anew, on a copy of `template`."""
    with ExitStack() as stack:
        name = create_database(server, f"simulation_{time.monotonic_ns()}", template)
        stack.callback(drop_database, server, name)
        world = World(server, name, processes, stack)
        with world.as_function_environment():
            yield world


LONGEST_LEASE = timedelta(seconds=PAUSED_SECONDS + LEASE_GRACE)
