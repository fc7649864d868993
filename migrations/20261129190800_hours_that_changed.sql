-- migrate:up
-- Why: when a person moved to another time zone, or an organisation changed its hours, a message that was already planned
-- waited for the new hours, and the watchdog reported it as not sent in time.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- As in message_alerts, but a message that no courier has tried yet and that waits for its hours is not late.
CREATE OR REPLACE FUNCTION reminder_private.message_backlog()
RETURNS TABLE (waiting bigint, since timestamptz, reported uuid)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT
        late.waiting,
        late.since,
        (
            SELECT CASE newest.kind WHEN 'message_backlog' THEN newest.id END
            FROM public.cron_alerts AS newest
            WHERE newest.kind IN ('message_backlog', 'message_recovery')
            ORDER BY newest.created_at DESC
            LIMIT 1
        )
    FROM (
        SELECT count(*) AS waiting, min(m.send_after) AS since
        FROM public.messages AS m
        WHERE
            m.status IN ('pending', 'sending')
            AND m.send_after < now() - interval '1 hour'
            AND (m.attempts > 0 OR m.next_attempt_at <= now())
    ) AS late
$$;

-- migrate:down
