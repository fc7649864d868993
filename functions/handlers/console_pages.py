"""The pages for signed-in admins, and their forms. Each page reads in one transaction, with the caller's rights."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from http import HTTPStatus
from uuid import UUID

from handlers.console_http import Request, Response, page, redirect
from handlers.wiring import console as wiring
from handlers.wiring.admin import admin_connection
from reminders.console import changes, export
from reminders.console.formats import Formats
from reminders.console.pages import Form
from reminders.console.pages import assignment as assignment_page
from reminders.console.pages import messages as messages_page
from reminders.console.pages import overview as overview_page
from reminders.console.pages import runs as runs_page
from reminders.console.pages import settings as settings_page
from reminders.console.pages import waiting as waiting_page
from reminders.console.reading import (
    Organisation,
    Position,
    Reader,
    WaitingFilter,
    open_reader,
)
from reminders.console.reading import assignment_id as read_assignment_id
from reminders.console.strip import DAYS
from reminders.contacts import correction
from reminders.contacts.correction import VersionConflict
from reminders.errors import AssignmentNotFound, DateRefused, ReminderError
from reminders.runs import history
from reminders.scheduling.ids import AssignmentId
from reminders.text import is_printable

THRESHOLDS = ("reminder", "escalation", "no_coordinator")


class NotFound(ReminderError):
    """It does not exist, or the caller may not see it."""


def overview(request: Request) -> Response:
    with admin_connection(request.admin) as connection, open_reader(connection, request.signed_in_caller) as reader:
        seen, days, formats = reader.overview(), reader.days(DAYS), _formats(reader)
    ticks = wiring.ticks(request.settings.expression)
    view = overview_page.overview(
        seen,
        days,
        ticks.last(seen.now, seen.last_scheduled_for),
        ticks.next(seen.now, seen.last_scheduled_for or seen.now),
        formats,
    )
    return page(request, "overview.html", view)


def needs_contact(request: Request) -> Response:
    which, after = _which(request), _position(request, "after")
    with admin_connection(request.admin) as connection, open_reader(connection, request.signed_in_caller) as reader:
        organisations = reader.organisations()
        _check_organisation(which.org_id, organisations)
        counts, rows, more = reader.waiting(which, after)
        is_long = max(counts.past_reminder, counts.without_coordinator) > export.PART_ROWS
        ends = reader.export_ends(which, export.PART_ROWS, export.MOST_ROWS) if is_long else []
    view = waiting_page.waiting(
        counts,
        rows,
        which,
        organisations,
        after=after,
        more=more,
        csv_ends=ends,
        formats=_formats_of(organisations, which.org_id),
    )
    return page(request, "waiting.html", view)


def needs_contact_csv(request: Request) -> Response:
    which, after, until = _which(request), _position(request, "after"), _position(request, "until")
    with admin_connection(request.admin) as connection, open_reader(connection, request.signed_in_caller) as reader:
        organisations = reader.organisations()
        _check_organisation(which.org_id, organisations)
        rows, in_use = reader.export(which, after, until, export.PART_ROWS), reader.messages_in_use()
    headers = {"Content-Disposition": 'attachment; filename="needs-contact.csv"'}
    text = export.as_csv(rows, waiting_page.organisation_names(organisations), messages=in_use)
    return Response(HTTPStatus.OK, text, "text/csv; charset=utf-8", headers)


def not_reached(request: Request) -> Response:
    after = _position(request, "after")
    with admin_connection(request.admin) as connection, open_reader(connection, request.signed_in_caller) as reader:
        organisations = reader.organisations()
        total, people, more = reader.unreached(after)
    view = messages_page.unreached(
        total,
        people,
        waiting_page.organisation_names(organisations),
        after=after,
        more=more,
        formats=_formats_of(organisations, None),
    )
    return page(request, "not_reached.html", view)


def assignment(request: Request, assignment_id: str) -> Response:
    return _assignment(request, read_assignment_id(assignment_id))


def _assignment(
    request: Request, assignment_id: AssignmentId, form: Form | None = None, *, is_conflict: bool = False
) -> Response:
    """The page; after a form that was not accepted, with the typed values and the errors."""
    with admin_connection(request.admin) as connection, open_reader(connection, request.signed_in_caller) as reader:
        found = reader.assignment(assignment_id)
        if found is None:
            raise NotFound("there is no such assignment")
        events = reader.timeline(assignment_id)
        formats = _formats(reader, found.org_id)
    conflict = ""
    if is_conflict:
        now = formats.day(found.last_contact_date) if found.last_contact_date else "never"
        conflict = (
            f"The date of the last contact was changed while this page was open: it is now {now}. Nothing of yours was "
            "saved. Look at what happened below. If your date is still right, save it again."
        )
    status = HTTPStatus.CONFLICT if is_conflict else HTTPStatus.UNPROCESSABLE_ENTITY if form else HTTPStatus.OK
    view = assignment_page.assignment(found, events, formats, form, conflict)
    return page(request, "assignment.html", view, status)


def correct(request: Request, assignment_id: str) -> Response:
    """Correct the date. The same form sent twice is one correction; after another admin's change, 409."""
    id_, values = (
        read_assignment_id(assignment_id),
        {name: request.form.get(name, "").strip() for name in ("date", "reason")},
    )
    day = _date(values["date"])
    errors = _correction_errors(values, day)
    if errors or day is None:
        return _assignment(request, id_, Form(values, errors))
    wanted = correction.Request(id_, day, values["reason"], frozenset({request.form.get("version", "")}))
    try:
        with admin_connection(request.admin) as connection:
            correction.correct(connection, request.signed_in_caller, wanted)
    except DateRefused:
        error = "Enter a day from the beginning of the assignment to today."
        return _assignment(request, id_, Form(values, {"date": error}))
    except VersionConflict:
        return _assignment(request, id_, Form(values), is_conflict=True)
    except AssignmentNotFound:
        raise NotFound("there is no such assignment") from None
    return redirect(f"/console/assignments/{id_}")


