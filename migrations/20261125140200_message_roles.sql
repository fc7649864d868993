-- migrate:up
-- The two roles of the messages have the same limits as the other three: see role_defaults for the reasons. A role of
-- these names that existed before is refused if it can do more than it is granted: see roles_are_checked.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

DO $$
DECLARE
    wrong record;
BEGIN
    SELECT found.message, found.repair INTO wrong
    FROM (
        SELECT
            format('the role %s is %s, so it could do more than it is granted', r.rolname, a.attribute) AS message,
            format('ALTER ROLE %I NO%s;', r.rolname, a.attribute) AS repair
        FROM pg_catalog.pg_roles AS r
        CROSS JOIN LATERAL (
            VALUES
            ('SUPERUSER', r.rolsuper), ('BYPASSRLS', r.rolbypassrls), ('CREATEROLE', r.rolcreaterole),
            ('CREATEDB', r.rolcreatedb), ('REPLICATION', r.rolreplication)
        ) AS a (attribute, is_set)
        WHERE r.rolname IN ('reminder_courier', 'message_feedback') AND a.is_set
        UNION ALL
        SELECT
            format(
                'the role %s is a member of %s, so it could do more than it is granted',
                m.member::regrole, m.roleid::regrole
            ),
            format('REVOKE %s FROM %s;', m.roleid::regrole, m.member::regrole)
        FROM pg_catalog.pg_auth_members AS m
        WHERE m.member::regrole::text IN ('reminder_courier', 'message_feedback')
        UNION ALL
        SELECT
            format('the role %s owns %s, so it could do more than it is granted', owned.owner::regrole, owned.thing),
            format('REASSIGN OWNED BY %s TO postgres;', owned.owner::regrole)
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
        WHERE owned.owner::regrole::text IN ('reminder_courier', 'message_feedback')
    ) AS found
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '%', wrong.message USING HINT = wrong.repair;
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION pg_temp.set_up_role(role_name text, connections integer, statement_timeout text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    ours constant regrole := role_name;
    wanted record;
BEGIN
    IF (SELECT r.rolconnlimit FROM pg_catalog.pg_roles AS r WHERE r.oid = ours) = -1 THEN
        EXECUTE format('ALTER ROLE %s CONNECTION LIMIT %s', ours, connections);
    END IF;
    FOR wanted IN
        SELECT v.name, v.value
        FROM (
            VALUES
            ('search_path', 'public, extensions, pg_temp'),
            ('DateStyle', 'ISO, MDY'),
            ('IntervalStyle', 'postgres'),
            ('TimeZone', 'UTC'),
            ('client_encoding', 'UTF8'),
            ('standard_conforming_strings', 'on'),
            ('row_security', 'on'),
            ('exit_on_error', 'off'),
            ('default_transaction_isolation', 'read committed'),
            ('default_transaction_deferrable', 'off'),
            ('statement_timeout', statement_timeout),
            ('idle_in_transaction_session_timeout', '1min'),
            ('lock_timeout', '1min'),
            ('idle_session_timeout', '0'),
            ('transaction_timeout', '0')
        ) AS v (name, value)
        WHERE
            -- transaction_timeout is there since PostgreSQL 17.
            EXISTS (SELECT FROM pg_catalog.pg_settings AS s WHERE s.name = v.name)
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_db_role_setting AS s
                WHERE s.setrole = ours AND s.setdatabase = 0 AND format('%s=%s', v.name, v.value) = ANY (s.setconfig)
            )
    LOOP
        -- search_path is a list, so its value is not quoted as a whole.
        EXECUTE format(
            CASE wanted.name WHEN 'search_path' THEN 'ALTER ROLE %s SET %I = %s' ELSE 'ALTER ROLE %s SET %I = %L' END,
            ours, wanted.name, wanted.value
        );
    END LOOP;
END
$$;

-- Roles belong to the whole server: see role_defaults. A courier has three connections, and fifty of them are tested;
-- composing a large backlog may take minutes, recording a bounce may not.
DO $$
BEGIN
    FOR attempt IN 1 .. 5 LOOP
        BEGIN
            PERFORM pg_temp.set_up_role('reminder_courier', 64, '15min');
            PERFORM pg_temp.set_up_role('message_feedback', 20, '1min');
            EXIT;
        EXCEPTION WHEN internal_error THEN
            IF attempt = 5 THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END
$$;

-- migrate:down
