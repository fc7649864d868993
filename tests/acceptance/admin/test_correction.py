"""PATCH /assignments/{id}/last-contact-date: what is changed, what is kept of it, and who gets which answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from reminders.database import Connection
from tests.contacts import ORG, add_notification, add_pair, last_contact, log_contact, notifications, today
from tests.helpers.admin_endpoint import AdminEndpoint, problem
from tests.helpers.cases import first, table
from tests.tokens import ADMIN


def audit(owner: Connection) -> list[Any]:
    return owner.execute(
        "SELECT assignment_id, old_date, new_date, reason, corrected_by FROM contact_date_corrections ORDER BY id"
    ).fetchall()


@pytest.mark.parametrize("last", [15, None])
def test_correction(owner: Connection, endpoint: AdminEndpoint, last: int | None) -> None:
    """The date is changed, the answer and the audit row say old, new, why and who."""
    pair, now = add_pair(owner, last=last), today(owner)
    old, new = last_contact(owner, pair), now - timedelta(days=3)
    response = endpoint.correct(pair, new, version=old or "never", reason="Wrong day entered")
    answer = response.json()
    moment = datetime.fromisoformat(answer.pop("corrected_at"))
    assert (response.status_code, response.headers["etag"]) == (200, f'"{new}"')
    assert answer == {
        "assignment_id": str(pair),
        "old_date": old and str(old),
        "new_date": str(new),
        "reason": "Wrong day entered",
        "corrected_by": str(ADMIN),
    }
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=1)
    assert last_contact(owner, pair) == new
    assert audit(owner) == [(pair, old, new, "Wrong day entered", ADMIN)]


def test_correction_resolves_the_gap_that_it_ends(owner: Connection, endpoint: AdminEndpoint) -> None:
    """An admin's date counts as contact logged does."""
    pair, now = add_pair(owner, last=15), today(owner)
    add_notification(owner, pair, now - timedelta(days=15))
    endpoint.correct(pair, now, version="*")
    assert notifications(owner, pair) == [("reminder", now - timedelta(days=15), False)]


def test_repeated_correction(owner: Connection, endpoint: AdminEndpoint) -> None:
    """The answer got lost, the admin asks again with the old version: the same answer, and one audit row more."""
    pair, now = add_pair(owner, last=15), today(owner)
    endpoint.correct(pair, now - timedelta(days=4))
    version, new = last_contact(owner, pair), now - timedelta(days=3)
    first, second = (endpoint.correct(pair, new, version=version) for _ in range(2))
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert len(audit(owner)) == 2


def test_date_that_stands_already(owner: Connection, endpoint: AdminEndpoint) -> None:
    """Logged since the last correction: nothing to do, and no corrector to name."""
    pair, now = add_pair(owner, last=15), today(owner)
    endpoint.correct(pair, now - timedelta(days=3))
    log_contact(owner, pair, now)
    answer = endpoint.correct(pair, now, version="*").json()
    assert (answer["old_date"], answer["new_date"], answer["corrected_by"]) == (str(now), str(now), None)
    assert len(audit(owner)) == 1


def test_date_that_moved_meanwhile(owner: Connection, endpoint: AdminEndpoint) -> None:
    """A mentor logged contact since the admin looked: refused, with the version that stands now."""
    pair, now = add_pair(owner, last=15), today(owner)
    seen = last_contact(owner, pair)
    log_contact(owner, pair, now - timedelta(days=1))
    response = endpoint.correct(pair, now - timedelta(days=5), version=seen)
    assert problem(response)[0] == 412
    assert response.headers["etag"] == f'"{now - timedelta(days=1)}"'
    assert last_contact(owner, pair) == now - timedelta(days=1)


def test_correction_without_a_version(owner: Connection, endpoint: AdminEndpoint) -> None:
    """Without If-Match any version is replaced; the answer has the new version."""
    pair, now = add_pair(owner, last=15), today(owner)
    made = endpoint.correct(pair, now)
    assert (200, f'"{now}"') == (made.status_code, made.headers["etag"])
    assert now == last_contact(owner, pair)


@pytest.mark.parametrize("days", [1, -101], ids=["tomorrow", "before the assignment"])
def test_date_that_cannot_be(owner: Connection, endpoint: AdminEndpoint, days: int) -> None:
    """Not in the future, not before the assignment began."""
    pair, now = add_pair(owner, last=15, began=100), today(owner)
    status, document = problem(endpoint.correct(pair, now + timedelta(days=days), version="*"))
    assert (status, document["errors"][0]["field"]) == (422, "body.last_contact_date")
    assert audit(owner) == []


@pytest.mark.parametrize("days", [0, -100], ids=["today", "the day it began"])
def test_first_and_last_date_that_can_be(owner: Connection, endpoint: AdminEndpoint, days: int) -> None:
    """Both ends are inside."""
    pair, now = add_pair(owner, last=15, began=100), today(owner)
    assert endpoint.correct(pair, now + timedelta(days=days), version="*").status_code == 200


WRONGEST = ["infinity", "-infinity", "12026-11-01", "5874897-12-31", "0044-03-15 BC"]


@pytest.mark.parametrize("wrong", first(2, WRONGEST))
def test_date_that_python_does_not_know(owner: Connection, endpoint: AdminEndpoint, wrong: str) -> None:
    """The wrongest dates are shown as PostgreSQL writes them, and corrected; a repeat gets the first answer."""
    pair, now = add_pair(owner), today(owner)
    owner.execute("UPDATE assignments SET last_contact_date = %s", [wrong])
    refused = endpoint.correct(pair, now, version="2026-01-01")
    assert (412, f'"{wrong}"') == (problem(refused)[0], refused.headers["etag"])
    made, again = (endpoint.correct(pair, now, version=wrong) for _ in range(2))
    assert (200, wrong, str(now)) == (made.status_code, made.json()["old_date"], made.json()["new_date"])
    assert (made.status_code, made.json()) == (again.status_code, again.json())
    assert now == last_contact(owner, pair)