def _correction_errors(values: Mapping[str, str], day: date | None) -> dict[str, str]:
    errors = {}
    if day is None:
        errors["date"] = "Enter the day of the last contact, such as 2026-11-20."
    reason = values["reason"]
    if not 3 <= len(reason) <= 500:
        errors["reason"] = "Say in 3 to 500 characters why the date is corrected."
    elif not is_printable("".join(reason.split())) or "\n" in reason:
        errors["reason"] = "Write the reason on one line, without special control characters."
    return errors


def _date(text: str) -> date | None:
    with suppress(ValueError):
        return date.fromisoformat(text) if len(text) == len("2026-11-20") else None
    return None


def runs(request: Request) -> Response:
    status, before = request.query.get("status") or None, _uuid(request.query.get("before"))
    if status is not None and status not in runs_page.WORDS:
        raise NotFound("there is no such status")
    with admin_connection(request.admin) as connection:
        found = history.page(connection, request.signed_in_caller, limit=30, before=before, status=status)
        with open_reader(connection, request.signed_in_caller) as reader:
            counts, formats = reader.run_counts(), _formats(reader)
    return page(request, "runs.html", runs_page.runs(counts, found, status, before, formats))


def run(request: Request, run_id: str) -> Response:
    with admin_connection(request.admin) as connection, open_reader(connection, request.signed_in_caller) as reader:
        found, alerts = reader.run(UUID(run_id)), reader.alerts(UUID(run_id))
        formats = _formats(reader)
    if found is None:
        raise NotFound("there is no such run")
    return page(request, "run.html", runs_page.run(found, alerts, formats))


def settings(request: Request) -> Response:
    return _settings(request, None)


def organisation(request: Request, org_id: str) -> Response:
    return _settings(request, UUID(org_id))


def _settings(
    request: Request,
    chosen: UUID | None,
    posted: settings_page.Posted | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    """The page; after a form that was not accepted, with the typed values and the errors."""
    with admin_connection(request.admin) as connection, open_reader(connection, request.signed_in_caller) as reader:
        organisations, made = reader.organisations(), reader.changes(chosen)
    _check_organisation(chosen, organisations)
    view = settings_page.settings(
        organisations,
        made,
        _formats_of(organisations, chosen),
        chosen,
        posted=posted,
        saved=request.query.get("saved") == "yes",
        after=_uuid(request.query.get("after")),
    )
    return page(request, "settings.html", view, status)


def save_settings(request: Request, org_id: str) -> Response:
    """Change the settings. The form contains what the admin saw, so that another admin's change is not overwritten."""
    chosen, values = UUID(org_id), {name: request.form.get(name, "").strip() for name in settings_page.FIELDS}
    seen = settings_page.read_seen(request.form.get("seen", ""))
    wanted = settings_page.read(values)
    if not isinstance(wanted, changes.Settings):
        posted = settings_page.Posted(values, seen, wanted)
        return _settings(request, chosen, posted, HTTPStatus.UNPROCESSABLE_ENTITY)
    days = {name: _days(seen[name]) for name in ("reminder_days", "escalation_days")}
    try:
        with admin_connection(request.admin) as connection:
            changes.save(connection, request.signed_in_caller, chosen, wanted, {**seen, **days})
    except changes.UnknownTimeZone as error:
        errors = {"time_zone": settings_page.unknown_zone(values["time_zone"], error.suggestions)}
        posted = settings_page.Posted(values, seen, errors)
        return _settings(request, chosen, posted, HTTPStatus.UNPROCESSABLE_ENTITY)
    except changes.ChangedMeanwhile:
        posted = settings_page.Posted(values, seen, is_conflict=True)
        return _settings(request, chosen, posted, HTTPStatus.CONFLICT)
    except changes.NoSuchOrganisation:
        raise NotFound("there is no such organisation") from None
    return redirect(f"/console/settings/{chosen}", saved="yes")


def _days(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


def _which(request: Request) -> WaitingFilter:
    threshold = request.query.get("threshold") or "reminder"
    if threshold not in THRESHOLDS:
        raise NotFound("there is no such list")
    org = request.query.get("org")
    return WaitingFilter(_uuid(org) if org else None, threshold)


def _check_organisation(org_id: UUID | None, organisations: list[Organisation]) -> None:
    if org_id is not None and org_id not in {each.org_id for each in organisations}:
        raise NotFound("there is no such organisation")


def _position(request: Request, name: str) -> Position | None:
    text = request.query.get(name)
    if not text:
        return None
    found = Position.read(text)
    if found is None:
        raise NotFound("there is no such place in the list")
    return found


def _uuid(text: str | None) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("there is nothing with this id") from None


def _formats(reader: Reader, org_id: UUID | None = None) -> Formats:
    return _formats_of(reader.organisations(), org_id)


def _formats_of(organisations: list[Organisation], org_id: UUID | None) -> Formats:
    """The formats of one organisation; for several, their common time zone or UTC."""
    mine = {(o.time_zone, o.locale) for o in organisations if org_id is None or o.org_id == org_id}
    return Formats.of(*mine.pop()) if len(mine) == 1 else Formats()
