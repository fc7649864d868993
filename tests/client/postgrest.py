"""
A stand-in for PostgREST, which no package registry has: HTTP in, the SQL that PostgREST runs, JSON out.

    token ─▶ claims, role ─▶ one transaction: SET LOCAL both ─▶ one statement ─▶ JSON, or SQLSTATE ─▶ HTTP status

It knows the part that docs/client.md uses (statements.py). The rules are those of PostgREST's documentation ("Errors",
"Authentication"). It decides nothing about rights: PostgreSQL does, with the grants and policies of our migrations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
import psycopg

from tests.client.statements import Answer, Refused, Request, execute
from tests.tokens import SECRET

# Of the documentation's table; the rest is 400. 42501 is 401 for who is not signed in.
STATUS = {"42501": 403, "42P01": 404, "42883": 404, "23503": 409, "23505": 409, "25006": 405, "57014": 500}


@contextmanager
def serving(dsn: str) -> Iterator[tuple[str, list[Request]]]:
    """The address, and the requests so far. `dsn` is of a login that may become `anon` and `authenticated`."""
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            request = Request.of(self.command, self.path, body, dict(self.headers))
            requests.append(request)
            found = answer(dsn, request)
            text = b"" if found.body is None else json.dumps(found.body).encode()
            self.send_response(found.status)
            for name, value in {**found.headers, "content-length": str(len(text))}.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json; charset=utf-8")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        do_GET = do_HEAD = do_POST = do_PATCH = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the tests read the requests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()


def answer(dsn: str, request: Request) -> Answer:
    """In a transaction of its own, which an error rolls back."""
    role = "anon"
    try:
        claims = _claims(request)
        role = str(claims.get("role", "anon"))
        with psycopg.connect(dsn) as connection:
            connection.read_only = request.method in {"GET", "HEAD"}
            connection.execute(
                "SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true),"
                " set_config('search_path', 'public, extensions', true)",
                [role, json.dumps(claims)],
            )
            return execute(connection, request)
    except Refused as error:
        return Answer(error.status, {"code": error.code, "details": None, "hint": None, "message": str(error)})
    except psycopg.Error as error:
        return _error(error, role)


def _claims(request: Request) -> dict[str, Any]:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not token or token == request.headers.get("apikey"):
        return {"role": "anon"}
    try:
        claims: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], audience="authenticated")
    except jwt.ExpiredSignatureError:
        raise Refused(401, "PGRST303", "JWT expired") from None
    except jwt.PyJWTError:
        raise Refused(401, "PGRST301", "No suitable key or wrong key type") from None
    return claims


def _error(error: psycopg.Error, role: str) -> Answer:
    code = error.sqlstate or "XX000"
    status = int(code[2:]) if re.fullmatch(r"PT[1-5]\d\d", code) else STATUS.get(code, 400)
    if code == "42501" and role == "anon":
        status = 401
    diag = error.diag
    details = {"code": code, "details": diag.message_detail, "hint": diag.message_hint, "message": diag.message_primary}
    return Answer(status, details)
