"""
Roles, grants and row level security, against the matrix (ops/schema/matrix.toml).

The tests try every verb as every role. This check reads the catalog, because an operator is not a superuser, and
nothing may be tried on a production database. An app's own tables may have other grants to the app's own roles, so
only our roles are checked there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from ops import schema
from ops.cli.doctor.database import APPS, OURS
from ops.cli.doctor.examination import Examination, Finding, problem

# What each role may do with each object. `columns` is NULL for a right on the whole object.
RIGHTS = """
SELECT o.name, r.role, v.verb, v.columns
FROM unnest(%s::text[], %s::text[]) AS o (kind, name) CROSS JOIN unnest(%s::text[]) AS r (role) CROSS JOIN LATERAL (
    SELECT 'EXECUTE', NULL::text[] FROM pg_proc
    WHERE
        o.kind = 'functions' AND proname = split_part(o.name, '.', 2)
        AND pronamespace = to_regnamespace(split_part(o.name, '.', 1))
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
# Each row that a query finds is a problem: its sentence, and its fix.
ROLES = (
    (
        "SELECT role FROM unnest(%(ours)s::text[]) AS role WHERE to_regrole(role) IS NULL",
        "{} is missing",
        "`reminders migrate`.",
    ),
    (
        "SELECT rolname::text FROM pg_roles WHERE rolname = ANY(%(needed)s) AND NOT rolcanlogin",
        "{} cannot log in",
        "`reminders roles` prints the SQL for it.",
    ),
    (
        """
        SELECT rolname::text, v.attribute FROM pg_roles CROSS JOIN LATERAL (VALUES
            ('SUPERUSER', rolsuper), ('BYPASSRLS', rolbypassrls), ('CREATEROLE', rolcreaterole),
            ('CREATEDB', rolcreatedb), ('REPLICATION', rolreplication), ('INHERIT', rolinherit)
        ) AS v (attribute, has_it)
        WHERE rolname = ANY(%(ours)s) AND has_it ORDER BY 1
        """,
        "{} has {}",
        "ALTER ROLE {} NO{};",
    ),
    (
        """
        SELECT DISTINCT m.member::regrole::text, m.roleid::regrole::text FROM pg_auth_members AS m
        INNER JOIN pg_roles AS member ON member.oid = m.member
        INNER JOIN pg_roles AS role ON role.oid = m.roleid
        WHERE (member.rolname, role.rolname) <> ('contact_admin_api', 'authenticated')
            AND (member.rolname = ANY(%(ours)s) OR (role.rolname = ANY(%(ours)s) AND member.rolname = ANY(%(others)s)))
        ORDER BY 1, 2
        """,
        "{} may become {}",
        "REVOKE {1} FROM {0};",
    ),
)
OUR_TABLES = "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace "
ROW_LEVEL_SECURITY = (
    (
        OUR_TABLES + "AND relname = ANY(%(tables)s) AND NOT relrowsecurity ORDER BY 1",
        "off on {}",
        "ALTER TABLE public.{} ENABLE ROW LEVEL SECURITY; then look at its policies.",
    ),
    (
        OUR_TABLES + "AND relname = ANY(%(ours)s) AND relforcerowsecurity ORDER BY 1",
        "forced on {}, so the functions that run as its owner see no row",
        "ALTER TABLE public.{} NO FORCE ROW LEVEL SECURITY;",
    ),
)


def roles(examination: Examination) -> Iterator[Finding]:
    ours = list(schema.OUR_ROLES)
    needed = [role for role in ours if examination.courier or role not in schema.MESSAGE_ROLES]
    others = [role for role in schema.ROLES if role not in ours]
    return _problems(examination, ROLES, ours=ours, needed=needed, others=others)


def row_level_security(examination: Examination) -> Iterator[Finding]:
    return _problems(examination, ROW_LEVEL_SECURITY, ours=list(OURS), tables=list(OURS | APPS))


def _problems(
    examination: Examination, checks: Sequence[tuple[str, str, str]], **values: list[str]
) -> Iterator[Finding]:
    for query, what, fix in checks:
        for row in examination.database.execute(query.encode(), values).fetchall():
            yield problem(what.format(*row), fix.format(*row))


def grants(examination: Examination) -> Iterator[Finding]:
    # In a project whose own notifications table did not fit, ours has another name (migrations, existing_projects).
    ours = dict(examination.rows("SELECT 'notifications', notifications FROM reminder_private.project"))
    theirs = {row[0] for row in examination.rows(THEIR_SEQUENCES)}
    there = {row[0] for row in examination.rows("SELECT rolname::text FROM pg_roles")} | {schema.EVERY_ROLE}
    roles = [role for role in schema.ROLES if role in there]
    wanted = {}
    for key, rights in schema.expected().items():
        kind, _, name = key.partition(".")
        name = ours.get(name, name)
        if name not in theirs:
            wanted[kind, name if "." in name else f"public.{name}"] = rights
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for name, role, verb, columns in examination.rows(
        RIGHTS, *map(list, zip(*wanted, strict=True)), [r.lower() for r in roles]
    ):
        found[name, role][verb] = columns or True
    for (kind, name), rights in wanted.items():
        for role in roles:
            if name.removeprefix("public.") not in APPS or role in schema.OUR_ROLES:
                right, actual = rights.get(role, {}), found[name, role.lower()]
                yield from _differences(OBJECTS.get(kind, "") + name, role, right, actual)


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
