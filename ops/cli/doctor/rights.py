"""
Roles, grants and row level security, against the matrix (ops/schema/matrix.toml).

The tests try every verb as every role; this check reads the catalog, because an operator is not a superuser, and a
production database is not for trials. An app's own tables may have other grants to the app's own roles: there, only
our roles are checked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from ops import schema
from ops.cli.doctor.database import APPS, OURS
from ops.cli.doctor.examination import Examination, Finding, problem
from ops.cli.errors import CliError

# What each role may do with each object; without `columns` it is the whole object.
RIGHTS = """
SELECT o.name, r.role, v.verb, v.columns
FROM unnest(%s::text[], %s::text[]) AS o (kind, name) CROSS JOIN unnest(%s::text[]) AS r (role) CROSS JOIN LATERAL (
    SELECT 'EXECUTE', NULL::text[] FROM pg_proc
    WHERE
        o.kind = 'functions' AND o.name = concat(pronamespace::regnamespace, '.', proname)
        AND has_function_privilege(r.role, oid, 'EXECUTE')
    UNION
    SELECT verb, NULL FROM unnest('{SELECT,USAGE,UPDATE}'::text[]) AS verb
    WHERE o.kind = 'sequences' AND has_sequence_privilege(r.role, to_regclass(o.name)::oid, verb)
    UNION
    SELECT verb, NULL FROM unnest('{DELETE,TRUNCATE}'::text[]) AS verb
    WHERE
        (o.kind = 'tables' OR (o.kind = 'views' AND verb = 'DELETE'))
        AND has_table_privilege(r.role, to_regclass(o.name)::oid, verb)
    UNION
    SELECT
        verb,
        CASE WHEN NOT bool_and(may) THEN array_agg(attname::text ORDER BY attnum) FILTER (WHERE may) END
    FROM pg_attribute CROSS JOIN unnest('{SELECT,INSERT,UPDATE}'::text[]) AS verb,
        has_column_privilege(r.role, attrelid, attnum, verb) AS may
    WHERE o.kind IN ('tables', 'views') AND attrelid = to_regclass(o.name) AND attnum > 0 AND NOT attisdropped
    GROUP BY verb HAVING bool_or(may)
) AS v (verb, columns)
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


# As GRANT and REVOKE need it.
OBJECTS = {"functions": "FUNCTION ", "sequences": "SEQUENCE "}
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
    yield from (*_logins(it), *_attributes(it), *_memberships(it))


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
    # In a project whose own notifications table did not fit, ours has another name (migrations, existing_projects).
    ours = dict(it.rows("SELECT 'notifications', notifications FROM reminder_private.project"))
    theirs = {row[0] for row in it.rows(THEIR_SEQUENCES)}
    there = {row[0] for row in it.rows("SELECT rolname::text FROM pg_roles")} | {schema.EVERY_ROLE}
    roles = [role for role in schema.ROLES if role in there]
    wanted = {}
    for key, rights in schema.expected().items():
        kind, _, name = key.partition(".")
        name = ours.get(name, name)
        if name not in theirs:
            wanted[kind, name if "." in name else f"public.{name}"] = rights
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for name, role, verb, columns in it.rows(RIGHTS, *map(list, zip(*wanted, strict=True)), [r.lower() for r in roles]):
        found[name, role][verb] = columns or True
    for (kind, name), rights in wanted.items():
        for role in roles:
            if name.removeprefix("public.") not in APPS or role in schema.OUR_ROLES:
                right, actual = rights.get(role, {}), found[name, role.lower()]
                yield from _differences(OBJECTS.get(kind, "") + name, role, right, actual)


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


def _differences(name: str, role: str, wanted: dict[str, Any], found: dict[str, Any]) -> Iterator[Finding]:
    short = name.rpartition(".")[2]
    for verb in sorted(wanted.keys() | found.keys()):
        if wanted.get(verb) == found.get(verb):
            continue
        if verb not in found:
            fix = f"Grant it again as the migrations do: GRANT {verb} ... ON {name} TO {role}."
            yield problem(f"{role} may not {verb} on {short}", fix)
        elif verb not in wanted:
            yield problem(f"{role} may {verb} on {short}", f"REVOKE {verb} ON {name} FROM {role};")
        else:
            what = f"{role} may {verb} other columns of {short} than the matrix allows"
            yield problem(what, "Compare with ops/schema/matrix.toml, and grant or revoke by column.")
