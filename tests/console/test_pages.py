"""The pages: what stands on them, how lists page, and what their forms do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from reminders.database import Connection
from reminders.runs.lock import LOCK_KEY
from tests.console.visitors import ASSIGNMENT, MENTOR, ORG, Console, Visitor, many, rows, text_of
from tests.factories import add_run
from tests.helpers.cases import first, table

NEEDS = "/console/needs-contact"
PAGE = f"/console/assignments/{ASSIGNMENT}"
CORRECT = f"{PAGE}/contact-date"
TODAY = datetime.now(UTC).date()


def version(visitor: Visitor) -> str:
    """The state of the date that the page was made from."""
    found = re.search(r'name="version" value="([^"]*)"', visitor.get(PAGE).text)
    assert found
    return found[1]


# Overview -------------------------------------------------------------------------------------------------------


def test_overview_before_the_first_run(console: Console) -> None:
    """It says so, and does not claim that all is well."""
    page = text_of(console.admin().get("/console"))
    assert "No run has taken place yet." in page
    assert "0 assignments need contact" in page


def test_overview_of_a_good_day(console: Console, filled: Connection) -> None:
    """One sentence, why, and when the next run starts."""
    now = datetime.now(UTC)
    add_run(filled, "success", completed_at=now, started_at=now, scheduled_for=now, reminders_dispatched=1234)
    page = text_of(console.admin(ORG).get("/console"))
    assert "All is well." in page
    assert "It sent 1,234 reminders and alerts." in page
    assert "Next run: " in page and "06:00 UTC" in page
    assert "1 assignment needs contact" in page


def test_overview_after_a_failed_run(console: Console, filled: Connection) -> None:
    """The failure is the sentence; nothing is lost, which is said as well."""
    now = datetime.now(UTC)
    before = now - timedelta(hours=2)
    add_run(filled, "success", completed_at=before, started_at=before, scheduled_for=before)
    add_run(filled, "failed", completed_at=now, started_at=now, scheduled_for=now)
    page = text_of(console.admin().get("/console"))
    assert "The last run failed, so reminders are late." in page
    assert "Nothing is lost" in page


def test_lock_of_another_session(console: Console, filled: Connection) -> None:
    """The overview says that no run can start and names the session, as the doctor does; not while a run is running."""
    (pid,) = filled.execute("SELECT pg_backend_pid()").fetchone() or (0,)
    filled.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
    visitor = console.admin(ORG)
    page = text_of(visitor.get("/console"))
    assert "No run can start." in page and f"held by a session (pid {pid}), but no run is running" in page
    add_run(filled, "running")
    assert "No run can start." not in text_of(visitor.get("/console"))


def test_strip_says_the_same_in_words(console: Console, filled: Connection) -> None:
    """Of 30 days: those that failed, and those without a run, by their dates."""
    now = datetime.now(UTC)
    for back in range(30):
        at = now - timedelta(days=back)
        if back != 3:
            add_run(filled, "failed" if back == 5 else "success", completed_at=at, started_at=at, scheduled_for=at)
    page = console.admin().get("/console")
    assert 30 == page.text.count("<rect")
    assert "On 28 days of the last 30 a run succeeded" in text_of(page)
    failed = now - timedelta(days=5)
    assert f"Failed: {failed.day} {failed:%b %Y}." in text_of(page)
    none = now - timedelta(days=3)
    assert f"No run: {none.day} {none:%b %Y}." in text_of(page)


# Needs contact --------------------------------------------------------------------------------------------------


def test_row_says_who_waits_how_long_and_who_was_notified(console: Console, filled: Connection) -> None:
    """The mentor by name, the coordinator by e-mail address where there is no name."""
    page = text_of(console.admin(ORG).get(NEEDS))
    assert "1 of 1 open assignment had no contact for so long that the mentor is reminded." in page
    for part in (
        "Mia Mentor",
        "30 days without contact",
        "Mentor notified in the app, not read yet",
        "cora@example.org",
    ):
        assert part in page


def test_long_name_shows_that_it_was_cut(console: Console, filled: Connection) -> None:
    """The view cuts names at 60 characters; the page must not show half a name or address as if it were whole."""
    filled.execute("UPDATE auth.users SET raw_user_meta_data = '{}', email = repeat('a', 70) || '@example.org'")
    page = text_of(console.admin(ORG).get(f"/console/assignments/{ASSIGNMENT}"))
    assert f"{'a' * 60}…" in page


@pytest.mark.parametrize("count", first(2, [50, 1, 49, 51, 120]))
def test_pages_by_keyset_show_each_row_once(console: Console, filled: Connection, count: int) -> None:
    """Longest first, 50 a page; rows that wait equally long are parted by their ids."""
    many(filled, count)
    visitor = console.admin(ORG)
    address: str | None = NEEDS
    seen: list[str] = []
    pages = 0
    while address:
        body = visitor.get(address).text
        seen += re.findall(r'<h2><a href="/console/assignments/([^"]+)"', body)
        following = re.search(r'rel="next" href="([^"]+)"', body)
        address = following[1].replace("&amp;", "&") if following else None
        pages += 1
    assert (count + 1, count + 1, -(-(count + 1) // 50)) == (len(seen), len(set(seen)), pages)
    assert str(ASSIGNMENT) == seen[0]


def test_row_that_leaves_between_two_pages(console: Console, filled: Connection) -> None:
    """The next page begins after the place of the last one, so nothing is skipped or shown twice."""
    many(filled, 60)
    visitor = console.admin(ORG)
    first = re.findall(r'<h2><a href="/console/assignments/([^"]+)"', visitor.get(NEEDS).text)
    address = re.search(r'rel="next" href="([^"]+)"', visitor.get(NEEDS).text)
    assert address
    filled.execute("DELETE FROM assignments WHERE id = ANY(%s)", [first[:10]])
    second = re.findall(r'<h2><a href="/console/assignments/([^"]+)"', visitor.get(address[1]).text)
    assert 61 == len({*first, *second})


def test_filters(console: Console, filled: Connection) -> None:
    """By threshold, each with its count."""
    many(filled, 2)
    filled.execute("UPDATE assignments SET coordinator_id = NULL WHERE id = %s", [ASSIGNMENT])
    visitor = console.admin(ORG)
    page = text_of(visitor.get(NEEDS))
    for words in ("Mentor is reminded (3)", "Coordinator is alerted (1)", "No coordinator (1)"):
        assert words in page
    assert 1 == visitor.get(f"{NEEDS}?threshold=escalation").text.count("<h2><a")
    assert "No coordinator to alert" in text_of(visitor.get(f"{NEEDS}?threshold=no_coordinator"))


def test_empty_list_explains_itself(console: Console, filled: Connection) -> None:
    """No one waits: good news, and no table without rows."""
    filled.execute("UPDATE assignments SET last_contact_date = current_date")
    page = text_of(console.admin(ORG).get(NEEDS))
    assert "No contact is overdue" in page


def test_empty_filter_says_what_it_looked_for(console: Console, filled: Connection) -> None:
    """Others wait, so nothing says that no one does."""
    many(filled, 2)
    filled.execute("UPDATE assignments SET coordinator_id = peer_mentor_id WHERE coordinator_id IS NULL")
    filled.execute("UPDATE assignments SET last_contact_date = current_date - 12 WHERE id = %s", [ASSIGNMENT])
    visitor = console.admin(ORG)
    for threshold, words in {"escalation": "time to alert", "no_coordinator": "has a coordinator"}.items():
        page = text_of(visitor.get(f"{NEEDS}?threshold={threshold}"))
        assert (True, False) == (words in page, "No contact is overdue" in page), threshold


@table("query", ["threshold=x", "after=x", "after=2026-01-01_x", "org=x", "threshold=reminder&org="])
def test_filter_that_does_not_exist(console: Console, filled: Connection, query: str) -> None:
    """A page that says so; an empty filter is none."""
    expected = 200 if query.endswith("org=") else 404
    assert expected == console.admin(ORG).get(f"{NEEDS}?{query}").status_code


# CSV ------------------------------------------------------------------------------------------------------------


def test_csv(console: Console, filled: Connection) -> None:
    """A download with a row for each assignment of the list, for a spreadsheet."""
    answer = console.admin(ORG).get(f"{NEEDS}.csv")
    [row] = rows(answer.content.decode())
    assert "text/csv; charset=utf-8" == answer.headers["content-type"]
    assert 'attachment; filename="needs-contact.csv"' == answer.headers["content-disposition"]
    assert (str(ASSIGNMENT), "30", "Mia Mentor") == (row["assignment_id"], row["days_without_contact"], row["mentor"])
    assert answer.content.startswith(b"\xef\xbb\xbf")


@table("start", ["=", "+", "-", "@", "\t=", "\r=", " ="])
def test_cell_is_no_formula(console: Console, filled: Connection, start: str) -> None:
    """A name that begins as a formula does is text in a spreadsheet, also after spaces, which spreadsheets cut."""
    name = f"{start}HYPERLINK(1)"
    filled.execute(
        "UPDATE auth.users SET raw_user_meta_data = jsonb_build_object('full_name', %s::text) WHERE id = %s",
        [name, MENTOR],
    )
    [row] = rows(console.admin(ORG).get(f"{NEEDS}.csv").content.decode())
    assert f"'{name.strip()}" == row["mentor"]


@table(
    ("name", "cell"),
    [
        ("Bob;=HYPERLINK(1)", "Bob;'=HYPERLINK(1)"),
        ("Bob; \t=HYPERLINK(1)", "Bob;'  =HYPERLINK(1)"),
        ('Bob;"=HYPERLINK(1)"', 'Bob;\'"=HYPERLINK(1)"'),
        ("Bob;;+1;-1", "Bob;;'+1;'-1"),
        ("Bob,@SUM(1)", "Bob,'@SUM(1)"),
        ("Olsen, Kari", "Olsen, Kari"),
        ("Anne-Marie; Per + Kari (=2)", "Anne-Marie; Per + Kari (=2)"),
    ],
)
def test_cell_is_no_formula_after_a_separator(console: Console, filled: Connection, name: str, cell: str) -> None:
    """
    Where the list separator is not a comma (Norway: a semicolon), Excel starts a new cell within a name: that cell must
    not be a formula either. Ordinary names stay as they are.
    """
    filled.execute(
        "UPDATE auth.users SET raw_user_meta_data = jsonb_build_object('full_name', %s::text) WHERE id = %s",
        [name, MENTOR],
    )
    [row] = rows(console.admin(ORG).get(f"{NEEDS}.csv").content.decode())
    assert cell == row["mentor"]


def test_long_csv_is_split(console: Console, filled: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts whose sum is the list, each row once, even where the first rows leave it meanwhile; the page says why."""
    monkeypatch.setattr("reminders.console.export.PART_ROWS", 20)
    many(filled, 50)
    visitor = console.admin(ORG)
    page = visitor.get(NEEDS)
    parts = [each.replace("&amp;", "&") for each in re.findall(r'href="([^"]+\.csv[^"]*)"', page.text)]
    assert "The list has 51 rows." in text_of(page) and "so there are 3 files" in text_of(page)
    first = rows(visitor.get(parts[0]).content.decode())
    filled.execute("DELETE FROM assignments WHERE id = ANY(%s)", [[row["assignment_id"] for row in first[:5]]])
    others = [row for part in parts[1:] for row in rows(visitor.get(part).content.decode())]
    ids = {row["assignment_id"] for row in [*first, *others]}
    assert (3, 51, 51) == (len(parts), len(first) + len(others), len(ids))


