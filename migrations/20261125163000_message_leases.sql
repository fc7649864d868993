-- migrate:up
-- A lease is also a fence. A courier that was paused for longer than its lease could give back, or settle, a message that
-- another courier was sending by then, and the message was sent once more. Now the end of the lease, which no two claims
-- share, names the claim: only who holds that lease can load, settle or give back its messages.
--
-- And claiming reads as many rows as it takes: with a million messages due, the old statement read all of them each time.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- Many messages are due at the same moment, so their ids are part of the order.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX messages_pending_idx ON public.messages (channel, next_attempt_at, id) WHERE status = 'pending';
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX public.messages_due_idx;
-- Retention reads by age, and rows arrive in this order: a small index that sending pays nothing for.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX public.messages_created_idx;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX messages_created_idx ON public.messages USING brin (created_at) WITH (autosummarize = on);

-- squawk-ignore ban-drop-function
DROP FUNCTION reminder_private.claim_messages(text, integer, double precision, double precision);
-- squawk-ignore ban-drop-function
DROP FUNCTION reminder_private.load_messages(bigint []);

-- As before. What was in flight when a courier died comes first: it has waited longest. Answers the lease as well.
CREATE FUNCTION reminder_private.claim_messages(
    wanted_channel text, at_most integer, per_second double precision, lease_seconds double precision
)
RETURNS TABLE (message_id bigint, wait_seconds double precision, lease_until timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    at constant timestamptz := clock_timestamp();
    ids bigint [];
    begin_at timestamptz;
    lease timestamptz;
BEGIN
    ids := ARRAY(
        SELECT m.id FROM public.messages AS m
        WHERE m.channel = wanted_channel AND m.status = 'sending' AND m.lease_until < at
        ORDER BY m.lease_until, m.id
        LIMIT at_most
        FOR UPDATE SKIP LOCKED
    );
    ids := ids || ARRAY(
        SELECT m.id FROM public.messages AS m
        WHERE m.channel = wanted_channel AND m.status = 'pending' AND m.next_attempt_at <= at
        ORDER BY m.channel, m.next_attempt_at, m.id
        LIMIT at_most - cardinality(ids)
        FOR UPDATE SKIP LOCKED
    );
    IF cardinality(ids) = 0 THEN
        RETURN;
    END IF;

    -- What is read or resolved is cancelled when it is loaded; here only, so that it does not count as expired.
    PERFORM reminder_private.drop_closed_items(ARRAY(
        SELECT m.id FROM public.messages AS m WHERE m.id = ANY (ids) AND m.expires_at <= at
    ));
    UPDATE public.messages AS m
    SET
        status = 'expired',
        lease_until = NULL,
        last_error = coalesce(m.last_error, 'it could not be sent in time')
    WHERE m.id = ANY (ids) AND m.status IN ('pending', 'sending') AND m.expires_at <= at;

    -- Hours are computed once for all who share them.
    WITH due AS MATERIALIZED (
        SELECT c.id, r.time_zone AS own_zone, s.time_zone, s.send_from, s.send_until
        FROM public.messages AS c
        LEFT JOIN reminder_private.recipients AS r ON r.person_id = c.recipient_id
        LEFT JOIN public.org_settings AS s ON s.org_id = c.org_id
        WHERE c.id = ANY (ids) AND c.status IN ('pending', 'sending')
    ),

    later AS MATERIALIZED (
        SELECT hours.*
        FROM (
            SELECT
                d.own_zone,
                d.time_zone,
                d.send_from,
                d.send_until,
                reminder_private.next_send_time(
                    reminder_private.usable_zone(d.own_zone, d.time_zone),
                    coalesce(d.send_from, '08:00'),
                    coalesce(d.send_until, '20:00'),
                    at
                ) AS next_time
            FROM (SELECT DISTINCT due.own_zone, due.time_zone, due.send_from, due.send_until FROM due) AS d
            -- OFFSET 0: or PostgreSQL would compute them for each message first.
            OFFSET 0
        ) AS hours
        WHERE hours.next_time > at
    )

    UPDATE public.messages AS m
    SET status = 'pending', lease_until = NULL, next_attempt_at = later.next_time
    FROM due
    INNER JOIN later
        ON later.own_zone IS NOT DISTINCT FROM due.own_zone
        AND later.time_zone IS NOT DISTINCT FROM due.time_zone
        AND later.send_from IS NOT DISTINCT FROM due.send_from
        AND later.send_until IS NOT DISTINCT FROM due.send_until
    WHERE m.id = due.id;

    SELECT array_agg(m.id ORDER BY m.next_attempt_at, m.id) INTO ids
    FROM public.messages AS m
    WHERE
        m.id = ANY (ids)
        AND (m.status = 'sending' OR (m.status = 'pending' AND m.next_attempt_at <= at));
    IF ids IS NULL THEN
        RETURN;
    END IF;

    UPDATE public.message_rates AS rate
    SET next_slot = greatest(rate.next_slot, at) + cardinality(ids) / per_second * interval '1 second'
    WHERE rate.channel = wanted_channel
    RETURNING rate.next_slot - cardinality(ids) / per_second * interval '1 second' INTO begin_at;

    -- Turns do not overlap, so no two claims of a channel have the same lease.
    lease := begin_at + (cardinality(ids) / per_second + lease_seconds) * interval '1 second';
    UPDATE public.messages AS m
    SET status = 'sending', attempts = m.attempts + 1, lease_until = lease
    WHERE m.id = ANY (ids);

    RETURN QUERY
    SELECT
        claimed.id,
        (extract(EPOCH FROM begin_at - clock_timestamp()) + (claimed.position - 1) / per_second)::double precision,
        lease
    FROM unnest(ids) WITH ORDINALITY AS claimed (id, position)
    ORDER BY claimed.position;
END
$$;

-- As before, of the messages that are held by this lease, while at least `seconds` of it are left: time enough to send
-- them before another courier may.
CREATE FUNCTION reminder_private.load_messages(claimed bigint [], lease timestamptz, seconds double precision)
RETURNS TABLE (
    message_id bigint,
    org_id uuid,
    recipient_id uuid,
    local_date date,
    attempts integer,
    organisation text,
    locale text,
    email text,
    devices jsonb,
    reminders bigint,
    escalations bigint,
    reminder_gap integer,
    escalation_gap integer
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    ids constant bigint [] := ARRAY(
        SELECT m.id FROM public.messages AS m
        WHERE
            m.id = ANY (claimed)
            -- Only a message that is being sent has a lease. Said this way, PostgreSQL looks the ids up; by "=", or with the
            -- status, it would read the index of all that are being sent, each time.
            AND m.lease_until IS NOT DISTINCT FROM lease
            AND lease IS NOT NULL
            AND lease > clock_timestamp() + seconds * interval '1 second'
    );
BEGIN
    RETURN QUERY
    WITH items AS MATERIALIZED (
        SELECT i.notification_id, i.channel, i.message_id, o.id IS NOT NULL AS is_open, o.kind::text AS kind, o.gap_days
        FROM public.message_items AS i
        LEFT JOIN reminder_private.open_notifications AS o ON o.id = i.notification_id
        WHERE i.message_id = ANY (ids)
    ),

    counted AS MATERIALIZED (
        SELECT
            i.message_id,
            count(*) FILTER (WHERE i.kind = 'reminder') AS reminders,
            count(*) FILTER (WHERE i.kind = 'escalation') AS escalations,
            coalesce(max(i.gap_days) FILTER (WHERE i.kind = 'reminder'), 0) AS reminder_gap,
            coalesce(max(i.gap_days) FILTER (WHERE i.kind = 'escalation'), 0) AS escalation_gap
        FROM items AS i
        WHERE i.is_open
        GROUP BY i.message_id
    ),

    -- As drop_closed_items does it, but in one pass.
    dropped AS (
        DELETE FROM public.message_items AS i
        USING items AS closed
        WHERE
            NOT closed.is_open
            AND i.notification_id = closed.notification_id
            AND i.channel = closed.channel
    ),

    cancelled AS (
        UPDATE public.messages AS m
        SET status = 'cancelled', lease_until = NULL
        WHERE m.id = ANY (ids) AND NOT EXISTS (SELECT FROM counted AS c WHERE c.message_id = m.id)
    )

    SELECT
        m.id,
        m.org_id,
        m.recipient_id,
        m.local_date,
        m.attempts,
        s.display_name,
        coalesce(r.locale, s.locale, 'en'),
        CASE
            WHEN m.channel = 'email' AND EXISTS (
                SELECT FROM reminder_private.reachable AS way
                WHERE way.person_id = m.recipient_id AND way.channel = 'email'
            ) THEN r.email
        END,
        CASE WHEN m.channel = 'push' AND coalesce(own.push_enabled, true) THEN (
            SELECT jsonb_agg(jsonb_build_object(
                'id', d.id, 'platform', d.platform, 'token', d.token, 'endpoint_arn', d.endpoint_arn
            ) ORDER BY d.id)
            FROM public.devices AS d WHERE d.person_id = m.recipient_id AND d.disabled_at IS NULL
        ) END,
        counted.reminders,
        counted.escalations,
        counted.reminder_gap,
        counted.escalation_gap
    FROM counted
    INNER JOIN public.messages AS m ON m.id = counted.message_id
    LEFT JOIN reminder_private.recipients AS r ON r.person_id = m.recipient_id
    LEFT JOIN public.recipient_settings AS own ON own.person_id = m.recipient_id
    LEFT JOIN public.org_settings AS s ON s.org_id = m.org_id
    ORDER BY m.id;
END
$$;

-- As before, and an element of `results` has "lease" as well: a result that comes when another courier holds the message
-- changes nothing.
CREATE OR REPLACE FUNCTION reminder_private.settle_messages(results jsonb) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    settled integer;
BEGIN
    INSERT INTO public.email_suppressions (address_sha256, reason)
    SELECT DISTINCT reminder_private.address_hash(r.email), 'rejected'
    FROM jsonb_to_recordset(results) AS result (id bigint, lease timestamptz, suppress boolean)
    INNER JOIN public.messages AS m
        ON m.id = result.id AND m.lease_until IS NOT DISTINCT FROM result.lease AND m.channel = 'email'
    INNER JOIN reminder_private.recipients AS r ON r.person_id = m.recipient_id
    WHERE result.suppress AND result.lease IS NOT NULL AND r.email IS NOT NULL
    ON CONFLICT (address_sha256) DO NOTHING;

    UPDATE public.messages AS m
    SET
        status = CASE
            WHEN result.status IN ('sent', 'failed') THEN result.status
            WHEN result.status = 'retry' AND result.next_time >= m.expires_at THEN 'expired'
            ELSE 'pending'
        END,
        lease_until = NULL,
        attempts = m.attempts - CASE WHEN result.status = 'release' THEN 1 ELSE 0 END,
        next_attempt_at = CASE WHEN result.status = 'sent' THEN m.next_attempt_at ELSE result.next_time END,
        sent_at = CASE WHEN result.status = 'sent' THEN clock_timestamp() END,
        provider_message_id = CASE WHEN result.status = 'sent' THEN result.provider_message_id END,
        last_error = result.error
    FROM (
        SELECT
            r.*,
            clock_timestamp() + coalesce(r.pause_seconds, 0) * interval '1 second' AS next_time
        FROM jsonb_to_recordset(results) AS r (
            id bigint, lease timestamptz, status text, provider_message_id text, error text, pause_seconds numeric
        )
        WHERE r.status IN ('sent', 'failed', 'retry', 'release') AND r.lease IS NOT NULL
    ) AS result
    -- The ids are looked up: see load_messages.
    WHERE m.id = result.id AND m.lease_until IS NOT DISTINCT FROM result.lease;
    GET DIAGNOSTICS settled = ROW_COUNT;
    RETURN settled;
END
$$;

REVOKE ALL ON FUNCTION
reminder_private.claim_messages(text, integer, double precision, double precision),
reminder_private.load_messages(bigint [], timestamptz, double precision)
FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION
reminder_private.claim_messages(text, integer, double precision, double precision),
reminder_private.load_messages(bigint [], timestamptz, double precision)
TO reminder_courier;

-- migrate:down
