"""
Settings that ALTER DATABASE may change, with values that are not the usual ones.

What the code depends on is pinned for our roles by a migration; what it does not depend on is set to prove that.
docs/decisions.md lists both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ops.local.server import Server, admin

# Values that hurt, one for each setting that ALTER DATABASE may change and that we pin.
HOSTILE = {
    "search_path": "pg_catalog",
    "DateStyle": "'SQL, DMY'",
    "IntervalStyle": "'iso_8601'",
    "TimeZone": "'Pacific/Kiritimati'",
    "client_encoding": "'LATIN1'",
    "standard_conforming_strings": "off",
    "row_security": "off",
    "exit_on_error": "on",
    "default_transaction_isolation": "'serializable'",
    "default_transaction_deferrable": "on",
    "statement_timeout": "'1ms'",
    "lock_timeout": "'1ms'",
    "idle_in_transaction_session_timeout": "'1ms'",
    "idle_session_timeout": "'1ms'",
    "transaction_timeout": "'1ms'",
}
# Ours depends on none of these, in our own sessions nor in those of the app's users, in which our triggers run.
INDIFFERENT = {
    "array_nulls": "off",
    "backslash_quote": "off",
    "bytea_output": "'escape'",
    "check_function_bodies": "off",
    "client_min_messages": "debug1",
    "enable_indexscan": "off",
    "escape_string_warning": "off",
    "extra_float_digits": "-15",
    "from_collapse_limit": "1",
    "geqo_threshold": "2",
    "jit_above_cost": "0",
    "plan_cache_mode": "'force_generic_plan'",
    "plpgsql.extra_errors": "'all'",
    "quote_all_identifiers": "on",
    "synchronous_commit": "off",
    "transform_null_equals": "on",
    "work_mem": "'64kB'",
    "xmlbinary": "'hex'",
}
# What a client of the app may have in its own session, in which our triggers run; its time-outs are its own affair.
OF_CLIENTS = {name: value for name, value in HOSTILE.items() if "timeout" not in name and name != "row_security"}


def set_for_database(server: Server, database: str, settings: dict[str, str]) -> None:
    """For sessions to come, as far as this version of PostgreSQL knows them."""
    with admin(server, database) as connection:
        there = {row[0] for row in connection.execute("SELECT name FROM pg_settings").fetchall()}
        for name, value in settings.items():
            if name in there or "." in name:
                connection.execute(f"ALTER DATABASE {database} SET {name} = {value}".encode())


@contextmanager
def setting(server: Server, database: str, text: str, role: str | None = None) -> Iterator[None]:
    """A database's setting, or a role's in it; it holds for sessions to come."""
    where = f"ROLE {role} IN DATABASE {database}" if role else f"DATABASE {database}"
    with admin(server) as connection:
        connection.execute(f"ALTER {where} SET {text}".encode())
        yield
        connection.execute(f"ALTER {where} RESET {text.split(' ', maxsplit=1)[0]}".encode())
