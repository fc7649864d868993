-- migrate:up
-- The only way to delete rows of the ledger. Runs are evidence, so no role has DELETE. The watchdog may
-- only delete settled rows older than a given age, at least 30 days, and a limited number at once.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

CREATE FUNCTION public.prune_runs(older_than_days integer, at_most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = ''
AS $$
DECLARE
    pruned integer;
BEGIN
    IF older_than_days IS NULL OR older_than_days < 30 THEN
        RAISE EXCEPTION 'the ledger is kept for 30 days at least, not %', older_than_days
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- The newest success stays whatever its age: "last successful run" is asked of it. SKIP LOCKED: two
    -- watchdogs at once take different rows.
    WITH old AS (
        SELECT log.id
        FROM public.cron_execution_logs AS log
        WHERE log.started_at < now() - make_interval(days => older_than_days)
          AND log.status <> 'running'
          AND log.id IS DISTINCT FROM (
              SELECT success.id FROM public.cron_execution_logs AS success
              WHERE success.status = 'success' ORDER BY success.started_at DESC LIMIT 1
          )
        ORDER BY log.started_at
        LIMIT at_most
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM public.cron_execution_logs AS log USING old WHERE log.id = old.id;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END
$$;

REVOKE ALL ON FUNCTION public.prune_runs(integer, integer) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.prune_runs(integer, integer) TO cron_runner;

-- migrate:down
