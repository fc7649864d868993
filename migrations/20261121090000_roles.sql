-- migrate:up
-- Three roles, one for each kind of function, because a leaked password should open one door only.
-- They are born without LOGIN and without a password: a migration lies in version control, a password must not.
-- The operator gives them both afterwards.
--
--   cron_runner         takes the run lock, keeps the ledger and the outbox; sees no assignment
--   reminder_scheduler  reads assignments, writes notifications; cannot touch the ledger
--   contact_admin_api   has no right of its own; it becomes `authenticated`, with the caller's claims

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- Roles belong to the whole server, so another database of it may have made them already.
DO $$
DECLARE
    missing text;
BEGIN
    FOR missing IN
        SELECT wanted FROM unnest(ARRAY['cron_runner', 'reminder_scheduler', 'contact_admin_api']) AS wanted
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted)
    LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', missing);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- a migration of another database was a moment faster
        END;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO cron_runner, reminder_scheduler;

-- NOINHERIT: it can do nothing until it says SET ROLE.
GRANT authenticated TO contact_admin_api;

-- migrate:down
