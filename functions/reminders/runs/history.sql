-- fragment: runs
SELECT
    id,
    trigger_source,
    scheduled_for,
    started_at,
    completed_at,
    duration_ms,
    assignments_evaluated,
    reminders_dispatched,
    assignments_failed,
    assignments_without_recipient,
    status,
    http_status,
    error_message,
    note,
    consecutive_failure_count
FROM public.cron_execution_logs

-- name: page
-- Newest first by keyset, so that each page costs the same. The row comparison can use the index
-- on started_at by its first column; the id parts runs that began in the same microsecond. A `before` that was
-- pruned meanwhile gives an empty page: everything older is gone with it.
-- include: runs
WHERE
    (
        %(before)s::uuid IS NULL
        OR (started_at, id) < (SELECT b.started_at, b.id FROM public.cron_execution_logs AS b WHERE b.id = %(before)s::uuid)
    )
    AND (%(status)s::text IS NULL OR status = %(status)s::text)
ORDER BY started_at DESC, id DESC
LIMIT %(limit)s

-- name: run
-- One run by its id.
-- include: runs
WHERE id = %(run_id)s
