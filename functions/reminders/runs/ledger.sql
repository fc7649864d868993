-- name: clock
-- The database's clock decides what today is: a Lambda's may be off, and two of them may differ.
SELECT clock_timestamp() AS now

-- name: skip_run
-- Born settled. now() on both sides: begun and complete in the same moment.
INSERT INTO public.cron_execution_logs
(job_name, trigger_source, event_id, scheduled_for, status, note, completed_at)
VALUES (%(job_name)s, %(trigger_source)s, %(event_id)s, %(scheduled_for)s, 'skipped', %(note)s, now())
RETURNING id, started_at

-- name: open_run
-- Committed before the work begins, so that a run that dies leaves its row behind.
-- EventBridge delivers at least once: a scheduled tick that succeeded is done, and gives no row. Asked in the
-- same statement, so that no run that was held up in between can begin it anew. A success that was opened before
-- its scheduled time is not believed: it was not this tick's run, whatever it says.
INSERT INTO public.cron_execution_logs (job_name, trigger_source, event_id, scheduled_for, status)
SELECT %(job_name)s, %(trigger_source)s, %(event_id)s, %(scheduled_for)s, 'running'
WHERE
    %(trigger_source)s = 'manual'
    OR NOT EXISTS (
        SELECT FROM public.cron_execution_logs
        WHERE
            scheduled_for = %(scheduled_for)s
            AND job_name = %(job_name)s
            AND trigger_source = 'schedule'
            AND status = 'success'
            AND started_at >= %(scheduled_for)s::timestamptz - interval '5 minutes'
    )
RETURNING id, started_at

-- name: running_runs
-- Oldest first: abandoned ones are counted in order. At most a few rows, by a partial index.
SELECT
    id,
    started_at,
    scheduled_for,
    clock_timestamp() - started_at AS age
FROM public.cron_execution_logs
WHERE status = 'running' AND job_name = %(job_name)s
ORDER BY started_at

-- name: settle_run
-- One UPDATE by primary key; `status = 'running'` makes it happen once, whoever comes second.
-- A failure counts one more than the last settled run, unless it is a retry of a scheduled tick that has
-- failed already in this row of failures: one tick is not many failures (docs/architecture.md#one-tick).
-- An abandoned run has no duration: nobody knows when it ended.
WITH before AS (
    SELECT
        -- One below the largest integer: a row that says more must not keep later ones from being settled.
        least(coalesce(last.consecutive_failure_count, 0), 2147483646) AS failures,
        success.started_at AS success_started_at,
        success.completed_at AS success_at
    FROM (VALUES (1)) AS always (here)
    LEFT JOIN LATERAL (
        SELECT log.consecutive_failure_count
        FROM public.cron_execution_logs AS log
        WHERE log.job_name = %(job_name)s AND log.status IN ('success', 'failed')
        ORDER BY log.started_at DESC
        LIMIT 1
    ) AS last ON true
    LEFT JOIN LATERAL (
        SELECT
            log.started_at,
            log.completed_at
        FROM public.cron_execution_logs AS log
        WHERE log.job_name = %(job_name)s AND log.status = 'success'
        ORDER BY log.started_at DESC
        LIMIT 1
    ) AS success ON true
)

UPDATE public.cron_execution_logs AS run
SET
    status = %(status)s,
    completed_at = clock_timestamp(),
    duration_ms = CASE
        WHEN NOT %(abandoned)s
            THEN least(greatest(extract(EPOCH FROM clock_timestamp() - run.started_at) * 1000, 0), 2147483647)::integer
    END,
    assignments_evaluated = %(assignments_evaluated)s,
    reminders_dispatched = %(reminders_dispatched)s,
    assignments_failed = %(assignments_failed)s,
    assignments_without_recipient = %(assignments_without_recipient)s,
    http_status = %(http_status)s,
    error_message = %(error_message)s,
    note = %(note)s,
    consecutive_failure_count = CASE
        WHEN %(status)s = 'success' THEN 0
        WHEN run.trigger_source = 'schedule' AND EXISTS (
            SELECT FROM public.cron_execution_logs AS earlier
            WHERE
                earlier.scheduled_for = run.scheduled_for
                AND earlier.job_name = run.job_name
                AND earlier.trigger_source = 'schedule'
                AND earlier.status = 'failed'
                AND earlier.started_at > coalesce(before.success_started_at, '-infinity')
        ) THEN before.failures
        ELSE before.failures + 1
    END
FROM before
WHERE run.id = %(run_id)s AND run.status = 'running'
RETURNING
    run.id AS run_id,
    run.status,
    run.scheduled_for,
    run.started_at,
    run.completed_at,
    run.consecutive_failure_count,
    before.failures AS failures_before,
    before.success_started_at AS last_success_started_at,
    before.success_at AS last_success_at

-- name: run_status
-- After a settling UPDATE that found no running row: was it ours, its answer lost, or somebody else's?
SELECT
    id AS run_id,
    status,
    scheduled_for,
    started_at,
    completed_at,
    consecutive_failure_count
FROM public.cron_execution_logs
WHERE id = %(run_id)s
