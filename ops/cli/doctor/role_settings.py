"""
The settings that our sessions start with: ALTER DATABASE and ALTER ROLE ... SET, which are not in the code.

The functions set time-outs within each transaction only. Reported are the values in HARMFUL, and time-outs that are
too short.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops.cli.doctor.examination import Examination, Finding, ok, problem
from ops.schema import OUR_ROLES

SHORTEST_SECONDS = 5.0
UNITS = {"us": 1e-6, "ms": 1e-3, "": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
ON, OFF = "on|true|yes|1", "off|false|no|0"
# By setting: the values that do no harm, and the effect of any other.
HARMFUL = {
    "datestyle": ("ISO.*", "dates have a format that the functions cannot read"),
    "intervalstyle": ("postgres", "intervals have a format that the functions cannot read"),
    # Our own migrations may set a path that ends with pg_temp: the functions qualify all names.
    "search_path": (".*(public|pg_temp).*", "tables of schema public are not found by name"),
    "default_transaction_read_only": (OFF, "nothing can be written"),
    "default_transaction_isolation": ("read committed", "runs at the same time fail on each other"),
    "default_transaction_deferrable": (OFF, "transactions wait"),
    "transaction_timeout": ("0", "the lock's transaction ends during a run"),
    "role": ("none", "the session is another role than it logs in as"),
    "session_replication_role": ("origin", "triggers do not fire"),
    "row_security": (ON, "statements under row level security fail"),
    "standard_conforming_strings": (ON, "a backslash in a string starts an escape"),
}
# Harmful where they are shorter than a short statement; 0 means no time-out.
TIMEOUTS = {
    "statement_timeout": "short statements are cancelled",
    "lock_timeout": "statements that wait briefly are cancelled",
}

# The most specific one counts (PostgreSQL, "ALTER ROLE"): database alone, then role alone, then role in database.
SESSION_SETTINGS = """
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


def role_settings(examination: Examination) -> Iterator[Finding]:
    rows = examination.rows(SESSION_SETTINGS, list(OUR_ROLES))
    found: dict[tuple[str, str, str], list[str]] = {}
    for role, name, value, where in rows:
        if _harm(name, value):
            found.setdefault((name, value, where), []).append(role)
    for (name, value, where), roles in found.items():
        what = f"{', '.join(roles)} start with {name} = {value}: {_harm(name, value)}"
        yield problem(what, f"ALTER {where} RESET {name};")
    if not found:
        others = ", ".join(f"{role} {name} = {value}" for role, name, value, _ in rows)
        yield ok(f"no setting is harmful{f' ({others})' if others else ''}")


def _harm(name: str, value: str) -> str:
    """The effect of a harmful value, else an empty text."""
    if name in TIMEOUTS:
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(us|ms|s|min|h|d|)", value)
        is_short = found and 0 < float(found[1]) * UNITS[found[2]] < SHORTEST_SECONDS
        return TIMEOUTS[name] if is_short else ""
    harmless, effect = HARMFUL.get(name, (".*", ""))
    return "" if re.fullmatch(harmless, value, re.IGNORECASE) else effect
