"""
What a session of ours starts with: ALTER DATABASE and ALTER ROLE ... SET, which nobody sees in the code.

Within a run the functions set their own time-outs, and only there. What they do not set must be as PostgreSQL has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ops.cli.doctor.examination import Examination, Finding, ok, problem
from ops.schema import OUR_ROLES

SHORTEST_SECONDS = 5.0
UNITS = {"us": 1e-6, "ms": 1e-3, "": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _is_on(value: str) -> bool:
    return value.lower() in {"on", "true", "yes", "1"}


def _is_off(value: str) -> bool:
    return not _is_on(value)


def _is_short(value: str) -> bool:
    """Whether a time-out ends what takes a moment; 0 is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(us|ms|s|min|h|d|)", value)
    return found is not None and 0 < float(found[1]) * UNITS[found[2]] < SHORTEST_SECONDS


def _hides_public(value: str) -> bool:
    """Our own migrations may pin a path that ends with pg_temp: all names of the functions are qualified."""
    return "public" not in value and "pg_temp" not in value


# By setting: whether a value is harmful, and what it does.
HARMFUL: dict[str, tuple[Callable[[str], bool], str]] = {
    "datestyle": (lambda value: not value.upper().startswith("ISO"), "dates come in a form that cannot be read"),
    "intervalstyle": (lambda value: value != "postgres", "intervals come in a form that cannot be read"),
    "search_path": (_hides_public, "tables of schema public are not found by name"),
    "default_transaction_read_only": (_is_on, "nothing can be written"),
    "default_transaction_isolation": (lambda value: value != "read committed", "runs that meet are refused"),
    "default_transaction_deferrable": (_is_on, "transactions wait"),
    "statement_timeout": (_is_short, "a statement that takes a moment is ended"),
    "lock_timeout": (_is_short, "a statement that waits a moment is ended"),
    "transaction_timeout": (lambda value: value != "0", "the lock's transaction ends in mid-run"),
    "role": (lambda value: value != "none", "the session is another role than it logs in as"),
    "session_replication_role": (lambda value: value != "origin", "triggers do not fire"),
    "row_security": (_is_off, "statements under row level security fail"),
    "standard_conforming_strings": (_is_off, "a backslash in a string is taken for an escape"),
}

# The most specific one counts (PostgreSQL, "ALTER ROLE"): database alone, then role alone, then role in database.
STARTS_WITH = """
SELECT DISTINCT ON (r.rolname, lower(split_part(c.setting, '=', 1)))
    r.rolname::text,
    lower(split_part(c.setting, '=', 1)),
    substr(c.setting, strpos(c.setting, '=') + 1),
    CASE WHEN s.setrole = 0 THEN 'DATABASE ' || quote_ident(current_database())
        WHEN s.setdatabase = 0 THEN 'ROLE ' || quote_ident(r.rolname)
        ELSE 'ROLE ' || quote_ident(r.rolname) || ' IN DATABASE ' || quote_ident(current_database()) END
FROM pg_db_role_setting AS s
INNER JOIN pg_roles AS r ON s.setrole IN (0, r.oid)
CROSS JOIN unnest(s.setconfig) AS c (setting)
WHERE r.rolname = ANY(%s) AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
ORDER BY r.rolname, lower(split_part(c.setting, '=', 1)), s.setrole = 0, s.setdatabase = 0
"""


def role_settings(it: Examination) -> Iterator[Finding]:
    rows = it.rows(STARTS_WITH, list(OUR_ROLES))
    found: dict[tuple[str, str, str], list[str]] = {}
    for role, name, value, where in rows:
        if name in HARMFUL and HARMFUL[name][0](value):
            found.setdefault((name, value, where), []).append(role)
    for (name, value, where), roles in found.items():
        what = f"{', '.join(roles)} start with {name} = {value}: {HARMFUL[name][1]}"
        yield problem(what, f"ALTER {where} RESET {name};")
    if not found:
        others = ", ".join(f"{role} {name} = {value}" for role, name, value, _ in rows)
        yield ok(f"no setting is harmful{f' ({others})' if others else ''}")
