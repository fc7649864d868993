-- name: run_lock_holder
-- Read only: if the watchdog took the lock, even for a moment, the day's run could be skipped.
SELECT
    pid,
    role,
    application_name,
    since
FROM public.run_lock_holder()

-- name: tick_rows
-- The runs that EventBridge started for a scheduled time: how many rows, and how many of them skipped. A success is not
-- counted: this query is for times without a success that belongs to them.
SELECT
    count(*) AS rows,
    count(*) FILTER (WHERE status = 'skipped') AS skipped
FROM public.cron_execution_logs
WHERE
    scheduled_for >= %(tick)s
    AND scheduled_for < %(tick)s + interval '1 minute'
    AND job_name = %(job_name)s
    AND trigger_source = 'schedule'
    AND status <> 'success'

-- name: failure_is_reported
-- Whether an alert about failing runs was written after `since`.
SELECT EXISTS (
    SELECT FROM public.cron_alerts
    WHERE kind IN ('failure', 'repeat') AND created_at > coalesce(%(since)s::timestamptz, '-infinity')
)

-- name: last_runs
-- The data to decide whether a tick was missed, and to report it. started_at is the database's, so a success cannot
-- have a wrong one. Rows with a time in the future are ignored.
SELECT
    clock_timestamp() AS now,
    (
        SELECT scheduled_for FROM public.cron_execution_logs
        WHERE trigger_source = 'schedule' AND job_name = %(job_name)s AND scheduled_for <= clock_timestamp()
        ORDER BY scheduled_for DESC
        LIMIT 1
    ) AS last_tick,
    (
        SELECT scheduled_for FROM public.cron_execution_logs
        WHERE
            status = 'success'
            AND job_name = %(job_name)s
            AND trigger_source = 'schedule'
            AND scheduled_for <= clock_timestamp()
        ORDER BY started_at DESC
        LIMIT 1
    ) AS last_success_tick,
    success.started_at AS last_success_started_at,
    success.completed_at AS last_success_at,
    success.scheduled_for AS last_success_scheduled_for
FROM (VALUES (1)) AS always (here)
LEFT JOIN LATERAL (
    SELECT
        log.started_at,
        log.completed_at,
        log.scheduled_for
    FROM public.cron_execution_logs AS log
    WHERE log.status = 'success' AND log.job_name = %(job_name)s AND log.started_at <= clock_timestamp()
    ORDER BY log.started_at DESC
    LIMIT 1
) AS success ON true

-- name: prune_runs
-- The function alone may delete; it spares running rows and the newest success.
SELECT public.prune_runs(%(days)s, %(at_most)s)
