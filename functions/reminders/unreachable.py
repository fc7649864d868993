"""
Why a database cannot be reached, and what to do about it.

libpq gives no SQLSTATE for a failed connection, only a text that contains host and user. This module maps it to a
sentence that is safe to log, and a hint for the operator. Each hint has a test that causes the error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """`what` is a phrase: what is wrong with the URI or the connection; `hint` is whole sentences for the operator."""

    what: str
    hint: str


NOT_A_URI = Problem(
    "the database secret does not hold a libpq URI", "Write it as postgresql://USER:PASSWORD@HOST:6543/postgres."
)
_ENCODE = "Write special characters of the password percent-encoded: / as %2F, @ as %40, # as %23, : as %3A, % as %25."
# Parameters of other drivers, which may be named: they are no secret.
_FOREIGN = {
    "connection_limit",
    "pgbouncer",
    "pool_timeout",
    "prepareThreshold",
    "schema",
    "ssl",
    "sslaccept",
    "statement_cache_size",
    "supa",
    "workaround",
}


def of_uri(error: str) -> Problem:
    """What libpq did not understand of a URI; `error` is its own text, which may quote a part of the password."""
    if found := re.search(r'invalid (?:URI query parameter|connection option): "?(\w+)', error):
        name = found[1] if found[1] in _FOREIGN else ""
        what = f"the database URI has a parameter that libpq does not know{name and f': {name}'}"
        hint = "Take what is for other drivers (pgbouncer=, connection_limit=, schema=) out of the URI."
        return Problem(what, hint if name else f"{hint} {_ENCODE}")
    if "percent-encoded" in error or "forbidden value %00" in error:
        return Problem("the database URI has a % that encodes nothing", _ENCODE)
    return NOT_A_URI


def of_parameters(found: dict[str, Any]) -> Problem | None:
    """A URI that libpq understands, but not as it was meant: a part of its password became host, port or database."""
    ports = str(found.get("port") or "").split(",")
    misplaced = "@" in f"{found.get('host', '')}{found.get('dbname', '')}"
    if misplaced or not all(port.isascii() and port.isdigit() for port in ports if port):
        return Problem("the password in the database URI has characters that are not percent-encoded", _ENCODE)
    return None


def of_connection(error: str) -> Problem:
    """The first pattern that libpq's or the pooler's text matches."""
    return next((problem for pattern, problem in _PROBLEMS if re.search(pattern, error)), _UNKNOWN)


_COMPARE = (
    "Compare host and port with Supabase's Connect page: 6543 is the transaction pooler, 5432 the session pooler."
)
_TLS = "Write sslmode=require, or better verify-full, in the URI."
_IPV6 = (
    "Supabase's direct host (db.PROJECT.supabase.co) has an IPv6 address only: use the pooler's host from the Connect"
    " page, whose addresses are IPv4."
)
PLAIN_TEXT = Problem(
    "the database URI asks for an sslmode that allows plain text; it must be require, verify-ca or verify-full,"
    " except for this machine",
    _TLS,
)
_USER = "Supabase's pooler wants the user as ROLE.PROJECT, a direct connection wants ROLE alone."
_LOGIN = "`reminders roles --from-secrets` prints the SQL that gives the roles the passwords of the secrets."
_UNKNOWN = Problem("connection failed", _COMPARE)

# Specific ones first: a text can match several.
_PROBLEMS = (
    (
        r"EMAXCONN|[Mm]ax ?[Cc]lients|[Mm]ax client connections|no more connections allowed|max_client_conn"
        r"|too many (clients|connections)|remaining connection slots",
        Problem(
            "it has no connection left",
            "Use the transaction pooler (port 6543). If it is the one that is full, see who uses it: Supabase's"
            " dashboard, Database, Connection pooling.",
        ),
    ),
    (
        r"ECIRCUITBREAKER|[Cc]ircuit breaker",
        Problem(
            "the pooler refuses logins for some minutes, after many wrong passwords",
            f"Find what tries a wrong password, and wait. {_LOGIN}",
        ),
    ),
    (
        r"[Tt]enant(/user| or user|/user .*)?.* not found|no tenant identifier|ENOIDENTIFIER|role .* does not exist"
        r"|no such user",
        Problem("it does not know the user", f"{_USER} `reminders migrate` makes the roles."),
    ),
    (
        r"password authentication failed|SASL|[Ww]rong password|no password supplied",
        Problem(
            "it rejected the password",
            f"Is the URI's password the current one? {_ENCODE} {_USER} {_LOGIN}",
        ),
    ),
    (
        r"is not permitted to log in",
        Problem("the role has no LOGIN yet (runbook: Migrate, and give the roles their logins)", _LOGIN),
    ),
    (
        r"no encryption|SSL connection is required|SSL required",
        Problem("it refuses a connection without TLS", _TLS),
    ),
    (
        r"pg_hba\.conf",
        Problem(
            "it accepts no login of this user from this address",
            "Supabase: Database, Settings, Network restrictions. Elsewhere: pg_hba.conf of the server.",
        ),
    ),
    (
        r"database .* does not exist|no such database",
        Problem("it does not know the database", "On Supabase the database's name is postgres."),
    ),
    (
        r"Network is unreachable|No route to host|Cannot assign requested address|Address family not supported",
        Problem("there is no route to its address", _IPV6),
    ),
    (r"[Cc]onnection refused", Problem("connection refused", f"No server listens there. {_COMPARE}")),
    (
        r"could not translate host name|resolve|Name or service|No address associated",
        Problem(
            "its host name cannot be resolved", f"Is the name right, and has the project not been deleted? {_IPV6}"
        ),
    ),
    (
        r"certificate|root\.crt",
        Problem(
            "no TLS connection could be made: its certificate is not trusted",
            "verify-full needs Supabase's CA: sslrootcert=FILE in the URI, the file from Database, Settings, SSL.",
        ),
    ),
    (
        r"does not support SSL",
        Problem(
            "no TLS connection could be made: it offers none",
            "TLS is needed except on loopback. Switch it on at the server, or is this another server than you mean?",
        ),
    ),
    (
        r"invalid response to SSL|expected authentication request|unsupported frontend protocol",
        Problem("what answers there is no PostgreSQL", _COMPARE),
    ),
    (
        r"unsupported startup parameter",
        Problem("the pooler refuses a parameter of the URI", "Take options= and the like out of the URI."),
    ),
    (
        r"SSL|TLS",
        Problem("no TLS connection could be made", "Write sslmode=require, or better verify-full, in the URI."),
    ),
    (
        r"starting up|shutting down|recovery|pooler .*(pause|shut)",
        Problem("it is starting up or shutting down", "Wait a minute. Supabase's dashboard shows whether it restarts."),
    ),
    (
        r"timeout|timed out",
        Problem(
            "no answer within 5 s",
            f"Is the project paused, or does a network restriction keep this machine out? {_COMPARE}",
        ),
    ),
    (
        r"server login|cannot connect to server|server_login_retry",
        Problem("the pooler cannot reach the server behind it", "Is the project paused? Supabase's dashboard says so."),
    ),
    (
        r"closed the connection unexpectedly|reset by peer|Broken pipe",
        Problem("it closed the connection", f"Is it restarting? Else the port may be another service's. {_COMPARE}"),
    ),
)
