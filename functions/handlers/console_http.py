"""Requests and answers of the console, and the rules for all of them: headers, cookies, forms and their origin."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from reminders.console import rendering, session
from reminders.console.pages import printable_line
from reminders.console.session import Session
from reminders.errors import ReminderError
from reminders.identity import Caller
from reminders.settings import AdminSettings, ConsoleSettings

LARGEST_FORM = 16_384
MOST_FIELDS = 20
HTML = "text/html; charset=utf-8"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not no-referrer: with that, a browser sends "null" as the origin of our own forms.
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class BadForm(ReminderError):
    """The body or the query string cannot be read as fields of a form."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `caller` and `session` are set once they are known."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    form: Mapping[str, str]
    id: str
    admin: AdminSettings
    settings: ConsoleSettings
    session: Session | None = None
    caller: Caller | None = None

    @property
    def signed_in_caller(self) -> Caller:
        assert self.caller is not None, "a page for signed-in people was reached without a caller"
        return self.caller


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response; `cookies` are `Set-Cookie` values."""

    status: HTTPStatus
    body: str = ""
    content_type: str = HTML
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Sequence[str] = ()

    def with_cookies(self, cookies: Sequence[str]) -> Response:
        """Add cookies, except those that this response sets: signing out is final although tokens were refreshed."""
        own = {_cookie_name(cookie) for cookie in self.cookies}
        others = [cookie for cookie in cookies if _cookie_name(cookie) not in own]
        return replace(self, cookies=(*self.cookies, *others))

    def as_event(self) -> dict[str, Any]:
        """In the form that a Function URL expects."""
        headers = {**HEADERS, "Content-Type": self.content_type, **self.headers}
        return {
            "statusCode": int(self.status),
            "headers": headers,
            "cookies": list(self.cookies),
            "body": self.body,
            "isBase64Encoded": False,
        }


def _cookie_name(cookie: str) -> str:
    return cookie.partition("=")[0]


@dataclass(frozen=True, slots=True)
class Route:
    """`is_public`: for visitors who are not signed in. `before_factor`: before the second factor was shown."""

    method: str
    path: str
    view: Callable[..., Response]
    is_public: bool = False
    before_factor: bool = False

    def match(self, path: str) -> dict[str, str] | None:
        """The path's parameters, which are ids, or None. Only assignments may have numbers for ids."""
        pattern = re.sub(r"<(\w+)>", _id_pattern, re.escape(self.path))
        found = re.fullmatch(pattern.replace(r"\.", "[.]"), path, re.ASCII)
        return found.groupdict() if found else None


def _id_pattern(name: re.Match[str]) -> str:
    uuid = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    return f"(?P<{name[1]}>{uuid}|-?[0-9]{{1,19}})" if name[1] == "assignment_id" else f"(?P<{name[1]}>{uuid})"


@dataclass(frozen=True, slots=True)
class Problem:
    """A page that says what is wrong, and what the person can do."""

    title: str
    text: str
    link: Any = None
    request_id: str = ""
    reload: bool = False


def read(event: Mapping[str, Any], request_id: str, admin: AdminSettings, settings: ConsoleSettings) -> Request:
    """The request in a Function URL's event; raise `BadForm` if it has no readable form."""
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    cookies = (each.partition("=") for each in event.get("cookies") or [])
    method = str(event["requestContext"]["http"]["method"])
    return Request(
        method=method,
        path=str(event["rawPath"]),
        query=_pairs(str(event.get("rawQueryString") or "")),
        headers=headers,
        cookies={name.strip(): value for name, _, value in cookies},
        form=_form(event, headers) if method == "POST" else {},
        id=request_id,
        admin=admin,
        settings=settings,
    )


def _form(event: Mapping[str, Any], headers: Mapping[str, str]) -> Mapping[str, str]:
    body = str(event.get("body") or "")
    if len(body) > LARGEST_FORM * 4 // 3:
        raise BadForm("the form is too large")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise BadForm("the body is no form")
    try:
        text = base64.b64decode(body, validate=True).decode() if event.get("isBase64Encoded") else body
    except (binascii.Error, UnicodeError):
        raise BadForm("the form cannot be read") from None
    return _pairs(text)


def _pairs(text: str) -> dict[str, str]:
    """By name, the last value. Bytes that are not UTF-8 become a replacement character, which no field accepts."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise BadForm("there are too many fields") from None


def is_same_origin(request: Request) -> bool:
    """
    Whether a form was sent by a page of ours.

    New browsers send Fetch Metadata; old ones send the origin, which must be this host. Without both, the request does
    not come from a browser.
    """
    site = request.headers.get("sec-fetch-site")
    if site:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc == request.headers.get("host")


def has_valid_form_token(request: Request) -> bool:
    """Whether the form carries the token of this session, or of this browser before it signed in."""
    known = request.session.form_token if request.session else request.cookies.get(session.FORM_COOKIE, "")
    return session.is_same(known, request.form.get("form_token", ""))


def page(request: Request, template: str, view: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A page in its frame; a visitor who is not signed in gets a form token."""
    signed_in = request.session if request.caller else None
    style = rendering.style_address()
    if signed_in is None:
        token = request.cookies.get(session.FORM_COOKIE) or session.new_form_token()
        body = rendering.render(template, view, rendering.Frame(style, token))
        return Response(status, body, cookies=[session.set_cookie(session.FORM_COOKIE, token)])
    navigation = rendering.navigation(request.path) if request.signed_in_caller.is_admin else []
    frame = rendering.Frame(style, signed_in.form_token, navigation, display_name(request.signed_in_caller))
    return Response(status, rendering.render(template, view, frame))


def display_name(caller: Caller) -> str:
    """The name of the person in their token."""
    email = caller.claims.get("email")
    return printable_line(email)[:100] if isinstance(email, str) and email else f"Admin {str(caller.user_id)[:8]}"


def redirect(path: str, cookies: Sequence[str] = (), **query: str) -> Response:
    """To another page of ours; 303, so that a form is not sent again."""
    where = f"{path}?{urlencode(query)}" if query else path
    return Response(HTTPStatus.SEE_OTHER, "", headers={"Location": where}, cookies=cookies)


def safe_next(text: str) -> str:
    """Where to go after signing in: a page of the console and nothing else (no open redirect)."""
    parts = urlsplit(text) if text.isascii() and text.isprintable() and "\\" not in text else None
    inside = (
        parts and not parts.scheme and not parts.netloc and re.fullmatch(r"/console(/[\w./-]*)?", parts.path, re.ASCII)
    )
    if not inside or text.startswith("//") or ".." in text or parts is None or parts.path.startswith("/console/sign-"):
        return "/console"
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
