"""
A request as the SQL that PostgREST makes of it: PostgREST's documentation, "Tables and Views" and "Functions as RPC".

    GET, HEAD    SELECT with select=, filters, order=, limit=, and Prefer: count=exact
    POST, PATCH  INSERT, UPDATE of one object, and Prefer: return=representation
    /rpc/name    the function with named arguments; a set becomes an array, a row an object
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
from psycopg import sql

ROOT = "/rest/v1/"
FILTER = re.compile(r"(eq|neq|gt|gte|lt|lte|is|in)\.(.*)", re.S)
OPERATORS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "is": "IS"}
RESERVED = ("select", "order", "limit", "columns")


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent, in a form that can be compared."""

    method: str
    path: str  #: below /rest/v1/
    query: tuple[tuple[str, str], ...]  #: sorted
    body: Any  #: parsed JSON, None without a body
    headers: dict[str, str] = field(default_factory=dict, compare=False)  #: by lower-case name

    @classmethod
    def of(cls, method: str, target: str, body: str, headers: dict[str, str]) -> Request:
        url = urlsplit(target)
        query = tuple(sorted(parse_qsl(url.query, keep_blank_values=True)))
        lower = {name.lower(): value for name, value in headers.items()}
        return cls(method, url.path.removeprefix(ROOT), query, json.loads(body) if body else None, lower)

    @property
    def prefers(self) -> set[str]:
        return {value.strip() for value in self.headers.get("prefer", "").split(",")}

    def asked(self, name: str) -> str | None:
        return dict(self.query).get(name)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any = None  #: None: no body
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """PostgREST answers this by itself, before or without PostgreSQL."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def execute(connection: psycopg.Connection[Any], request: Request) -> Answer:
    if request.path.startswith("rpc/"):
        return _call(connection, request)
    return {"GET": _read, "HEAD": _read, "POST": _insert, "PATCH": _update}[request.method](connection, request)


def _read(connection: psycopg.Connection[Any], request: Request) -> Answer:
    table, where = _table(request), _where(request)
    page = sql.SQL("SELECT {} FROM {} {} {}").format(_columns(request), table, where, _order(request))
    (rows,) = _row(connection, sql.SQL("SELECT coalesce(json_agg(r), '[]') FROM ({}) AS r").format(page))
    total = "*"
    if "count=exact" in request.prefers:
        (total,) = _row(connection, sql.SQL("SELECT count(*) FROM {} {}").format(table, where))
    span = f"0-{len(rows) - 1}" if rows else "*"
    partial = total != "*" and len(rows) < int(total)
    return Answer(206 if partial else 200, rows, {"content-range": f"{span}/{total}"})


def _insert(connection: psycopg.Connection[Any], request: Request) -> Answer:
    names = sql.SQL(", ").join(map(sql.Identifier, request.body))
    statement = sql.SQL("INSERT INTO {table} ({names}) SELECT {names} FROM {body} AS b").format(
        table=_table(request), names=names, body=_record(request)
    )
    return _write(connection, request, statement, created=True)


def _update(connection: psycopg.Connection[Any], request: Request) -> Answer:
    sets = sql.SQL(", ").join(sql.SQL("{0} = b.{0}").format(sql.Identifier(name)) for name in request.body)
    where = _where(request, "t")
    statement = sql.SQL("UPDATE {} AS t SET {} FROM {} AS b {}").format(_table(request), sets, _record(request), where)
    return _write(connection, request, statement, alias="t.")


def _write(
    connection: psycopg.Connection[Any],
    request: Request,
    statement: sql.Composed,
    *,
    created: bool = False,
    alias: str = "",
) -> Answer:
    if "return=representation" not in request.prefers:
        connection.execute(statement)
        return Answer(201 if created else 204)
    returning = sql.SQL("WITH w AS ({} RETURNING {}) SELECT coalesce(json_agg(w), '[]') FROM w").format(
        statement, _columns(request, alias)
    )
    return Answer(201 if created else 200, _row(connection, returning)[0])


def _call(connection: psycopg.Connection[Any], request: Request) -> Answer:
    name = request.path.removeprefix("rpc/")
    given = dict(request.query) if request.method == "GET" else request.body or {}
    found = connection.execute(
        "SELECT proretset, prorettype = 'void'::regtype FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace AND proname = %s AND proargnames @> %s::text[]",
        [name, list(given)],
    ).fetchone()
    if found is None:
        raise Refused(404, "PGRST202", f"Could not find the function public.{name} in the schema cache")
    arguments = [
        sql.SQL("{} => {}").format(sql.Identifier(key), sql.Literal(_as_text(value))) for key, value in given.items()
    ]
    call = sql.SQL("{}({})").format(sql.Identifier("public", name), sql.SQL(", ").join(arguments))
    shape = "coalesce(json_agg(r), '[]')" if found[0] else "to_json(r)"
    (value,) = _row(connection, sql.SQL("SELECT {} FROM {} AS r").format(sql.SQL(shape), call))
    return Answer(204) if found[1] else Answer(200, value)


def _as_text(value: Any) -> str | None:
    """JSON's literal is PostgreSQL's for numbers and booleans; PostgreSQL gives it the parameter's type."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _table(request: Request) -> sql.Identifier:
    return sql.Identifier("public", request.path)


def _record(request: Request) -> sql.Composed:
    body = sql.Literal(json.dumps(request.body))
    return sql.SQL("json_populate_record(NULL::{}, {})").format(_table(request), body)


def _columns(request: Request, alias: str = "") -> sql.Composable:
    names = (request.asked("select") or "*").split(",")
    one = [sql.SQL(alias + "*") if name == "*" else sql.SQL(alias) + sql.Identifier(name) for name in names]
    return sql.SQL(", ").join(one)


def _where(request: Request, alias: str = "") -> sql.Composable:
    prefix = sql.SQL(f"{alias}." if alias else "")
    conditions = [prefix + _condition(name, value) for name, value in request.query if name not in RESERVED]
    return sql.SQL("WHERE ") + sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("")


def _condition(name: str, value: str) -> sql.Composed:
    match = FILTER.fullmatch(value)
    if match is None:
        raise Refused(400, "PGRST100", f'"failed to parse filter ({value})"')
    operator, operand = match.groups()
    if operator == "in":
        operands = sql.SQL(", ").join(sql.Literal(one.strip('"')) for one in operand.strip("()").split(","))
        return sql.SQL("{} IN ({})").format(sql.Identifier(name), operands)
    if operator == "is" and operand not in {"null", "true", "false", "unknown"}:
        raise Refused(400, "PGRST100", f'"failed to parse filter ({value})"')
    right: sql.Composable = sql.SQL(operand) if operator == "is" else sql.Literal(operand)
    return sql.SQL("{} {} {}").format(sql.Identifier(name), sql.SQL(OPERATORS[operator]), right)


def _order(request: Request) -> sql.Composable:
    parts: list[sql.Composable] = []
    if order := request.asked("order"):
        terms = [term.split(".") for term in order.split(",")]
        down = [sql.Identifier(name) + sql.SQL(" DESC" if "desc" in more else " ASC") for name, *more in terms]
        parts.append(sql.SQL("ORDER BY ") + sql.SQL(", ").join(down))
    if limit := request.asked("limit"):
        parts.append(sql.SQL("LIMIT ") + sql.Literal(int(limit)))
    return sql.SQL(" ").join(parts)


def _row(connection: psycopg.Connection[Any], statement: sql.Composed) -> Any:
    return connection.execute(statement).fetchone()
