"""Signing in and out of the console: with a password, with a code by e-mail, and the second factor."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from handlers.console_http import Request, Response, page, redirect, safe_next
from handlers.wiring import console as wiring
from reminders.console import session
from reminders.console.auth import AuthUnavailable, SignInRefused, Tokens
from reminders.console.pages import Form
from reminders.console.session import Session
from reminders.telemetry import logger

SIGN_IN = "/console/sign-in"
FACTOR = "/console/sign-in/second-factor"
LONGEST_EMAIL = 254
# Supabase stores passwords with bcrypt, which reads 72 bytes: a longer one would add nothing.
LONGEST_PASSWORD = 200


@dataclass(frozen=True, slots=True)
class SignInPage:
    form: Form
    next: str
    note: str = ""
    title: str = "Sign in"


@dataclass(frozen=True, slots=True)
class CodePage:
    form: Form
    next: str
    title: str
    text: str
    label: str
    action: str


def form(request: Request) -> Response:
    """The sign-in page."""
    note = {
        "out": "You are signed out.",
        "ended": "Your session has ended. Sign in to go on.",
    }.get(request.query.get("why", ""), "")
    return page(request, "sign_in.html", SignInPage(Form(), safe_next(request.query.get("next", "")), note))


def submit(request: Request) -> Response:
    """Sign in with a password, or send a code to the address."""
    email, password = request.form.get("email", "").strip(), request.form.get("password", "")
    by_code = request.form.get("by") == "code"
    errors = {}
    if not email or len(email) > LONGEST_EMAIL or "@" not in email:
        errors["email"] = "Enter your e-mail address, such as name@example.org."
    if not by_code and not 0 < len(password) <= LONGEST_PASSWORD:
        errors["password"] = "Enter your password."
    if errors:
        return _form_with_errors(request, email, errors)
    try:
        if by_code:
            wiring.auth(request.settings).send_code(email)
            return page(request, "code.html", _code_page(request, email))
        return _start_session(request, wiring.auth(request.settings).sign_in_with_password(email, password))
    except SignInRefused as error:
        return _form_with_errors(request, email, {"email" if by_code else "password": str(error)})


def submit_code(request: Request) -> Response:
    """Sign in with the code of the e-mail."""
    email, code = request.form.get("email", "").strip(), _digits(request.form.get("code", ""))
    if not email or not code:
        return page(
            request, "code.html", _code_page(request, email, "Enter the code."), HTTPStatus.UNPROCESSABLE_ENTITY
        )
    try:
        return _start_session(request, wiring.auth(request.settings).sign_in_with_code(email, code))
    except SignInRefused as error:
        return page(request, "code.html", _code_page(request, email, str(error)), HTTPStatus.UNPROCESSABLE_ENTITY)


def factor_form(request: Request) -> Response:
    """The page that asks for the authenticator app's code."""
    return page(request, "code.html", _factor_page(request, request.query.get("next", "")))


def submit_factor(request: Request) -> Response:
    """Check the code of the authenticator app; the session gets new tokens of level aal2."""
    assert request.session is not None
    access = request.session.tokens.access
    factor, code = wiring.second_factor(request.settings, access), _digits(request.form.get("code", ""))
    where = safe_next(request.form.get("next", ""))
    if factor is None:
        return redirect(where)
    try:
        if not code:
            raise SignInRefused("Enter the code.")
        tokens = wiring.auth(request.settings).confirm_second_factor(access, factor, code)
    except SignInRefused as error:
        return page(request, "code.html", _factor_page(request, where, str(error)), HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(where, Session.begin(tokens).cookies())


def sign_out(request: Request) -> Response:
    """
    End the session at Supabase and in the browser; in the browser also if Supabase does not answer this call.

    An access token that had ended was refreshed before: Supabase ends a session only for a valid one.
    """
    assert request.session is not None
    try:
        wiring.auth(request.settings).sign_out(request.session.tokens.access)
    except AuthUnavailable as error:
        logger.warning("the session was not ended at Supabase", extra={"reason": str(error)})
    return redirect(SIGN_IN, session.ended(), why="out")


def _start_session(request: Request, tokens: Tokens) -> Response:
    """Start a new session in the browser, and delete the form token from before."""
    cookies = [*Session.begin(tokens).cookies(), session.set_cookie(session.FORM_COOKIE, "")]
    return redirect(safe_next(request.form.get("next", "")), cookies)


def _form_with_errors(request: Request, email: str, errors: dict[str, str]) -> Response:
    view = SignInPage(Form({"email": email[:LONGEST_EMAIL]}, errors), safe_next(request.form.get("next", "")))
    return page(request, "sign_in.html", view, HTTPStatus.UNPROCESSABLE_ENTITY)


def _code_page(request: Request, email: str, error: str = "") -> CodePage:
    return CodePage(
        form=Form({"email": email[:LONGEST_EMAIL]}, {"code": error} if error else {}),
        next=safe_next(request.form.get("next", "")),
        title="Check your e-mail",
        text=(
            "If there is an account with this address, a code is on its way to it. It arrives within some minutes. "
            "If it does not arrive, wait a few minutes, then start again."
        ),
        label="Code from the e-mail",
        action=f"{SIGN_IN}/code",
    )


def _factor_page(request: Request, where: str, error: str = "") -> CodePage:
    return CodePage(
        form=Form({}, {"code": error} if error else {}),
        next=safe_next(where),
        title="Confirm that it is you",
        text="Open your authenticator app and enter the code that it shows for this account.",
        label="Code from the app",
        action=FACTOR,
    )


def _digits(text: str) -> str:
    """The six to ten digits of a code, without spaces between them; else an empty text."""
    found = "".join(text.split())
    return found if found.isascii() and found.isdigit() and 6 <= len(found) <= 10 else ""
