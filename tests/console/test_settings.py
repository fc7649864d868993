"""Settings: what is saved and recorded, what is refused, two admins at once, many organisations."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from reminders.console.pages.settings import LANGUAGES
from reminders.database import Connection
from reminders.messages import templates
from tests.console.visitors import ORG, OTHER, SETTINGS, Console, Visitor, text_of
from tests.helpers.cases import first

PATH = f"/console/settings/{ORG}"


def save(visitor: Visitor, seen: Mapping[str, str] = SETTINGS, /, **values: str) -> httpx.Response:
    """Send the form as a browser does, with `values` typed over what was seen."""
    return visitor.post(PATH, **{**seen, **values}, seen=json.dumps(dict(seen)))


def seen_on(page: httpx.Response) -> dict[str, str]:
    """What the form of a page was made from."""
    found = re.search(r'name="seen" value="([^"]*)"', page.text)
    assert found
    return dict(json.loads(html.unescape(found[1])))


def changes(owner: Connection) -> list[Any]:
    return owner.execute("SELECT what, old_value, new_value FROM admin_changes ORDER BY id").fetchall()


def test_all_settings_are_saved_and_recorded(console: Console, filled: Connection) -> None:
    """Saved, said so, and each with who, when, from what and to what; the console speaks the new zone at once."""
    new = {
        "reminder_days": "7",
        "escalation_days": "14",
        "display_name": "Friends of Oslo",
        "locale": "nb",
        "time_zone": "Europe/Oslo",
        "send_from": "09:00",
        "send_until": "18:30",
    }
    visitor = console.admin(ORG)
    filled.execute(
        """INSERT INTO auth.users (id, raw_user_meta_data) VALUES (%s, '{"full_name": "Ada Admin"}')""",
        [console.auth.users["ada@example.org"].id],
    )
    page = save(visitor, **new)
    text = text_of(page)
    assert "Saved. The thresholds apply from the next run, the rest from the next message." in text
    for line in (
        "Remind the mentor after: 10 days → 7 days",
        "Alert the coordinator after: 20 days → 14 days",
        "Name: none → Friends of Oslo",
        "Language: English → Norwegian (bokmål)",
        "Time zone: UTC → Europe/Oslo",
        "Send from: 08:00 → 09:00",
        "Send until: 20:00 → 18:30",
        "by Ada Admin",
        "Europe/Oslo",
    ):
        assert line in text
    assert new == seen_on(page)
    row = filled.execute(
        "SELECT send_from::text, send_until::text, locale FROM org_settings WHERE org_id = %s", [ORG]
    ).fetchone()
    assert ("09:00:00", "18:30:00", "nb") == row
    assert ["thresholds", "organisation"] == [change[0] for change in changes(filled)]


def test_form_that_is_sent_twice_is_one_change(console: Console, filled: Connection) -> None:
    """A double click; and a form that changes nothing is no change at all."""
    visitor = console.admin(ORG)
    answers = [save(visitor, time_zone="Europe/Oslo").status_code for _ in range(2)]
    save(visitor, seen_on(visitor.get(PATH)))
    assert ([200, 200], 1) == (answers, len(changes(filled)))


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    first(
        5,
        [
            ("time_zone", "Oslo", "There is no time zone “Oslo”. Did you mean Europe/Oslo?"),
            ("time_zone", "Europe/Atlantis", "Enter a continent and a city"),
            ("escalation_days", "10", "enter 11 or more"),
            ("send_until", "08:00", "Sending must end at another time than it begins."),
            ("display_name", "turned \u202e round", "on one line"),
            ("reminder_days", "", "Enter a whole number of days"),
            ("reminder_days", "ten", "Enter a whole number of days"),
            ("reminder_days", "0", "Enter a whole number of days"),
            ("reminder_days", "-1", "Enter a whole number of days"),
            ("reminder_days", "\u0661\u0660", "Enter a whole number of days"),
            ("escalation_days", "99999", "Enter a whole number of days"),
            ("display_name", "x" * 81, "at most 80 characters"),
            ("locale", "<b>", "Choose a language."),
            ("time_zone", "", "Enter a time zone such as Europe/Oslo."),
            ("time_zone", "Europe/Oslo'; --", "Enter a time zone such as Europe/Oslo."),
            ("time_zone", "posix/Europe/../Oslo", "Enter a time zone such as Europe/Oslo."),
            ("send_from", "8", "Enter a time such as 08:00."),
            ("send_from", "24:00", "Enter a time such as 08:00."),
        ],
    ),
)
def test_what_cannot_be(console: Console, filled: Connection, field: str, typed: str, words: str) -> None:
    """The error stands on top and beside the field, what was typed is kept, and nothing is saved."""
    page = save(console.admin(ORG), **{"send_from": "07:00", field: typed} if field != "send_until" else {field: typed})
    assert (422, 2) == (page.status_code, text_of(page).count(words))
    assert 'aria-describedby="' in page.text and f'id="{field}-error"' in page.text
    if field not in ("locale", "display_name"):
        assert f'value="{html.escape(typed, quote=True).replace("&#x27;", "&#39;")}"' in page.text
    assert [] == changes(filled)


def test_second_admin_is_shown_what_changed_and_asked(console: Console, filled: Connection) -> None:
    """What the first one saved stands there; the second one's own change is kept, and saving it undoes nothing."""
    first_admin, second = console.admin(ORG), console.admin(ORG, email="bob@example.org")
    save(first_admin, reminder_days="7", time_zone="Europe/Oslo")
    page = save(second, send_until="21:00")
    text = text_of(page)
    assert 409 == page.status_code
    assert "Another admin has changed this" in text
    assert "Remind the mentor after: 10 days → 7 days" in text and "Time zone: UTC → Europe/Oslo" in text
    now = seen_on(page)
    assert ("7", "Europe/Oslo") == (now["reminder_days"], now["time_zone"])
    form = {name: value for name in SETTINGS for value in re.findall(rf'name="{name}"[^>]* value="([^"]*)"', page.text)}
    assert ("7", "Europe/Oslo", "21:00") == (form["reminder_days"], form["time_zone"], form["send_until"])
    assert "Saved." in text_of(save(second, now, **form))
    assert ["thresholds", "organisation", "organisation"] == [change[0] for change in changes(filled)]


