"""
The console: pages under /console, for an organisation's admins.

    a form? from a page of ours ─▶ signed in? ─▶ an admin? ─▶ second factor shown? ─▶ the page or the form's work
                 │no                  │no           │no             │no
                403             to the sign-in     403        to its form

Each error is a page as well, and names the request. A visitor who is not signed in learns nothing about which pages
exist, or whether an id exists.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers import console_pages, console_sign_in
from handlers.console_http import (
    BadForm,
    Problem,
    Request,
    Response,
    Route,
    has_valid_form_token,
    is_same_origin,
    page,
    read,
    redirect,
    safe_next,
)
from handlers.console_pages import NotFound
from handlers.console_sign_in import FACTOR, SIGN_IN
from handlers.wiring import console as wiring
from handlers.wiring.admin import identity
from reminders import telemetry
from reminders.console import rendering, session
from reminders.console.auth import AuthUnavailable, FactorNotSupported, SessionEnded, SignInRefused
from reminders.console.pages import Link
from reminders.console.reading import NoSuchId
from reminders.console.session import Session
from reminders.errors import (
    DatabaseUnavailable,
    IdentityError,
    IdentityUnavailable,
    ReminderError,
    SecretError,
    safe_message,
)
from reminders.identity import Caller
from reminders.settings import AdminSettings, ConsoleSettings
from reminders.telemetry import logger

# Seconds: an access token that ends sooner is refreshed before it is used.
REFRESH_BEFORE = 60


def style_sheet(request: Request) -> Response:
    return _file(rendering.style(), "text/css; charset=utf-8")


def icon(request: Request) -> Response:
    return _file(rendering.icon(), "image/svg+xml")


def _file(text: str, content_type: str) -> Response:
    """A public file, whose address changes with its content."""
    return Response(HTTPStatus.OK, text, content_type, {"Cache-Control": "public, max-age=31536000, immutable"})


ROUTES = (
    Route("GET", "/console", console_pages.overview),
    Route("GET", "/console/console.css", style_sheet, is_public=True),
    Route("GET", "/console/icon.svg", icon, is_public=True),
    Route("GET", SIGN_IN, console_sign_in.form, is_public=True),
    Route("POST", SIGN_IN, console_sign_in.submit, is_public=True),
    Route("POST", f"{SIGN_IN}/code", console_sign_in.submit_code, is_public=True),
    Route("GET", FACTOR, console_sign_in.factor_form, before_factor=True),
    Route("POST", FACTOR, console_sign_in.submit_factor, before_factor=True),
    Route("POST", "/console/sign-out", console_sign_in.sign_out, before_factor=True),
    Route("GET", "/console/needs-contact", console_pages.needs_contact),
    Route("GET", "/console/needs-contact.csv", console_pages.needs_contact_csv),
    Route("GET", "/console/needs-contact/not-reached", console_pages.not_reached),
    Route("GET", "/console/assignments/<assignment_id>", console_pages.assignment),
    Route("POST", "/console/assignments/<assignment_id>/contact-date", console_pages.correct),
    Route("GET", "/console/runs", console_pages.runs),
    Route("GET", "/console/runs/<run_id>", console_pages.run),
    Route("GET", "/console/settings", console_pages.settings),
    Route("GET", "/console/settings/<org_id>", console_pages.organisation),
    Route("POST", "/console/settings/<org_id>", console_pages.save_settings),
)


class NotSignedIn(ReminderError):
    """There is no session, or it has ended (`had_one`)."""

    def __init__(self, had_one: bool) -> None:
        super().__init__("not signed in")
        self.had_one = had_one


class NotAllowed(ReminderError):
    """The text is shown to the person, below `title`."""

    def __init__(self, text: str, title: str = "You have no access") -> None:
        super().__init__(text)
        self.title = title


@dataclass(frozen=True, slots=True)
class _Found:
    route: Route | None
    parameters: dict[str, str]
    other_methods: tuple[str, ...]


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one Function URL event whose path is the console's."""
    try:
        admin, settings = AdminSettings.read(os.environ), ConsoleSettings.read(os.environ)
        if settings is None:
            text = "The console is not set up here. docs/deploy.md says how."
            return Response(HTTPStatus.NOT_FOUND, text, "text/plain; charset=utf-8").as_event()
        # AWS's id of the request, which is in the log too.
        request = read(event, context.aws_request_id, admin, settings)
    except BadForm as error:
        return Response(HTTPStatus.BAD_REQUEST, f"{error}\n", "text/plain; charset=utf-8").as_event()
    except ReminderError as error:
        logger.error("request failed", extra={"reason": safe_message(error)})
        text = f"The console is not set up correctly. Report the request {context.aws_request_id}.\n"
        return Response(HTTPStatus.INTERNAL_SERVER_ERROR, text, "text/plain; charset=utf-8").as_event()
    return _answer(request).as_event()


