-- migrate:up
-- The date that gaps are counted to is the run's own. Otherwise a caller with the token could send a date far ahead,
-- and all people would get a reminder today. The batch asks for the date in the statement that holds the run: the role still
-- reads nothing else of the ledger. NULL: the run is not running. hold_run stays for code that was deployed before.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

CREATE FUNCTION public.hold_run_date(run uuid) RETURNS date
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    held pg_catalog.date;
BEGIN
    SELECT (log.scheduled_for AT TIME ZONE 'UTC')::pg_catalog.date INTO held
    FROM public.cron_execution_logs AS log
    WHERE log.id = run AND log.status = 'running'
    FOR SHARE;
    RETURN held;
END
$$;

REVOKE ALL ON FUNCTION public.hold_run_date(uuid) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.hold_run_date(uuid) TO reminder_scheduler;

-- migrate:down
