"""
Roles, grants and row level security, against the matrix (ops/schema/matrix.toml).

The tests try every verb as every role; this check reads the catalog, because an operator is not a superuser, and a
production database is not for trials. An app's own tables may have other grants to the app's own roles: there, only
our roles are checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ops import schema
from ops.cli.doctor.database import APPS, OURS
from ops.cli.doctor.examination import Examination, Finding, ok, problem
from ops.cli.errors import CliError

# The rights that there are, by kind of object: whole objects, and columns.
WHOLE = {"tables": ("DELETE", "TRUNCATE"), "views": ("DELETE",)}
BY_COLUMN = ("SELECT", "INSERT", "UPDATE")
COLUMNS = """
SELECT a.attname::text FROM pg_attribute AS a
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

# How an app numbers its own rows is not checked. The tables that we created are recognised by their constraints.
THEIR_SEQUENCES = """
SELECT c.relname || '_id_seq' FROM pg_class AS c
WHERE
    c.relnamespace = 'public'::regnamespace AND c.relname IN ('activities', 'notifications')
    AND NOT EXISTS (
        SELECT FROM pg_constraint AS k
        WHERE k.conrelid = c.oid AND k.conname IN ('registration_path_is_known', 'kind_is_known')
    )
"""


# Attributes of a role on the whole server, as ALTER ROLE removes them.
ATTRIBUTES = {
    "rolsuper": "SUPERUSER",
    "rolbypassrls": "BYPASSRLS",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolreplication": "REPLICATION",
    "rolinherit": "INHERIT",
}
# Memberships that are allowed: (member, role).
MEMBERSHIPS = {("contact_admin_api", "authenticated")}


def roles(it: Examination) -> Iterator[Finding]:
    found = [*_logins(it), *_attributes(it), *_memberships(it)]
    yield from found
    if not found:
        yield ok("those that are needed can log in, and have no other attribute")


def _logins(it: Examination) -> Iterator[Finding]:
    rows = dict(
        it.rows("SELECT rolname::text, rolcanlogin FROM pg_roles WHERE rolname = ANY(%s)", list(schema.OUR_ROLES))
    )
    missing = [role for role in schema.OUR_ROLES if role not in rows]
    if missing:
        yield problem(f"{', '.join(missing)} missing", "`reminders migrate`.")
    closed = [role for role, can_login in rows.items() if not can_login and is_needed(it, role)]
    if closed:
        yield problem(f"{', '.join(closed)} cannot log in", "`reminders roles` prints the SQL for it.")


def is_needed(it: Examination, role: str) -> bool:
    """Whether a function logs in as `role`; those of the messages only where messages are sent."""
    if role not in schema.MESSAGE_ROLES:
        return True
    try:
        return bool(it.target.environment("courier"))
    except CliError:
        return False  # a bare database does not say


def _attributes(it: Examination) -> Iterator[Finding]:
    query = "SELECT to_jsonb(r) FROM pg_roles AS r WHERE rolname = ANY(%s) ORDER BY rolname"
    for (role,) in it.rows(query, list(schema.OUR_ROLES)):
        for column, attribute in ATTRIBUTES.items():
            if role[column]:
                yield problem(f"{role['rolname']} has {attribute}", f"ALTER ROLE {role['rolname']} NO{attribute};")


def _memberships(it: Examination) -> Iterator[Finding]:
    """Memberships of our roles, and of the API's roles in ours."""
    query = """
    SELECT member::regrole::text, roleid::regrole::text FROM pg_auth_members
    WHERE member::regrole::text = ANY(%s) OR (roleid::regrole::text = ANY(%s) AND member::regrole::text = ANY(%s))
    """
    ours = list(schema.OUR_ROLES)
    others = [role for role in schema.ROLES if role not in ours]
    for member, role in sorted(set(it.rows(query, ours, ours, others)) - MEMBERSHIPS):
        yield problem(f"{member} may become {role}", f"REVOKE {role} FROM {member};")