def _answer(request: Request) -> Response:
    """The page, or an error page; new tokens are sent to the browser in both cases."""
    cookies: list[str] = []
    try:
        found = _find(request)
        if request.method == "POST" and not is_same_origin(request):
            raise _forbidden_form()
        if found.route is None or not found.route.is_public:
            request, cookies = _authenticate(request)
        if request.method == "POST" and not has_valid_form_token(request):
            raise _forbidden_form()
        _check_access(request, found.route)
        if found.route is None:
            return _no_route(request, found).with_cookies(cookies)
        return found.route.view(request, **found.parameters).with_cookies(cookies)
    except NotSignedIn as error:
        return _redirect_to_sign_in(request, error.had_one)
    except SessionEnded:
        return _redirect_to_sign_in(request, had_one=True)
    except Exception as error:
        return _problem(request, error).with_cookies(cookies)


def _find(request: Request) -> _Found:
    methods = []
    for route in ROUTES:
        parameters = route.match(request.path)
        if parameters is not None and route.method == request.method:
            return _Found(route, parameters, ())
        if parameters is not None:
            methods.append(route.method)
    return _Found(None, {}, tuple(methods))


def _authenticate(request: Request) -> tuple[Request, list[str]]:
    """The request with its caller, and cookies where the tokens were refreshed; raise `NotSignedIn`."""
    known = Session.read(request.cookies)
    if known is None:
        raise NotSignedIn(had_one=False)
    caller = _caller(request, known)
    if caller is not None and _ends_in(caller) > REFRESH_BEFORE:
        return replace(request, session=known, caller=caller), []
    try:
        fresh = known.with_tokens(wiring.auth(request.settings).refresh(known.tokens.refresh))
    except SessionEnded as error:
        logger.info("session ended", extra={"reason": str(error)})
        raise NotSignedIn(had_one=True) from None
    except AuthUnavailable:
        if caller is not None:
            return replace(request, session=known, caller=caller), []  # still valid for a moment
        raise
    caller = _caller(request, fresh)
    if caller is None:
        raise NotSignedIn(had_one=True)
    return replace(request, session=fresh, caller=caller), fresh.cookies()


def _caller(request: Request, known: Session) -> Caller | None:
    try:
        return identity(request.admin).caller(f"Bearer {known.tokens.access}")
    except IdentityError:
        return None


def _ends_in(caller: Caller) -> float:
    return float(caller.claims["exp"]) - time.time()


def _check_access(request: Request, route: Route | None) -> None:
    """
    Check what a signed-in person may see. Public pages and those before the second factor are not checked.

    Raise `NotAllowed` for a user who is not an admin, or who needs a second factor and has none; `FactorNotSupported`
    if the console cannot ask for it; `_FactorNeeded` if its code was not entered; `SessionEnded` if the session has
    ended.
    """
    if request.caller is None or (route and route.before_factor):
        return
    if not request.caller.is_admin:
        raise NotAllowed(
            "You are signed in, but this account is not an admin of an organisation. Ask the person who manages your "
            "organisation's accounts for the role “admin”, then sign out and in again.",
        )
    if request.caller.has_second_factor:
        return
    assert request.session is not None
    if wiring.second_factor(request.settings, request.session.tokens.access) is not None:
        raise _FactorNeeded("a second factor is needed")
    if request.admin.require_aal2:
        raise NotAllowed(
            "Here admins confirm with an authenticator app that it is them, and your account has none yet. Set one up "
            "in the app of your organisation, then sign out and in again.",
            title="A second factor is needed",
        )


