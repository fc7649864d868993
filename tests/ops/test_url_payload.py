"""A Function URL's translations, by the shapes that AWS documents."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ops.local.url_payload import BadReturn, Request, Response, event_from, response_from
from tests.helpers.cases import table

pytestmark = pytest.mark.matrix  # every other test that uses it fails with it


JSON = ("content-type", "application/json")


def request(*headers: tuple[str, str], method: str = "GET", target: str = "/", body: bytes = b"") -> Request:
    return Request(method, target, list(headers), body)


def test_event_has_the_documented_shape() -> None:
    """Exactly the keys of a request without cookies, query and body."""
    event = event_from(request(("User-Agent", "probe"), target="/my/path"))
    context = event.pop("requestContext")
    assert {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/my/path",
        "rawQueryString": "",
        "headers": {"user-agent": "probe"},
        "isBase64Encoded": False,
    } == event
    assert {
        "method": "GET",
        "path": "/my/path",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "probe",
    } == context["http"]
    assert ("anonymous", "$default", "$default") == (
        context["accountId"],
        context["routeKey"],
        context["stage"],
    )


def test_repeated_headers_and_parameters_are_joined_by_commas() -> None:
    """Names are lower case; values come in order."""
    event = event_from(request(("X-A", "1"), ("x-a", "2"), target="/?p=1&p=2&q=a%20b&empty="))
    assert {"x-a": "1,2"} == event["headers"]
    assert {"p": "1,2", "q": "a b", "empty": ""} == event["queryStringParameters"]
    assert "p=1&p=2&q=a%20b&empty=" == event["rawQueryString"]


def test_cookies_are_a_list() -> None:
    """One entry a cookie, from however many headers."""
    event = event_from(request(("cookie", "a=1; b=2"), ("cookie", "c=3")))
    assert ["a=1", "b=2", "c=3"] == event["cookies"]


@table(
    ("kind", "body", "encoded"),
    [
        ("application/json; charset=utf-8", b'{"a": 1}', False),
        ("text/plain", "ä".encode(), False),
        ("text/plain", b"\xff", True),
        ("application/octet-stream", b"abc", True),
        ("application/x-www-form-urlencoded", b"a=1", True),
    ],
)
def test_body_is_base64_unless_it_is_text(kind: str, body: bytes, encoded: bool) -> None:
    """JSON and text come as they are; everything else, forms too, as Base64."""
    event = event_from(request(("content-type", kind), method="POST", body=body))
    expected = base64.b64encode(body).decode() if encoded else body.decode()
    assert (expected, encoded) == (event["body"], event["isBase64Encoded"])


@table(
    ("returned", "body"),
    [({"message": "hi"}, b'{"message": "hi"}'), ("hi", b'"hi"'), ([1], b"[1]"), (None, b"null")],
)
def test_return_without_status_is_the_body_of_a_200(returned: Any, body: bytes) -> None:
    """AWS infers status, type and body from bare JSON."""
    assert Response(200, [JSON], body) == response_from(returned)


def test_return_with_status_is_taken_as_it_says() -> None:
    """Status, headers, cookies and a Base64 body arrive."""
    returned = {
        "statusCode": 201,
        "headers": {"Content-Type": "image/png"},
        "cookies": ["a=1; Secure", "b=2"],
        "body": base64.b64encode(b"\x89PNG").decode(),
        "isBase64Encoded": True,
    }
    headers = [("content-type", "image/png"), ("set-cookie", "a=1; Secure"), ("set-cookie", "b=2")]
    assert Response(201, headers, b"\x89PNG") == response_from(returned)


def test_status_alone_is_an_empty_answer() -> None:
    """A missing body is an empty one, of type JSON."""
    assert Response(204, [JSON], b"") == response_from({"statusCode": 204})


@table(
    "returned",
    [
        {"statusCode": "soon"},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "body": "!", "isBase64Encoded": True},
        {"when": object()},
    ],
)
def test_unusable_return_is_refused(returned: Any) -> None:
    """What AWS would answer with a 502 is an error here."""
    with pytest.raises(BadReturn):
        response_from(returned)