# Assignment -----------------------------------------------------------------------------------------------------


def test_correction_is_on_the_timeline(console: Console, filled: Connection) -> None:
    """The date moves, the timeline says who, from what to what and why, and the notifications are resolved."""
    visitor = console.admin(ORG)
    assert "No contact for 30 days." in text_of(visitor.get(PAGE))
    new = TODAY - timedelta(days=2)
    page = text_of(visitor.post(CORRECT, date=new, reason="Met on the bus", version=version(visitor)))
    assert "Last contact 2 days ago. All is well." in page
    assert "Date of the last contact corrected:" in page and f"{new.day} {new:%b %Y}" in page
    assert "“Met on the bus”" in page
    assert 2 == page.count("resolved, not read yet")


@table(
    ("values", "words"),
    [
        ({"date": "", "reason": "a reason"}, "Enter the day of the last contact"),
        ({"date": "yesterday", "reason": "a reason"}, "Enter the day of the last contact"),
        ({"date": "20261120", "reason": "a reason"}, "Enter the day of the last contact"),
        ({"date": "2999-01-01", "reason": "a reason"}, "from the beginning of the assignment to today"),
        ({"date": "1999-01-01", "reason": "a reason"}, "from the beginning of the assignment to today"),
        ({"date": "2026-11-01", "reason": "  x "}, "Say in 3 to 500 characters"),
        ({"date": "2026-11-01", "reason": "x" * 501}, "Say in 3 to 500 characters"),
        ({"date": "2026-11-01", "reason": "two\nlines"}, "on one line"),
        ({"date": "2026-11-01", "reason": "turned \u202e round"}, "on one line"),
    ],
)
def test_correction_that_cannot_be(console: Console, filled: Connection, values: dict[str, str], words: str) -> None:
    """The error stands on top and beside the field, and what was typed is kept."""
    visitor = console.admin(ORG)
    page = visitor.post(CORRECT, **values, version=version(visitor))
    assert 422 == page.status_code
    assert 2 == text_of(page).count(words)
    assert "There is a problem" in text_of(page)
    if "\n" not in values["reason"]:
        assert values["reason"].strip() in page.text
    assert f'value="{values["date"]}"' in page.text


