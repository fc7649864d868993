"""
The unsubscribe function, on a Function URL: one click in a mail ends the e-mails, without signing in.

    GET    a page with a button; changes nothing, so that a link scanner unsubscribes no one
    POST   List-Unsubscribe=One-Click (RFC 8058), from a mail program or from that button: as multipart/form-data, or
           URL-encoded

Every link without a valid signature gets the same response, whichever person it names.
"""

from __future__ import annotations

import base64
import os
from contextlib import closing
from email import message_from_string
from email.message import Message
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qs
from uuid import UUID

from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.problems import problem
from handlers.wiring import startup
from handlers.wiring.common import connect, secrets
from reminders import telemetry
from reminders.database import Queries
from reminders.errors import ReminderError, safe_message
from reminders.messages import templates, unsubscribe
from reminders.messages.feedback import queries as messages_queries
from reminders.settings import UnsubscribeSettings
from reminders.telemetry import logger, metrics
from reminders.text import printable

ONE_CLICK = {"List-Unsubscribe": ["One-Click"]}
LARGEST_BODY = 1_024

startup.check(UnsubscribeSettings.read)

app = LambdaFunctionUrlResolver(debug=False)
queries: Queries = messages_queries


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one Function URL event (payload format 2.0)."""
    return app.resolve(event, context)


@app.get("/unsubscribe")
def ask() -> Response[str]:
    """The page with the button."""
    return _page(HTTPStatus.OK, "ask") if _person() else _page(HTTPStatus.BAD_REQUEST, "invalid")


@app.post("/unsubscribe")
def leave() -> Response[str]:
    """Switch the e-mails of the signed person off."""
    person = _person()
    if person is None or not _is_one_click():
        return _page(HTTPStatus.BAD_REQUEST, "invalid")
    with closing(connect(_settings().database_secret, "reminders-unsubscribe")) as connection:
        queries.value(connection, "unsubscribe", person=person)
    telemetry.count(Unsubscribed=1)
    logger.info("unsubscribed")
    return _page(HTTPStatus.OK, "done")


def _person() -> UUID | None:
    """The person for whom the link is signed, or None."""
    parameters = app.current_event.query_string_parameters or {}
    try:
        person = UUID(parameters.get("p", ""))
    except ValueError:
        return None
    key = secrets().get(_settings().key_secret)
    return person if unsubscribe.is_signed(key, person, parameters.get("s", "")) else None


def _is_one_click() -> bool:
    """Whether the body is what RFC 8058 says. One that is not is logged: a mail program may differ from the RFC."""
    header = Message()
    header["Content-Type"] = app.current_event.headers.get("content-type") or ""
    try:
        body = app.current_event.decoded_body or ""
    except ValueError:  # broken Base64 or UTF-8
        body = ""
    if len(body) <= LARGEST_BODY and _fields(header, body) == ONE_CLICK:
        return True
    refused = {"media_type": printable(header.get_content_type())[:80], "characters": len(body)}
    logger.warning("a signed link was posted without one click", extra=refused)
    return False


def _fields(header: Message, body: str) -> dict[str, list[str]]:
    """The values of a form by their names. RFC 8058, 3.2, and RFC 7578: multipart/form-data, else URL-encoded."""
    if header.get_content_type() != "multipart/form-data":
        return parse_qs(body)
    form = message_from_string(f"Content-Type: {header['Content-Type']}\r\n\r\n{body}")
    fields: dict[str, list[str]] = {}
    for part in form.walk():
        if not part.is_multipart():
            name = str(part.get_param("name", header="Content-Disposition"))
            fields.setdefault(name, []).append(str(part.get_payload()))
    return fields


def _settings() -> UnsubscribeSettings:
    return UnsubscribeSettings.read(os.environ)


def _page(status: HTTPStatus, state: Literal["ask", "done", "invalid"]) -> Response[str]:
    language = (app.current_event.headers.get("accept-language") or "en")[:5]
    page = templates.page(language, state)
    digest = base64.b64encode(sha256(page.style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(int(status), "text/html; charset=utf-8", page.html, headers=dict(headers))


@app.exception_handler(ReminderError)
def _failed(error: ReminderError) -> Response[str]:
    logger.error("unsubscribe failed", extra={"reason": safe_message(error)})
    return problem(HTTPStatus.SERVICE_UNAVAILABLE)


@app.exception_handler(Exception)
def _unexpected(error: Exception) -> Response[str]:
    telemetry.log_unexpected_error("unsubscribe failed unexpectedly", error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR)


@app.not_found
def _not_found(_: NotFoundError) -> Response[str]:
    return problem(HTTPStatus.NOT_FOUND)
