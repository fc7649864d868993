-- migrate:up
-- Three small doors for things that plain grants cannot say.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';
-- hold_assignments is made anew in existing_projects, for other types of ids and other statuses than here.
SET LOCAL check_function_bodies = off;

-- The run lock. Transaction-scoped: a session lock would leak through a transaction pooler into the next
-- client's session. Supabase publishes the functions of this schema over its REST API, hence the REVOKE:
-- without it any visitor could hold the lock and stop the reminders.
CREATE FUNCTION public.try_run_lock(key bigint) RETURNS boolean
LANGUAGE sql VOLATILE
SET search_path = ''
AS $$ SELECT pg_catalog.pg_try_advisory_xact_lock(key) $$;

REVOKE ALL ON FUNCTION public.try_run_lock(bigint) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.try_run_lock(bigint) TO cron_runner;

-- The fence. A batch may dispatch only while its run's row says 'running', and whoever wants to declare the
-- run abandoned waits until the batch in flight has ended. SECURITY DEFINER, because FOR SHARE asks for
-- UPDATE rights on the ledger, which the scheduler must not have.
CREATE FUNCTION public.hold_run(run uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = ''
AS $$
BEGIN
    PERFORM FROM public.cron_execution_logs AS log WHERE log.id = run AND log.status = 'running' FOR SHARE;
    RETURN FOUND;
END
$$;

REVOKE ALL ON FUNCTION public.hold_run(uuid) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.hold_run(uuid) TO reminder_scheduler;

-- Contact may be logged in the very moment a batch decides that a reminder is due. The batch therefore
-- holds the assignments it will remind until it commits: a contact logged before is seen here, one logged
-- after waits a moment and then resolves the new notification.
-- By row version (ctid), not by id: a version that was replaced since the batch looked is not there any more, and
-- no index is walked a second time. One that is replaced in this very moment may still be followed to its
-- successor: PostgreSQL before 15.15 and 17.7 does not check the ctid again ("missing EPQ recheck for TID Scan").
-- So the anchor of the row that is really held comes back as well, for the batch to compare.
-- SKIP LOCKED: a batch never waits for somebody's open transaction, so it cannot deadlock with it either; the
-- rows it left are looked at again. SECURITY DEFINER for the same reason as above.
CREATE FUNCTION public.hold_assignments(versions tid []) RETURNS TABLE (id uuid, anchor date)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = ''
AS $$
    SELECT a.id, coalesce(a.last_contact_date, (a.assigned_at AT TIME ZONE 'UTC')::date)
    FROM public.assignments AS a
    WHERE a.ctid = ANY (versions) AND a.status = 'open'
    FOR SHARE SKIP LOCKED
$$;

REVOKE ALL ON FUNCTION public.hold_assignments(tid []) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.hold_assignments(tid []) TO reminder_scheduler;

-- migrate:down