def test_two_admins_correct_the_same_date(console: Console, filled: Connection) -> None:
    """The second is shown what it is now, nothing of theirs is saved, and sending the form once more saves it."""
    first, second = console.admin(ORG), console.admin(ORG, email="bob@example.org")
    seen = version(second)
    day, other = TODAY - timedelta(days=2), TODAY - timedelta(days=3)
    first.post(CORRECT, date=day, reason="Met on the bus", version=version(first))
    page = second.post(CORRECT, date=other, reason="Called them", version=seen)
    assert 409 == page.status_code
    assert "Another admin has changed this" in text_of(page)
    assert f"it is now {day.day} {day:%b %Y}" in text_of(page)
    assert f'value="{other}"' in page.text and "Called them" in page.text
    again = re.search(r'name="version" value="([^"]*)"', page.text)
    assert again
    assert 200 == second.post(CORRECT, date=other, reason="Called them", version=again[1]).status_code


def test_form_that_is_sent_twice(console: Console, filled: Connection) -> None:
    """A double click is one correction."""
    visitor = console.admin(ORG)
    seen, day = version(visitor), TODAY - timedelta(days=2)
    answers = [visitor.post(CORRECT, date=day, reason="Met on the bus", version=seen).status_code for _ in range(2)]
    assert ([200, 200], 1) == (answers, _count(filled, "contact_date_corrections"))


