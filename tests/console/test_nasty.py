"""Stored text that would act on a page is text everywhere: names, reasons, error messages."""

from __future__ import annotations

import html
import re

import pytest

from reminders.database import Connection
from tests.console.visitors import ASSIGNMENT, MENTOR, ORG, Console, message
from tests.factories import add_run
from tests.helpers.cases import first
from tests.nasty import NASTY, acting

MORE = {
    "template": "{{7777*7777}} {% raw %}",
    "SVG": '<svg onload="alert(1)"><text>x</text></svg>',
    "attribute": '" onmouseover="alert(1)" x=\'',
    "closing tags": "</textarea></script></title><h1>hello</h1>",
    "entity": "&lt;b&gt; &#60;i&#62;",
    "right to left": "مرحبا שלום",
    "long": "x" * 10_000,
}
HTML = " ".join([NASTY["tag of HTML"], MORE["SVG"], MORE["attribute"], MORE["closing tags"], MORE["entity"]])
# `make test` runs the first three.
FIRST = {"HTML": HTML, "template": MORE["template"], "escape sequence": NASTY["escape sequence"]}
TEXTS = FIRST | NASTY | MORE
PAGES = (
    "/console",
    "/console/needs-contact",
    "/console/needs-contact/not-reached",
    f"/console/assignments/{ASSIGNMENT}",
    "/console/runs",
    "/console/settings",
)
# Tags of ours; anything else in a page came from the data.
TAGS = set(
    re.findall(
        r"\w+",
        "a body br button caption code dd details div dl dt form h1 h2 head header html input label li link main meta "
        "fieldset legend select option "
        "nav ol p rect section span strong summary svg table tbody td textarea th thead time title tr ul",
    )
)


@pytest.mark.parametrize("case", first(3, TEXTS))
def test_nasty_text(console: Console, filled: Connection, case: str) -> None:
    """On every page: no tag, attribute or template of the text's own, no character that acts on a screen."""
    text = TEXTS[case]
    storable = text.replace("\x00", "")
    filled.execute(
        "UPDATE auth.users SET raw_user_meta_data = jsonb_build_object('full_name', %s::text) WHERE id = %s",
        [storable, MENTOR],
    )
    filled.execute("ALTER TABLE contact_date_corrections DISABLE TRIGGER corrections_are_applied")
    # Rows from before the constraint are there, too.
    filled.execute("ALTER TABLE contact_date_corrections DROP CONSTRAINT reason_is_printable")
    filled.execute(
        """
        INSERT INTO contact_date_corrections (assignment_id, old_date, new_date, reason, corrected_by)
        VALUES (%s, '2026-01-02', '2026-01-03', %s, %s)
        """,
        [ASSIGNMENT, f"why {storable}"[:500], MENTOR],
    )
    filled.execute(
        "UPDATE org_settings SET display_name = %(text)s, locale = left(%(text)s, 20), send_from = '07:00'",
        {"text": storable},
    )
    message(filled, MENTOR, "failed", error=storable or "x")
    run = add_run(filled, "failed", error_message=storable, note=storable)
    visitor = console.admin(ORG)
    for path in (*PAGES, f"/console/runs/{run}", "/console/needs-contact?threshold=escalation"):
        page = visitor.get(path)
        assert 200 == page.status_code, path
        assert TAGS >= {tag.lower() for tag in re.findall(r"<([a-zA-Z][^\s>/]*)", page.text)}, path
        assert [] == acting(page.text.replace("\n", "")), path
        assert not re.search(r"\son\w+=\"", re.sub(r"&#?\w+;", "", page.text)), path
        assert str(7777 * 7777) not in page.text, path
    shown = html.unescape(visitor.get(f"/console/runs/{run}").text)
    visible = re.sub(r"[^\w<>&{}]+", " ", text)[:40].strip()
    assert visible.split(" ")[0] in shown
