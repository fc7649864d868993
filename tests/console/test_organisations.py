"""Pages and organisations: an admin of one organisation, on every route, with the ids of another."""

from __future__ import annotations

import json

from handlers.console import ROUTES
from handlers.console_http import Route
from reminders.database import Connection
from tests.console.visitors import ASSIGNMENT, FOREIGN, ORG, OTHER, SETTINGS, Console, Visitor, text_of
from tests.helpers.cases import table

# The routes whose ids belong to an organisation, with the id of the other one.
FOREIGN_IDS = {"assignment_id": str(FOREIGN), "org_id": str(OTHER)}
OWN_IDS = {"assignment_id": str(ASSIGNMENT), "org_id": str(ORG)}
NOWHERE = "00000000-0000-0000-0000-00000000ffff"
FORM = {
    "date": "2026-11-20",
    "reason": "a reason",
    **SETTINGS,
    "reminder_days": "7",
    "seen": json.dumps(SETTINGS),
}
# A run belongs to no organisation; the rest of the ids do.
WITH_ID = [r for r in ROUTES if any(f"<{name}>" in r.path for name in FOREIGN_IDS)]
LISTS = [r for r in ROUTES if "<" not in r.path and r.method == "GET" and not r.is_public and not r.before_factor]


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def answer(visitor: Visitor, route: Route, ids: dict[str, str], owner: Connection) -> tuple[int, str]:
    filled = route.path
    for each, value in ids.items():
        filled = filled.replace(f"<{each}>", value)
    version = owner.execute("SELECT last_contact_date::text FROM assignments WHERE id = %s", [ids["assignment_id"]])
    row = version.fetchone()
    form = {**FORM, "version": row[0] if row else "never"}
    response = visitor.post(filled, **form) if route.method == "POST" else visitor.get(filled)
    return response.status_code, text_of(response)


def test_each_route_with_an_id_is_known_here() -> None:
    """A new parameter must be added above, or be one of the ledger."""
    parameters = {part.strip("<>") for r in ROUTES for part in r.path.split("/") if part.startswith("<")}
    assert parameters == {*FOREIGN_IDS, "run_id"}


@table("route", WITH_ID, ids=name)
def test_id_of_another_organisation(console: Console, filled: Connection, route: Route) -> None:
    """The answer is the one for an id that does not exist, and nothing is changed."""
    visitor = console.admin(ORG)
    foreign = answer(visitor, route, FOREIGN_IDS, filled)
    nowhere = answer(visitor, route, dict.fromkeys(FOREIGN_IDS, NOWHERE), filled)
    assert 404 == foreign[0]
    assert _without_request_id(foreign[1]) == _without_request_id(nowhere[1])
    assert (0, 0) == (_count(filled, "contact_date_corrections"), _count(filled, "admin_changes"))


def _without_request_id(text: str) -> str:
    return text.partition("name the request:")[0]


def _count(owner: Connection, table: str) -> int:
    row = owner.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    return int(row[0]) if row else -1


@table("route", WITH_ID, ids=name)
def test_id_of_the_own_organisation(console: Console, filled: Connection, route: Route) -> None:
    """The same requests work where they should: the test above does not pass for another reason."""
    assert 200 == answer(console.admin(ORG), route, OWN_IDS, filled)[0]


@table("route", LISTS, ids=name)
def test_lists_hold_nothing_of_another_organisation(console: Console, filled: Connection, route: Route) -> None:
    """Neither ids, nor in counts: the other organisation's one assignment waits for 40 days."""
    page = console.admin(ORG).get(route.path)
    assert 200 == page.status_code
    for trace in (str(FOREIGN), str(OTHER), str(FOREIGN)[:8] + "-0000-0000-0000-0000000000b", "40 days"):
        assert trace not in page.text
    assert "2 open assignments" not in text_of(page)


@table("query", [f"org={OTHER}", f"org={NOWHERE}"])
@table("path", ["/console/needs-contact", "/console/needs-contact.csv"])
def test_filter_by_another_organisation(console: Console, filled: Connection, path: str, query: str) -> None:
    """As if it did not exist."""
    assert 404 == console.admin(ORG).get(f"{path}?{query}").status_code


def test_place_in_the_list_from_another_organisation(console: Console, filled: Connection) -> None:
    """A place is a date and an id: one that was made up shows no more than the list does."""
    page = console.admin(ORG).get(f"/console/needs-contact?after=2026-01-01_{FOREIGN}")
    assert (200, False) == (page.status_code, str(FOREIGN) in page.text)


def test_admin_of_no_organisation(console: Console, filled: Connection) -> None:
    """An empty list of organisations is none, not all; the pages open, and say that there is nothing."""
    console.user({"role": "admin", "org_ids": []})
    visitor = console.visitor()
    visitor.sign_in("ada@example.org")
    assert "There are no open assignments in your organisations." in text_of(visitor.get("/console/needs-contact"))
    assert "There is no organisation in your account yet." in text_of(visitor.get("/console/settings"))


def test_admin_of_all(console: Console, filled: Connection) -> None:
    """Sees both, longest first, and can choose."""
    page = console.admin().get("/console/needs-contact")
    assert page.text.index(str(FOREIGN)) < page.text.index(str(ASSIGNMENT))
    assert f"?org={OTHER}" in page.text