def grants(it: Examination) -> Iterator[Finding]:
    wrong = False
    # In a project whose own notifications table did not fit, ours has another name (migrations, existing_projects).
    ours = dict(it.rows("SELECT 'notifications', notifications FROM reminder_private.project"))
    theirs = {row[0] for row in it.rows(THEIR_SEQUENCES)}
    there = {row[0] for row in it.rows("SELECT rolname::text FROM pg_roles")} | {schema.EVERY_ROLE}
    for name, rights in schema.expected().items():
        kind, _, plain = name.partition(".")
        plain = ours.get(plain, plain)
        if plain in theirs:
            continue
        checked = [role for role in schema.ROLES if role in there and (plain not in APPS or role in schema.OUR_ROLES)]
        for role in checked:
            wanted, found = rights.get(role, {}), _actual(it, kind, plain, role)
            for difference in _differences(_named(kind, plain), role, wanted, found):
                wrong = True
                yield difference
    if not wrong:
        yield ok("as listed in ops/schema/matrix.toml")


def row_level_security(it: Examination) -> Iterator[Finding]:
    tables = sorted(OURS | APPS)
    query = """
    SELECT relname::text, relrowsecurity, relforcerowsecurity FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname = ANY(%s)
    """
    rows = it.rows(query, tables)
    off = [name for name, enabled, _ in rows if not enabled]
    forced = [name for name, _, is_forced in rows if is_forced and name in OURS]
    for table in off:
        yield problem(
            f"off on {table}", f"ALTER TABLE public.{table} ENABLE ROW LEVEL SECURITY; then look at its policies."
        )
    for table in forced:
        what = f"forced on {table}, so the functions that run as its owner see no row"
        yield problem(what, f"ALTER TABLE public.{table} NO FORCE ROW LEVEL SECURITY;")
    if not off and not forced:
        yield ok("enabled on every table")


def _named(kind: str, name: str) -> str:
    """As GRANT and REVOKE need it."""
    full = name if "." in name else f"public.{name}"
    return {"functions": "FUNCTION ", "sequences": "SEQUENCE "}.get(kind, "") + full


def _differences(name: str, role: str, wanted: dict[str, Any], found: dict[str, Any]) -> Iterator[Finding]:
    for verb in sorted(wanted.keys() | found.keys()):
        if wanted.get(verb) == found.get(verb):
            continue
        if verb not in found:
            fix = f"Grant it again as the migrations do: GRANT {verb} ... ON {name} TO {role}."
            yield problem(f"{role} may not {verb} on {_short(name)}", fix)
        elif verb not in wanted:
            yield problem(f"{role} may {verb} on {_short(name)}", f"REVOKE {verb} ON {name} FROM {role};")
        else:
            what = f"{role} may {verb} other columns of {_short(name)} than the matrix allows"
            yield problem(what, "Compare with ops/schema/matrix.toml, and grant or revoke by column.")


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _actual(it: Examination, kind: str, name: str, role: str) -> dict[str, Any]:
    who = "public" if role == schema.EVERY_ROLE else role
    if kind == "functions":
        query = """
        SELECT bool_or(has_function_privilege(%s, oid, 'EXECUTE')) FROM pg_proc
        WHERE pronamespace = to_regnamespace(%s) AND proname = %s
        """
        return {"EXECUTE": True} if it.rows(query, who, *f"public.{name}".split(".")[-2:])[0][0] else {}
    full = name if "." in name else f"public.{name}"
    if kind == "sequences":
        query = "SELECT v FROM unnest(%s::text[]) AS v WHERE has_sequence_privilege(%s, to_regclass(%s)::oid, v)"
        return {verb: True for (verb,) in it.rows(query, ["SELECT", "USAGE", "UPDATE"], who, full)}
    return _on_relation(it, kind, full, who)


def _on_relation(it: Examination, kind: str, full: str, who: str) -> dict[str, Any]:
    columns = [row[0] for row in it.rows(COLUMNS, full)]
    query = """
    SELECT v, array_agg(c ORDER BY n) FROM unnest(%s::text[]) AS v, unnest(%s::text[]) WITH ORDINALITY AS u (c, n)
    WHERE has_column_privilege(%s, to_regclass(%s)::oid, c, v) GROUP BY v
    """
    found: dict[str, Any] = {
        verb: True if allowed == columns else allowed
        for verb, allowed in it.rows(query, list(BY_COLUMN), columns, who, full)
    }
    whole = "SELECT v FROM unnest(%s::text[]) AS v WHERE has_table_privilege(%s, to_regclass(%s)::oid, v)"
    return found | {verb: True for (verb,) in it.rows(whole, list(WHOLE[kind]), who, full)}
