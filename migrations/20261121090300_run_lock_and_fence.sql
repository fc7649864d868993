-- migrate:up
-- Three functions for operations that GRANT cannot express.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';
-- existing_projects creates hold_assignments again, for other types of ids and other statuses.
SET LOCAL check_function_bodies = off;

-- The run lock. It ends with its transaction, because a session lock would stay on the connection of a transaction
-- pooler, which the next client uses. Supabase publishes the functions of this schema over its REST API, so EXECUTE is
-- revoked. Otherwise any visitor could hold the lock and stop the reminders.
CREATE FUNCTION public.try_run_lock(key bigint) RETURNS boolean
LANGUAGE sql VOLATILE
SET search_path = ''
AS $$ SELECT pg_catalog.pg_try_advisory_xact_lock(key) $$;

REVOKE ALL ON FUNCTION public.try_run_lock(bigint) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.try_run_lock(bigint) TO cron_runner;

-- The fence. A batch may dispatch only while the row of its run is 'running'. A session that marks the run as abandoned
-- waits until the current batch has ended. SECURITY DEFINER, because FOR SHARE needs UPDATE rights
-- on the ledger, which the scheduler must not have.
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

-- A contact may be logged in the moment in which a batch decides that a reminder is due. So the batch locks the
-- assignments that it reminds until it commits. It sees a contact that was logged before. A contact that is logged
-- later waits a moment and then resolves the new notification.
-- The rows are locked by row version (ctid), not by id: a version that was replaced since the evaluation is not found, and
-- no index is read a second time. PostgreSQL before 15.15 and 17.7 may still follow a version that is replaced in this
-- very moment, because it does not check the ctid again ("missing EPQ recheck for TID Scan").
-- So the function also returns the anchor of the locked row, and the batch compares it.
-- SKIP LOCKED: a batch never waits for another session's open transaction, so the two cannot deadlock. The skipped
-- rows are tried again. SECURITY DEFINER for the same reason as above.
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