@pytest.mark.parametrize(
    "seen", first(1, ["", "[]", "{", '{"locale": 7}', '{"locale": "\\u0000\\ud800"}', "[" * 4_000])
)
def test_form_whose_origin_is_not_known(console: Console, filled: Connection, seen: str) -> None:
    """It cannot be said what the admin saw, so the admin is asked, and nothing is saved."""
    page = console.admin(ORG).post(PATH, **{**SETTINGS, "locale": "nb"}, seen=seen)
    assert (409, []) == (page.status_code, changes(filled))


def test_admin_of_several_chooses_one(console: Console, filled: Connection) -> None:
    """Each has a page of its own; the changes of one are not on the page of another."""
    visitor = console.admin()
    save(visitor, time_zone="Europe/Oslo")
    listed = text_of(visitor.get("/console/settings"))
    assert "2 organisations: choose one." in listed and "Organisation 00000000: Time" not in listed
    assert "Time zone: UTC → Europe/Oslo" in text_of(visitor.get(PATH))
    assert "Time zone: UTC" not in text_of(visitor.get(f"/console/settings/{OTHER}"))


def test_many_organisations_are_on_several_pages(console: Console, owner: Connection) -> None:
    """50 on each, and the list of who needs contact links to them instead of naming all."""
    owner.execute(
        """
        INSERT INTO assignments (org_id, peer_mentor_id)
        SELECT gen_random_uuid(), gen_random_uuid() FROM generate_series(1, 120)
        """
    )
    visitor = console.admin()
    address, found, pages = "/console/settings", set(), 0
    while address:
        body = visitor.get(address).text
        found |= set(re.findall(r'<h2><a href="/console/settings/([^"]+)"', body))
        following = re.search(r'rel="next" href="([^"]+)"', body)
        address, pages = following[1] if following else "", pages + 1
    assert (120, 3) == (len(found), pages)
    assert "Choose an organisation" in text_of(visitor.get("/console/needs-contact"))


def test_languages_are_those_that_messages_have() -> None:
    """What can be chosen can be written."""
    assert templates.languages() == set(LANGUAGES)
