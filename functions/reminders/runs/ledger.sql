-- name: clock
-- Today is by the database's clock: the clock of a Lambda may be wrong, and two of them may differ.
SELECT clock_timestamp() AS now

-- name: skip_run
-- Inserted in its final state. now() is also the default of started_at, so the duration is zero.
INSERT INTO public.cron_execution_logs
(job_name, trigger_source, event_id, scheduled_for, status, note, completed_at)
VALUES (%(job_name)s, %(trigger_source)s, %(event_id)s, %(scheduled_for)s, 'skipped', %(note)s, now())
RETURNING id, started_at

-- name: open_run
-- Committed before the work begins, so that there is a row even if the process ends.
-- EventBridge delivers at least once: a scheduled time (a tick) whose run succeeded is done, and gets no further row.
-- This is checked in the same statement, so that a run that is delayed before it cannot repeat the tick. A success that
-- was opened before its scheduled time does not count: it cannot have been the run of this tick.
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
-- One UPDATE by primary key; because of `status = 'running'` only the first process settles the row.
-- A failure counts one more than the last settled run, unless it is a retry of a scheduled tick that has
-- failed already in this series of failures: one tick counts once (docs/architecture.md#one-tick).
-- An abandoned run has no duration, because the time at which it ended is unknown.
WITH before AS (
    SELECT
        -- One below the largest integer: a row with more must not prevent later ones from being settled.
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
-- For a settling UPDATE that found no running row: either this process settled it and lost the response, or another
-- process settled it.
SELECT
    id AS run_id,
    status,
    scheduled_for,
    started_at,
    completed_at,
    consecutive_failure_count
FROM public.cron_execution_logs
WHERE id = %(run_id)s
