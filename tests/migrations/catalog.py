"""
What a database consists of, as text that can be compared: everything in the schemas that are not PostgreSQL's own.

Rights are sorted, because their order in the catalog is only that of the GRANTs.
"""

from __future__ import annotations

from reminders.database import Connection

OTHERS = "!~ '^(pg_|information_schema$|supabase_migrations$)'"
RIGHTS = "(SELECT string_agg(e::text, ' ' ORDER BY e::text) FROM unnest({}) AS e)"
PARTS = {
    "schema": f"SELECT n.nspname, {RIGHTS.format('n.nspacl')} FROM pg_namespace AS n WHERE n.nspname {OTHERS}",
    "relation": f"""
        SELECT n.nspname, c.relname, c.relkind, c.relowner::regrole, c.relrowsecurity, c.reloptions,
            {RIGHTS.format("c.relacl")}, obj_description(c.oid, 'pg_class'), pg_get_viewdef(c.oid)
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname {OTHERS}
    """,
    "column": f"""
        SELECT n.nspname, c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attidentity, a.attgenerated, {RIGHTS.format("a.attacl")}, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE n.nspname {OTHERS} AND a.attnum > 0 AND NOT a.attisdropped
    """,
    "constraint": f"""
        SELECT n.nspname, k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), k.convalidated
        FROM pg_constraint AS k JOIN pg_namespace AS n ON n.oid = k.connamespace WHERE n.nspname {OTHERS}
    """,
    "index": f"""
        SELECT n.nspname, pg_get_indexdef(i.indexrelid), i.indisvalid
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname {OTHERS}
    """,
    "function": f"""
        SELECT n.nspname, p.proname, {RIGHTS.format("p.proacl")},
            CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname {OTHERS}
    """,
    "trigger": "SELECT pg_get_triggerdef(t.oid), t.tgenabled FROM pg_trigger AS t WHERE NOT t.tgisinternal",
    "policy": """
        SELECT p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[],
            pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
        FROM pg_policy AS p
    """,
    "type": f"""
        SELECT n.nspname, t.typname, t.typtype,
            (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid)
        FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace WHERE n.nspname {OTHERS}
    """,
    "default rights": f"""
        SELECT d.defaclrole::regrole, d.defaclnamespace::regnamespace, d.defaclobjtype, {RIGHTS.format("d.defaclacl")}
        FROM pg_default_acl AS d
    """,
}


def snapshot(connection: Connection) -> list[str]:
    """One line for each thing, sorted; long ones are whole."""
    return sorted(
        f"{part}: {' | '.join(str(value) for value in row)}"
        for part, query in PARTS.items()
        for row in connection.execute(query.encode()).fetchall()
    )
