-- name: write_alert
-- The function computes the key from the run or the scheduled time, so that two processes that notice the
-- same problem write it once, and no caller can use the key of a later alert.
SELECT public.write_alert(%(kind)s, %(run_id)s::uuid, %(tick)s::timestamptz, %(payload)s, %(channels)s::text []) AS is_new

-- fragment: first_waiting
-- The channel's oldest alert that is not delivered. It has to go first, so its pause is the channel's: a recovery
-- must not arrive before the failure. One that was not accepted for a day does not block newer ones during its pause,
-- because it may be the alert itself that the channel refuses.
SELECT
    first_d.alert_id,
    first_d.next_attempt_at
FROM public.cron_alert_deliveries AS first_d
INNER JOIN public.cron_alerts AS first_a ON first_a.id = first_d.alert_id
WHERE
    first_d.channel = c.channel
    AND first_d.delivered_at IS NULL
    AND (first_d.next_attempt_at <= now() OR first_a.created_at > now() - interval '1 day')
ORDER BY first_a.created_at
LIMIT 1

-- name: waiting_channels
-- Used after every run; the partial index is usually empty.
SELECT c.channel
FROM (
    SELECT DISTINCT w.channel FROM public.cron_alert_deliveries AS w
    WHERE w.delivered_at IS NULL AND w.channel = ANY(%(channels)s)
) AS c
CROSS JOIN LATERAL (
-- include: first_waiting
) AS first_waiting
WHERE first_waiting.next_attempt_at <= now()

-- name: claim_delivery
-- The claim is the row lock on the channel's first alert, held while the channel is called: a process that
-- ends releases it, and because of SKIP LOCKED no second process sends to this channel at the same time.
-- That alert is sent, unless it is a failure whose recovery is waiting already: then the next one is sent, and the
-- recovery reports both.
SELECT
    d.alert_id AS claimed_id,
    d.attempts,
    sent.id AS alert_id,
    sent.kind,
    sent.run_id,
    sent.payload
FROM (VALUES (%(channel)s::text)) AS c (channel)
CROSS JOIN LATERAL (
-- include: first_waiting
) AS first_waiting
INNER JOIN public.cron_alert_deliveries AS d ON d.alert_id = first_waiting.alert_id AND d.channel = c.channel
CROSS JOIN LATERAL (
    SELECT a.*
    FROM public.cron_alerts AS a
    INNER JOIN public.cron_alert_deliveries AS own ON own.alert_id = a.id
    WHERE
        own.channel = c.channel
        AND own.delivered_at IS NULL
        AND (own.next_attempt_at <= now() OR a.created_at > now() - interval '1 day')
        AND NOT (
            a.kind IN ('failure', 'repeat')
            AND EXISTS (
                SELECT FROM public.cron_alerts AS recovery
                INNER JOIN public.cron_alert_deliveries AS later ON later.alert_id = recovery.id
                WHERE
                    recovery.kind = 'recovery'
                    AND recovery.created_at > a.created_at
                    AND later.channel = c.channel
                    AND later.delivered_at IS NULL
            )
        )
    ORDER BY a.created_at
    LIMIT 1
) AS sent
WHERE d.delivered_at IS NULL AND d.next_attempt_at <= now()
FOR UPDATE OF d SKIP LOCKED

-- name: mark_delivered
-- With a recovery, also the earlier failures that it reported.
UPDATE public.cron_alert_deliveries AS d
SET delivered_at = clock_timestamp(), attempts = d.attempts + 1, last_error = NULL
FROM public.cron_alerts AS a, public.cron_alerts AS sent
WHERE
    d.alert_id = a.id
    AND sent.id = %(alert_id)s
    AND d.channel = %(channel)s
    AND d.delivered_at IS NULL
    AND (
        a.id = sent.id
        OR (sent.kind = 'recovery' AND a.kind IN ('failure', 'repeat') AND a.created_at < sent.created_at)
    )

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