@pytest.mark.parametrize("began", first(2, ["infinity", "-infinity", "12026-11-01", "0044-03-15 BC"]))
def test_beginning_that_cannot_be(owner: Connection, endpoint: AdminEndpoint, began: str) -> None:
    """An assignment that began at an impossible time limits no correction; the future still does."""
    pair, now = add_pair(owner, last=15), today(owner)
    owner.execute("UPDATE assignments SET assigned_at = %s", [began])
    assert 422 == endpoint.correct(pair, now + timedelta(days=1)).status_code
    assert 200 == endpoint.correct(pair, now - timedelta(days=30)).status_code
    assert now - timedelta(days=30) == last_contact(owner, pair)


def test_admin_of_another_organisation(owner: Connection, endpoint: AdminEndpoint) -> None:
    """Gets the answer of an assignment that does not exist, even as a mentor or coordinator of it."""
    pair, now = add_pair(owner), today(owner)
    other = endpoint.token(app={"role": "admin", "org_ids": [str(uuid4())]})
    owner.execute("UPDATE assignments SET peer_mentor_id = %s, coordinator_id = %s", [ADMIN, ADMIN])
    refused = [
        endpoint.correct(pair, now, version="*", token=other),
        endpoint.correct(uuid4(), now, version="*"),
        endpoint.correct(pair, now, version="*", token=endpoint.token(app={"role": "admin", "org_ids": []})),
    ]
    assert [problem(response) for response in refused] == [problem(refused[0])] * 3
    assert refused[0].status_code == 404
    assert audit(owner) == []
    named = endpoint.token(app={"role": "admin", "org_ids": [str(ORG)]})
    assert endpoint.correct(pair, now, version="*", token=named).status_code == 200


BODY = {"last_contact_date": "2025-06-01", "reason": "Met on Sunday"}
WRONG: dict[str, tuple[dict[str, Any], int]] = {
    "no JSON": ({"content": b"{"}, 422),
    "no body": ({"content": b""}, 422),
    "not UTF-8": ({"content": b"\xff\xfe"}, 422),
    "an array": ({"json": []}, 422),
    "null": ({"json": None}, 422),
    "a form": ({"content": b"a=b", "headers": {"content-type": "text/plain"}}, 415),
    "too large": ({"json": {**BODY, "reason": "x" * 20_000}}, 413),
    "nested deep": ({"content": b"[" * 5_000}, 422),
    "an unknown field": ({"json": {**BODY, "corrected_by": str(ADMIN)}}, 422),
    "no reason": ({"json": {"last_contact_date": "2025-06-01"}}, 422),
    "a short reason": ({"json": {**BODY, "reason": "ok"}}, 422),
    "a blank reason": ({"json": {**BODY, "reason": "     "}}, 422),
    "a long reason": ({"json": {**BODY, "reason": "x" * 501}}, 422),
    "a reason with a NUL": ({"json": {**BODY, "reason": "met\x00them"}}, 422),
    "a reason of two lines": ({"json": {**BODY, "reason": "met\nthem"}}, 422),
    "half a surrogate": ({"content": b'{"last_contact_date": "2025-06-01", "reason": "met \\ud800 them"}'}, 422),
    "a time": ({"json": {**BODY, "last_contact_date": "2025-06-01T00:00:00"}}, 422),
    "a number": ({"json": {**BODY, "last_contact_date": 20250601}}, 422),
    "no such day": ({"json": {**BODY, "last_contact_date": "2025-02-30"}}, 422),
    "no date": ({"json": {**BODY, "last_contact_date": None}}, 422),
}


@table("wrong", WRONG)
def test_body_that_is_wrong(owner: Connection, endpoint: AdminEndpoint, wrong: str) -> None:
    """Refused with what is wrong, and nothing of what was sent."""
    pair = add_pair(owner)
    options, status = WRONG[wrong]
    headers = {"if-match": "*", "content-type": "application/json", **options.get("headers", {})}
    options = {name: value for name, value in options.items() if name != "headers"}
    response = endpoint.request("PATCH", f"/assignments/{pair}/last-contact-date", headers=headers, **options)
    assert problem(response)[0] == status
    assert "xxxx" not in response.text
    assert audit(owner) == []


@pytest.mark.parametrize("path", ["/assignments/1/last-contact-date", "/assignments/%00/last-contact-date"])
def test_invalid_id(endpoint: AdminEndpoint, path: str) -> None:
    """An id that is no UUID is refused before the database is asked."""
    assert problem(endpoint.request("PATCH", path, json=BODY, headers={"if-match": "*"}))[0] in {404, 422}


@table(
    ("method", "path", "allowed"),
    [("POST", "/runs", "GET"), ("GET", "/assignments/1/last-contact-date", "PATCH"), ("PUT", "/openapi.json", "GET")],
)
def test_wrong_method(endpoint: AdminEndpoint, method: str, path: str, allowed: str) -> None:
    """The answer says which one is right."""
    response = endpoint.request(method, path)
    assert (problem(response)[0], response.headers["allow"]) == (405, allowed)


def test_wrong_path(endpoint: AdminEndpoint) -> None:
    """A path that is none, for an admin who is one."""
    assert problem(endpoint.request("GET", "/assignments"))[0] == 404
