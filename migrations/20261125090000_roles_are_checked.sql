-- migrate:up
-- A role of our name may have existed before us, and the first migration then left it as it was. Roles are the
-- boundary between the functions, so a role that can do more than its grants is refused here, with the fix.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

DO $$
DECLARE
    wrong record;
BEGIN
    -- Attributes that are stronger than any grant.
    SELECT r.rolname, string_agg(a.attribute, ', ' ORDER BY a.attribute) AS attributes,
        string_agg('NO' || a.attribute, ' ' ORDER BY a.attribute) AS repair
    INTO wrong
    FROM pg_catalog.pg_roles AS r
    CROSS JOIN LATERAL (
        VALUES
        ('SUPERUSER', r.rolsuper), ('BYPASSRLS', r.rolbypassrls), ('CREATEROLE', r.rolcreaterole),
        ('CREATEDB', r.rolcreatedb), ('REPLICATION', r.rolreplication),
        -- It must become `authenticated` explicitly, with a caller's claims.
        ('INHERIT', r.rolinherit AND r.rolname = 'contact_admin_api')
    ) AS a (attribute, is_set)
    WHERE r.rolname IN ('cron_runner', 'reminder_scheduler', 'contact_admin_api') AND a.is_set
    GROUP BY r.rolname
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the role % is %, so it could do more than it is granted', wrong.rolname, wrong.attributes
            USING HINT = format('ALTER ROLE %I %s;', wrong.rolname, wrong.repair);
    END IF;

    SELECT m.member::regrole AS member, m.roleid::regrole AS role
    INTO wrong
    FROM pg_catalog.pg_auth_members AS m
    INNER JOIN pg_catalog.pg_roles AS r ON r.oid = m.member
    INNER JOIN pg_catalog.pg_roles AS g ON g.oid = m.roleid
    WHERE
        r.rolname IN ('cron_runner', 'reminder_scheduler', 'contact_admin_api')
        AND (r.rolname, g.rolname) <> ('contact_admin_api', 'authenticated')
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the role % is a member of %, so it could do more than it is granted', wrong.member, wrong.role
            USING HINT = format('REVOKE %s FROM %s;', wrong.role, wrong.member);
    END IF;

    -- An owner may change, drop and grant what it owns. Temporary tables of an open session are no harm.
    SELECT owned.owner::regrole AS owner, owned.thing
    INTO wrong
    FROM (
        SELECT c.relowner AS owner, format('%s.%s', c.relnamespace::regnamespace, c.relname) AS thing
        FROM pg_catalog.pg_class AS c WHERE c.relpersistence <> 't'
        UNION ALL
        SELECT p.proowner, p.oid::regprocedure::text FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace::regnamespace::text !~ '^pg_temp'
        UNION ALL
        SELECT n.nspowner, 'schema ' || n.nspname FROM pg_catalog.pg_namespace AS n
        UNION ALL
        SELECT d.datdba, 'database ' || d.datname FROM pg_catalog.pg_database AS d
    ) AS owned
    INNER JOIN pg_catalog.pg_roles AS r ON r.oid = owned.owner
    WHERE r.rolname IN ('cron_runner', 'reminder_scheduler', 'contact_admin_api')
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the role % owns %, so it could do more than it is granted', wrong.owner, wrong.thing
            USING HINT = format('REASSIGN OWNED BY %s TO postgres;', wrong.owner);
    END IF;
END
$$;

-- migrate:down
