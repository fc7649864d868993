-- name: run_lock_is_held
-- Looked up, not tried: a watchdog that took the lock, for an instant only, could make the day's run skip.
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE
        locktype = 'advisory'
        AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND objsubid = 1
        AND (classid::bigint << 32 | objid::bigint) = %(key)s
)

-- name: tick_has_a_row
-- Whatever became of the run: a row says that EventBridge and Lambda did their part.
SELECT EXISTS (
    SELECT FROM public.cron_execution_logs
    WHERE
        scheduled_for >= %(tick)s
        AND scheduled_for < %(tick)s + interval '1 minute'
        AND job_name = %(job_name)s
        AND trigger_source = 'schedule'
)

-- name: last_runs
-- What a missed tick is judged by, and told with. The tick index gives the newest scheduled run.
SELECT
    clock_timestamp() AS now,
    (
        SELECT scheduled_for FROM public.cron_execution_logs
        WHERE trigger_source = 'schedule' AND job_name = %(job_name)s
        ORDER BY scheduled_for DESC
        LIMIT 1
    ) AS last_tick,
    (
        SELECT completed_at FROM public.cron_execution_logs
        WHERE status = 'success' AND job_name = %(job_name)s
        ORDER BY started_at DESC
        LIMIT 1
    ) AS last_success_at

-- name: prune_runs
-- The function alone may delete; it spares running rows and the newest success.
SELECT public.prune_runs(%(days)s, %(at_most)s)
