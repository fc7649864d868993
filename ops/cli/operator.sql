-- name: overview
-- The ledger and the outbox in one query, each part by its own small index.
SELECT
    clock_timestamp() AS now,
    success.started_at AS last_success_started_at,
    success.completed_at AS last_success_at,
    success.assignments_failed AS last_success_set_aside,
    success.note AS last_success_note,
    settled.status AS last_status,
    settled.started_at AS last_started_at,
    settled.error_message AS last_error,
    coalesce(settled.consecutive_failure_count, 0) AS consecutive_failures,
    (
        SELECT max(log.scheduled_for) FROM public.cron_execution_logs AS log
        WHERE log.job_name = %(job_name)s AND log.trigger_source = 'schedule'
    ) AS last_tick,
    (SELECT count(*) FROM public.cron_alert_deliveries WHERE delivered_at IS NULL) AS undelivered,
    (
        SELECT min(a.created_at)
        FROM public.cron_alert_deliveries AS d
        INNER JOIN public.cron_alerts AS a ON a.id = d.alert_id
        WHERE d.delivered_at IS NULL
    ) AS undelivered_since,
    (SELECT max(last_error) FROM public.cron_alert_deliveries WHERE delivered_at IS NULL) AS undelivered_error
FROM (VALUES (1)) AS always (here)
LEFT JOIN LATERAL (
    SELECT * FROM public.cron_execution_logs AS log
    WHERE log.job_name = %(job_name)s AND log.status = 'success'
    ORDER BY log.started_at DESC
    LIMIT 1
) AS success ON true
LEFT JOIN LATERAL (
    SELECT * FROM public.cron_execution_logs AS log
    WHERE log.job_name = %(job_name)s AND log.status IN ('success', 'failed')
    ORDER BY log.started_at DESC
    LIMIT 1
) AS settled ON true

-- name: running
SELECT id, started_at, scheduled_for FROM public.cron_execution_logs
WHERE status = 'running' AND job_name = %(job_name)s
ORDER BY started_at

-- name: failed_since
-- A failed invocation has such a row, unless it could not reach the ledger.
SELECT count(*) FROM public.cron_execution_logs
WHERE job_name = %(job_name)s AND status IN ('failed', 'running') AND started_at >= %(since)s

-- name: lock_holder
-- pg_locks shows the key in two halves; objsubid 1 means that it is one bigint.
-- Our runs hold the lock in a transaction; for a lock of a session, the connection's start is shown.
-- since and client are hidden from a role that may not see the holder's statistics.
SELECT
    l.pid,
    coalesce(a.xact_start, a.backend_start) AS since,
    a.client_addr::text AS client,
    a.application_name,
    a.usename::text AS role
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE
    l.locktype = 'advisory'
    AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.objsubid = 1
    AND (l.classid::bigint << 32 | l.objid::bigint) = %(key)s

-- name: days
-- A run counts on the day of its scheduled time (UTC).
SELECT
    (scheduled_for AT TIME ZONE 'UTC')::date AS day,
    count(*) FILTER (WHERE status = 'success') AS succeeded,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'skipped') AS skipped,
    count(*) FILTER (WHERE status = 'running') AS running,
    coalesce(sum(reminders_dispatched), 0) AS dispatched,
    coalesce(max(assignments_evaluated), 0) AS evaluated,
    max(duration_ms) AS duration_ms
FROM public.cron_execution_logs
WHERE job_name = %(job_name)s AND scheduled_for >= %(since)s
GROUP BY 1
ORDER BY 1

-- name: applied_migrations
SELECT array_agg(version::text) FROM supabase_migrations.schema_migrations

-- name: has_migrations_table
SELECT to_regclass('supabase_migrations.schema_migrations') IS NOT NULL

-- name: has_messages_table
SELECT to_regprocedure('reminder_private.unreached_notifications(uuid [])') IS NOT NULL

-- name: message_overview
-- Late: due for an hour, as the watchdog counts. Unreachable: people whom a reminder has not reached, as the console
-- counts them.
SELECT
    (SELECT EXISTS (SELECT FROM public.messages)) AS in_use,
    (SELECT count(*) FROM public.messages WHERE status IN ('pending', 'sending')) AS unsent,
    (SELECT waiting FROM reminder_private.message_backlog()) AS late,
    (
        SELECT count(DISTINCT u.recipient_id) FROM reminder_private.unreached_notifications(NULL) AS u
        WHERE EXISTS (SELECT FROM public.messages)
    ) AS unreachable

-- name: message_counts
SELECT channel, status, count(*) AS messages FROM public.messages
WHERE created_at > now() - make_interval(days => %(days)s)
GROUP BY channel, status
ORDER BY channel, status

-- name: message_failures
-- No address is kept, so none can be shown; the id finds the row.
SELECT id, channel, status, attempts, send_after, last_error FROM public.messages
WHERE last_error IS NOT NULL AND status <> 'sent' AND created_at > now() - make_interval(days => %(days)s)
ORDER BY id DESC
LIMIT %(limit)s

-- name: retry_messages
-- Another 24 hours for what failed or expired. The courier looks again at what is open before it sends.
WITH again AS (
    UPDATE public.messages
    SET status = 'pending', attempts = 0, next_attempt_at = now(), expires_at = now() + interval '24 hours'
    WHERE status IN ('failed', 'expired') AND created_at > now() - make_interval(days => %(days)s)
    RETURNING id
)

SELECT count(*) FROM again