def _count(owner: Connection, table: str) -> int:
    row = owner.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    return int(row[0]) if row else -1


def test_closed_assignment_has_no_form(console: Console, filled: Connection) -> None:
    """It gets no reminders."""
    filled.execute("UPDATE assignments SET status = 'closed' WHERE id = %s", [ASSIGNMENT])
    page = console.admin(ORG).get(PAGE)
    assert ("This assignment is closed." in text_of(page), "<textarea" in page.text) == (True, False)


def test_assignment_with_a_date_that_is_none(console: Console, filled: Connection) -> None:
    """PostgreSQL's 'infinity' does not break the page."""
    filled.execute("UPDATE assignments SET last_contact_date = 'infinity' WHERE id = %s", [ASSIGNMENT])
    visitor = console.admin(ORG)
    assert "is not a valid date" in text_of(visitor.get(PAGE))
    assert 200 == visitor.get(NEEDS).status_code


# Runs -----------------------------------------------------------------------------------------------------------


def test_runs_with_filters_and_pages(console: Console, filled: Connection) -> None:
    """Newest first, 30 a page, by status with counts."""
    now = datetime.now(UTC)
    for back in range(35):
        at = now - timedelta(hours=back)
        add_run(filled, "failed" if back == 4 else "success", completed_at=at, started_at=at, scheduled_for=at)
    visitor = console.admin(ORG)
    page = visitor.get("/console/runs")
    assert "35 runs in the history, 1 failed." in text_of(page)
    assert 30 == page.text.count("<tr>") - 1
    following = re.search(r'rel="next" href="([^"]+)"', page.text)
    assert following
    assert 5 == visitor.get(following[1]).text.count("<tr>") - 1
    assert 1 == visitor.get("/console/runs?status=failed").text.count("<tr>") - 1
    assert "There are no such runs." in text_of(visitor.get("/console/runs?status=skipped"))
    assert 404 == visitor.get("/console/runs?status=broken").status_code


