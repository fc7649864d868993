-- name: clock
-- The database's clock decides what today is: a Lambda's may be off, and two of them may differ.
SELECT clock_timestamp() AS now

-- name: skip_run
-- Born settled. now() on both sides: begun and complete in the same moment.
INSERT INTO cron_execution_logs
(job_name, trigger_source, event_id, scheduled_for, status, note, completed_at)
VALUES (%(job_name)s, %(trigger_source)s, %(event_id)s, %(scheduled_for)s, 'skipped', %(note)s, now())
RETURNING id, started_at

-- name: open_run
-- Committed before the work begins, so that a run that dies leaves its row behind.
INSERT INTO cron_execution_logs (job_name, trigger_source, event_id, scheduled_for, status)
VALUES (%(job_name)s, %(trigger_source)s, %(event_id)s, %(scheduled_for)s, 'running')
RETURNING id, started_at

-- name: abandoned_runs
-- Asked by the holder of the lock, who knows that none of these is alive. Oldest first: they are counted in order.
SELECT id, started_at, scheduled_for FROM cron_execution_logs
WHERE status = 'running' AND job_name = %(job_name)s
ORDER BY started_at

-- name: tick_succeeded
-- EventBridge delivers at least once; a tick that succeeded is done.
SELECT EXISTS (
    SELECT FROM cron_execution_logs
    WHERE
        scheduled_for = %(scheduled_for)s
        AND job_name = %(job_name)s
        AND trigger_source = 'schedule'
        AND status = 'success'
)

-- name: settle_run
-- One UPDATE by primary key; `status = 'running'` makes it happen once, whoever comes second.
-- A failure counts one more than the last settled run, unless it is a retry of a scheduled tick that has
-- failed already in this row of failures: one tick is not many failures (design, rules 6 and 7).
-- An abandoned run has no duration: nobody knows when it ended.
UPDATE cron_execution_logs AS run
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
    http_status = %(http_status)s,
    error_message = %(error_message)s,
    consecutive_failure_count = CASE
        WHEN %(status)s = 'success' THEN 0
        ELSE coalesce((
            SELECT last.consecutive_failure_count
            FROM cron_execution_logs AS last
            WHERE last.job_name = run.job_name AND last.status IN ('success', 'failed')
            ORDER BY last.started_at DESC
            LIMIT 1
        ), 0)
        + CASE
            WHEN run.trigger_source = 'schedule' AND EXISTS (
                SELECT FROM cron_execution_logs AS earlier
                WHERE
                    earlier.scheduled_for = run.scheduled_for
                    AND earlier.job_name = run.job_name
                    AND earlier.trigger_source = 'schedule'
                    AND earlier.status = 'failed'
                    AND earlier.started_at > coalesce((
                        SELECT success.started_at
                        FROM cron_execution_logs AS success
                        WHERE success.job_name = run.job_name AND success.status = 'success'
                        ORDER BY success.started_at DESC
                        LIMIT 1
                    ), '-infinity')
            ) THEN 0
            ELSE 1
        END
    END
WHERE run.id = %(run_id)s AND run.status = 'running'
RETURNING
    run.id AS run_id,
    run.status,
    run.consecutive_failure_count,
    run.started_at,
    run.completed_at

-- name: run_status
-- After a settling UPDATE that found no running row: was it ours, its answer lost, or somebody else's?
SELECT
    id AS run_id,
    status,
    consecutive_failure_count,
    started_at,
    completed_at
FROM cron_execution_logs
WHERE id = %(run_id)s
