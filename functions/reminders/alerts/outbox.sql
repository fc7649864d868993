-- name: write_alert
-- The unique dedupe_key makes two that notice the same thing write it once; the loser plans no delivery.
WITH written AS (
    INSERT INTO public.cron_alerts (kind, dedupe_key, run_id, payload)
    VALUES (%(kind)s, %(dedupe_key)s, %(run_id)s, %(payload)s)
    ON CONFLICT (dedupe_key) DO NOTHING
    RETURNING id
),

planned AS (
    INSERT INTO public.cron_alert_deliveries (alert_id, channel)
    SELECT w.id, unnest(%(channels)s::text []) FROM written AS w
)

SELECT count(*) > 0 AS is_new FROM written

-- name: waiting_channels
-- Asked after every run; the partial index is empty on a good day.
SELECT DISTINCT channel FROM public.cron_alert_deliveries
WHERE delivered_at IS NULL AND next_attempt_at <= now() AND channel = ANY(%(channels)s)

-- name: claim_delivery
-- The claim is the row lock, held while the channel is called: a process that dies lets go of it, and
-- SKIP LOCKED keeps a second deliverer from sending the same.
SELECT
    d.alert_id,
    d.attempts,
    a.payload
FROM public.cron_alert_deliveries AS d
INNER JOIN public.cron_alerts AS a ON a.id = d.alert_id
WHERE d.channel = %(channel)s AND d.delivered_at IS NULL AND d.next_attempt_at <= now()
ORDER BY a.created_at
LIMIT 1
FOR UPDATE OF d SKIP LOCKED

-- name: mark_delivered
UPDATE public.cron_alert_deliveries
SET delivered_at = clock_timestamp(), attempts = attempts + 1, last_error = NULL
WHERE alert_id = %(alert_id)s AND channel = %(channel)s

-- name: mark_failed
UPDATE public.cron_alert_deliveries
SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + %(pause)s, last_error = %(error)s
WHERE alert_id = %(alert_id)s AND channel = %(channel)s

-- name: failing_since
-- The first failure after the last success: the beginning of the outage.
SELECT min(started_at) FROM public.cron_execution_logs
WHERE
    job_name = %(job_name)s
    AND status = 'failed'
    AND started_at > coalesce(%(after)s::timestamptz, '-infinity')
