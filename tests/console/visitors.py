"""The console as a test sees it: its people, visitors who do what a browser does, and rows to look at."""

from __future__ import annotations

import csv
import io
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import pytest

from handlers import admin
from handlers.wiring import console as wiring
from ops.local.aws import Aws
from ops.local.function_url import FunctionUrl
from ops.local.server import Server
from ops.local.supabase_auth import PUBLISHABLE_KEY, SupabaseAuth, User
from reminders.console.session import FORM_COOKIE
from reminders.database import Connection
from tests.tokens import SECRET

ORG, OTHER = UUID(int=0xA), UUID(int=0xB)
ASSIGNMENT, FOREIGN = UUID(int=0xA1), UUID(int=0xB1)
MENTOR, COORDINATOR = UUID(int=0xA2), UUID(int=0xA3)
PASSWORD = "a password of some length"

# The settings of an organisation without a row, as the fields of the form.
SETTINGS = {
    "reminder_days": "10",
    "escalation_days": "20",
    "display_name": "",
    "locale": "en",
    "time_zone": "UTC",
    "send_from": "08:00",
    "send_until": "20:00",
}


@dataclass
class Visitor:
    """A browser without a screen: it keeps cookies, follows redirects, and sends what a browser sends."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict)
    visited: list[str] = field(default_factory=list)

    def request(
        self, method: str, path: str, *, follow: bool = True, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        sent = {"sec-fetch-site": "same-origin", "cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items())}
        sent = {name: value for name, value in {**sent, **(headers or {})}.items() if value}
        response = httpx.request(method, f"{self.url}{path}", headers=sent, timeout=20, **options)
        for cookie in response.headers.get_list("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        if follow and response.is_redirect:
            self.visited.append(response.headers["location"])
            return self.request("GET", response.headers["location"])
        return response

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, *, token: str | None = None, **values: Any) -> httpx.Response:
        """Send a form with the token that this browser has been given; `options` of httpx by `_options`."""
        options = values.pop("_options", {})
        form = {"form_token": self.form_token if token is None else token, **{n: str(v) for n, v in values.items()}}
        return self.request("POST", path, data=form, **options)

    @property
    def form_token(self) -> str:
        """Of the session, or of the browser before it."""
        session = self.cookies.get("__Host-console", "").partition("!")[0]
        return session or self.cookies.get(FORM_COOKIE, "")

    def sign_in(self, email: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        self.get("/console/sign-in")
        return self.post("/console/sign-in", email=email, password=password, by="password", **more)


@dataclass
class Console:
    """Where it is, and what is behind it."""

    url: str
    auth: SupabaseAuth

    def visitor(self) -> Visitor:
        return Visitor(self.url)

    def user(self, app: dict[str, Any], email: str = "ada@example.org", **more: Any) -> User:
        """An account with these claims."""
        return self.auth.add(User(email, PASSWORD, app_metadata=app, **more))

    def admin(self, *organisations: UUID, email: str = "ada@example.org") -> Visitor:
        """An admin who is signed in: of the organisations, or of all."""
        limit = {"org_ids": [str(each) for each in organisations]} if organisations else {}
        self.user({"role": "admin", **limit}, email)
        visitor = self.visitor()
        assert visitor.sign_in(email).status_code == 200
        return visitor


@contextmanager
def console_on(
    server: Server, database: str, aws: Aws, auth: SupabaseAuth, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Console]:
    """The admin function behind a Function URL, on this database."""
    prefix = f"reminders/{uuid.uuid4().hex[:8]}"
    aws.put_secret(f"{prefix}/admin-database", server.dsn("contact_admin_api", database))
    aws.put_secret(f"{prefix}/jwt", SECRET)
    aws.put_secret(f"{prefix}/key", PUBLISHABLE_KEY)
    environment = {
        "DATABASE_SECRET": f"{prefix}/admin-database",
        "SUPABASE_JWT_SECRET": f"{prefix}/jwt",
        "SUPABASE_JWT_ISSUER": auth.issuer,
        "SUPABASE_URL": auth.url,
        "SUPABASE_PUBLISHABLE_KEY_SECRET": f"{prefix}/key",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    wiring.second_factor.cache_clear()
    with FunctionUrl(admin.handler, timeout=30) as served:
        yield Console(served.url, auth)


FILL = """
INSERT INTO org_settings (org_id, reminder_days, escalation_days) VALUES ({a}, 10, 20), ({b}, 10, 20);
INSERT INTO assignments (id, org_id, peer_mentor_id, coordinator_id, assigned_at, last_contact_date) VALUES
    ({one}, {a}, {mentor}, {coordinator}, '2026-01-01', (now() AT TIME ZONE 'UTC')::date - 30),
    ({two}, {b}, {mentor}, {coordinator}, '2026-01-01', (now() AT TIME ZONE 'UTC')::date - 40);
INSERT INTO auth.users (id, email, raw_user_meta_data) VALUES
    ({mentor}, 'mia@example.org', '{{"full_name": "Mia Mentor"}}'),
    ({coordinator}, 'cora@example.org', NULL);
INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
SELECT a.id, r.id, r.kind, a.last_contact_date, 30
FROM assignments AS a
CROSS JOIN (VALUES ({mentor}, 'reminder'), ({coordinator}, 'escalation')) AS r (id, kind);
"""


def text_of(response: httpx.Response) -> str:
    """What a person reads: the page without its tags, on one line."""
    body = re.sub(r"<(head|style)\b.*?</\1>", " ", response.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def message(owner: Connection, person: UUID, status: str, channel: str = "email", error: str | None = None) -> None:
    """One message about all notifications of the person."""
    sent = status in {"sent", "delivered"} or error == "bounce"
    owner.execute(
        """
        WITH made AS (
            INSERT INTO messages (
                org_id, recipient_id, channel, local_date, status, send_after, expires_at, next_attempt_at, lease_until,
                sent_at, last_error
            ) VALUES (
                %(org)s, %(person)s, %(channel)s, '2026-11-20', %(status)s, '2026-11-20 08:00Z', '2026-11-21 08:00Z',
                '2026-11-20 08:00Z', CASE WHEN %(status)s = 'sending' THEN now() END,
                CASE WHEN %(sent)s THEN '2026-11-20 08:05Z'::timestamptz END, %(error)s
            ) RETURNING id
        )
        INSERT INTO message_items (notification_id, channel, message_id)
        SELECT n.id, %(channel)s, m.id FROM notifications AS n, made AS m WHERE n.recipient_id = %(person)s
        """,
        {"org": ORG, "person": person, "channel": channel, "status": status, "sent": sent, "error": error},
    )


def many(owner: Connection, count: int, gap: int = 15) -> None:
    """Assignments of the first organisation that all wait for the same time, so that only ids part them."""
    owner.execute(
        """
        INSERT INTO assignments (org_id, peer_mentor_id, coordinator_id, assigned_at, last_contact_date)
        SELECT %s, %s, %s, '2026-01-01', (now() AT TIME ZONE 'UTC')::date - %s::int FROM generate_series(1, %s)
        """,
        [ORG, MENTOR, COORDINATOR, gap, count],
    )


def rows(text: str) -> list[dict[str, str]]:
    """Of a CSV."""
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
