"""
Translates as a Function URL does: an HTTP request to an event, and the handler's return value to an HTTP response.

The forms are AWS's (Lambda developer guide, "Invoking Lambda function URLs": payload format 2.0). A key that AWS omits,
such as `cookies` of a request without cookies, is omitted here too.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

TEXT_TYPES = ("application/json", "application/javascript", "application/xml")
DOMAIN = "local.lambda-url.eu-west-2.on.aws"


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. `target` is the path with its query, as sent."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    protocol: str = "HTTP/1.1"


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response; a name may be in `headers` more than once."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class BadReturn(ValueError):
    """The handler's return value cannot be translated to HTTP: the caller gets a 502."""


def event_from(request: Request) -> dict[str, Any]:
    """The event of payload format 2.0 for this request."""
    path, _, query = request.target.partition("?")
    headers = _joined((name.lower(), value) for name, value in request.headers)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": _context(request, path, headers),
        "isBase64Encoded": False,
    }
    if cookies := headers.get("cookie"):
        event["cookies"] = [cookie.strip() for cookie in cookies.split(";")]
    if query:
        event["queryStringParameters"] = _joined(parse_qsl(query, keep_blank_values=True))
    if request.body:
        event.update(_body(request.body, headers.get("content-type", "")))
    return event


def response_from(returned: Any) -> Response:
    """
    The response for a handler's return value.

    A value with `statusCode` sets status, headers and body; any other value is the JSON body of a 200. Raises BadReturn
    on a value that is neither.
    """
    if not (isinstance(returned, dict) and "statusCode" in returned):
        return Response(200, [("content-type", "application/json")], _json(returned))
    headers = [(name.lower(), str(value)) for name, value in (returned.get("headers") or {}).items()]
    if "content-type" not in dict(headers):
        headers.append(("content-type", "application/json"))
    headers += [("set-cookie", cookie) for cookie in returned.get("cookies") or ()]
    return Response(_status(returned["statusCode"]), headers, _outgoing_body(returned))


def internal_server_error() -> Response:
    """The response when a handler raised: no details."""
    return Response(502, [("content-type", "application/json")], b"Internal Server Error")


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One value for each name: several values are joined by commas, in order."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    # Cookies are separated by semicolons.
    return {name: (";" if name == "cookie" else ",").join(each) for name, each in found.items()}


def _context(request: Request, path: str, headers: dict[str, str]) -> dict[str, Any]:
    """As without IAM authentication: the account is anonymous, and there is no authorizer."""
    now = time.time()
    return {
        "accountId": "anonymous",
        "apiId": DOMAIN.partition(".")[0],
        "domainName": DOMAIN,
        "domainPrefix": DOMAIN.partition(".")[0],
        "http": {
            "method": request.method,
            "path": unquote(path),
            "protocol": request.protocol,
            "sourceIp": "127.0.0.1",
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": str(uuid.uuid4()),
        "routeKey": "$default",
        "stage": "$default",
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "timeEpoch": int(now * 1000),
    }


def _body(body: bytes, content_type: str) -> dict[str, Any]:
    """Text unchanged, everything else in Base64, as AWS does with forms too."""
    kind = content_type.partition(";")[0].strip().lower()
    if not kind or kind.startswith("text/") or kind in TEXT_TYPES:
        try:
            return {"body": body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _outgoing_body(returned: dict[str, Any]) -> bytes:
    body = returned.get("body") or ""
    if not isinstance(body, str):
        raise BadReturn(f"body must be a string, got {type(body).__name__}")
    if not returned.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise BadReturn("isBase64Encoded is set, but the body is not Base64") from error


def _status(value: Any) -> int:
    if str(value).isdecimal() and 100 <= int(value) <= 599:
        return int(value)
    raise BadReturn(f"statusCode must be an HTTP status, got {value!r}")


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value).encode()
    except (TypeError, ValueError) as error:
        raise BadReturn(f"the return value is not JSON: {error}") from error
