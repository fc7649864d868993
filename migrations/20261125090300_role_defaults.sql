-- migrate:up
-- What a session of our roles starts with, whatever ALTER DATABASE says, and how many there may be.
-- A role's settings come with its login, so they pass a transaction pooler, which logs in as that role.
--
-- Connections: one login must not take all that the server has. 72 are 64 shards, the most that SCHEDULER_SHARDS allows,
-- and some calls that were repeated while the first was still working. A run takes 3, and a watchdog 2: 64 are
-- many runs at once. The admin function runs 10 at once. A limit that is there already is the operator's own.
--
-- Time: no function lives longer than 15 minutes, so no statement needs longer. cron_runner holds its lock in
-- an idle transaction, with a limit of its own. All of them set shorter limits in their transactions (SET LOCAL).
-- These are for whatever did not.
--
-- The rest is what the queries, or the library that reads their answers, depend on. docs/decisions.md lists every
-- setting that matters and says why the others do not. default_transaction_read_only is left alone: whoever sets it
-- means it.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

CREATE OR REPLACE FUNCTION pg_temp.set_up_role(
    role_name text, connections integer, statement_timeout text, idle_in_transaction_timeout text
) RETURNS void
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
            ('idle_in_transaction_session_timeout', idle_in_transaction_timeout),
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

-- Roles belong to the whole server. Where a migration of another database changes them in the same moment, PostgreSQL
-- raises "tuple concurrently updated". What is right already is not written, so the second attempt has nothing to do.
DO $$
BEGIN
    FOR attempt IN 1 .. 5 LOOP
        BEGIN
            PERFORM pg_temp.set_up_role('cron_runner', 64, '15min', '20min');
            PERFORM pg_temp.set_up_role('reminder_scheduler', 72, '15min', '1min');
            PERFORM pg_temp.set_up_role('contact_admin_api', 20, '1min', '1min');
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