def test_one_run(console: Console, filled: Connection) -> None:
    """Its error, where the runbook has it, and its alerts."""
    run = add_run(filled, "failed", error_message="scheduler unreachable: ConnectTimeout")
    filled.execute(
        """
        WITH alert AS (
            INSERT INTO cron_alerts (kind, dedupe_key, run_id, payload)
            VALUES ('failure', 'failure:x', %s, '{}') RETURNING id
        )
        INSERT INTO cron_alert_deliveries (alert_id, channel, attempts, delivered_at)
        SELECT id, 'slack', 1, now() FROM alert
        """,
        [run],
    )
    page = text_of(console.admin(ORG).get(f"/console/runs/{run}"))
    for part in ("This run failed.", "scheduler unreachable: ConnectTimeout", "Troubleshooting", "delivered by Slack"):
        assert part in page


# Errors ---------------------------------------------------------------------------------------------------------


def test_database_that_is_away(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that says what the person can do, and which request it was."""
    visitor = console.admin()
    monkeypatch.setenv("DATABASE_SECRET", "no/such-secret")
    page = visitor.get("/console")
    assert 503 == page.status_code
    assert "The database does not answer. Nothing was changed." in text_of(page)
    assert "name the request:" in text_of(page)


def test_page_that_does_not_exist(console: Console) -> None:
    """404, as a page, with the way back."""
    page = console.admin().get("/console/nothing")
    assert (404, True) == (page.status_code, "Not found" in text_of(page))


def test_unexpected_error(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """500, as a page, without its text."""
    visitor = console.admin()

    def broken(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("reminders.console.pages.overview.overview", broken)
    page = visitor.get("/console")
    assert (500, False) == (page.status_code, "a secret" in page.text)
    assert "Something went wrong on our side." in text_of(page)


@table("path", ["/console", NEEDS, "/console/runs", "/console/settings", PAGE])
def test_first_page_is_small(console: Console, filled: Connection, path: str) -> None:
    """With its style sheet below 100 kB, with 50 rows."""
    many(filled, 60)
    visitor = console.admin(ORG)
    page = visitor.get(path)
    style = re.search(r'href="(/console/console.css[^"]*)"', page.text)
    assert style
    assert 100_000 > len(page.content) + len(visitor.get(style[1]).content)