class _FactorNeeded(ReminderError):
    """The person has an authenticator app, and has not entered its code in this session."""


def _forbidden_form() -> NotAllowed:
    return NotAllowed(
        "It was opened before you signed in, or comes from another website. Nothing was changed. Open the page again, "
        "and send the form from there.",
        title="This form cannot be used any more",
    )


def _redirect_to_sign_in(request: Request, had_one: bool) -> Response:
    if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
        # For a link from another site, a browser does not send our SameSite=Strict cookies. This page loads the address
        # again, and then it sends them.
        view = Problem("Opening the console", "One moment.", Link("Continue", _address_of(request)), reload=True)
        return page(request, "problem.html", view)
    cookies = session.ended() if had_one else []
    query = {"next": safe_next(_address_of(request))} if request.method == "GET" and request.path != "/console" else {}
    if had_one or request.method == "POST":
        query["why"] = "ended"
    return redirect(SIGN_IN, cookies, **query)


def _address_of(request: Request) -> str:
    return f"{request.path}?{urlencode(request.query)}" if request.query else request.path


def _no_route(request: Request, found: _Found) -> Response:
    if not found.other_methods:
        raise NotFound("there is no such page")
    view = Problem("This cannot be done here", "The page exists, but not for this kind of request.", _HOME, request.id)
    answer = page(request, "problem.html", view, HTTPStatus.METHOD_NOT_ALLOWED)
    return replace(answer, headers={"Allow": ", ".join(sorted(found.other_methods))})


_HOME = Link("To the overview", "/console")


def _problem(request: Request, error: Exception) -> Response:
    """An error page. The log has the details, under the id that the page shows."""
    if isinstance(error, _FactorNeeded):
        query = {"next": safe_next(_address_of(request))} if request.method == "GET" else {}
        return redirect(FACTOR, **query)
    status, title, text, link = _describe_error(error)
    if not isinstance(error, ReminderError):
        telemetry.log_unexpected_error("request failed unexpectedly", error)
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("request failed", extra={"reason": safe_message(error)})
    return page(request, "problem.html", Problem(title, text, link, request.id), status)


def _describe_error(error: Exception) -> tuple[HTTPStatus, str, str, Link | None]:
    if isinstance(error, NotFound | NoSuchId):
        text = "There is no such page, or it belongs to an organisation that you cannot see. Check the address."
        return HTTPStatus.NOT_FOUND, "Not found", text, _HOME
    if isinstance(error, NotAllowed):
        return HTTPStatus.FORBIDDEN, error.title, str(error), _HOME
    if isinstance(error, FactorNotSupported):
        text = (
            "Your account has a second factor, and the console supports authenticator apps only. Add an authenticator "
            "app in the app of your organisation, then sign out and in again."
        )
        return HTTPStatus.FORBIDDEN, "An authenticator app is needed", text, _HOME
    if isinstance(error, SignInRefused):
        return HTTPStatus.TOO_MANY_REQUESTS, "Not now", str(error), None
    if isinstance(error, AuthUnavailable | IdentityUnavailable):
        text = "The sign-in service does not answer. Try again in a few minutes. Reminders are still sent."
        return HTTPStatus.SERVICE_UNAVAILABLE, "Signing in does not work right now", text, None
    if isinstance(error, DatabaseUnavailable | SecretError):
        text = (
            "The database does not answer. Nothing was changed. Try again in a few minutes; if it stays so, report it."
        )
        return HTTPStatus.SERVICE_UNAVAILABLE, "The console cannot be reached right now", text, None
    text = "Something went wrong on our side. Nothing was changed. Try again; if it stays so, report it."
    return HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong", text, _HOME
