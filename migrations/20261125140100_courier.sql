-- migrate:up
-- What the courier may do, as functions: compose, claim, load, settle. And what a provider's answer or an unsubscribe
-- may change. The functions stand in a schema that no API role can enter, so PostgREST does not publish them.
--
--   reminder_courier   composes, claims, loads and settles messages; reads addresses; writes no notification
--   message_feedback   records a bounce, a complaint, a delivery, an unsubscribe; reads nothing

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

DO $$
DECLARE
    missing text;
BEGIN
    FOR missing IN
        SELECT wanted FROM unnest(ARRAY['reminder_courier', 'message_feedback']) AS wanted
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted)
    LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', missing);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- a migration of another database of this server made it at the same time
        END;
    END LOOP;
END
$$;

CREATE SCHEMA IF NOT EXISTS reminder_private;
REVOKE ALL ON SCHEMA reminder_private FROM PUBLIC, anon, authenticated, service_role;
GRANT USAGE ON SCHEMA reminder_private TO reminder_courier, message_feedback, cron_runner;

-- Where addresses come from. A charity with its own table of people replaces this view; the columns stay.
CREATE VIEW reminder_private.recipients AS
SELECT
    u.id AS person_id,
    u.email::text AS email,
    s.locale,
    s.time_zone
FROM auth.users AS u
LEFT JOIN public.recipient_settings AS s ON s.person_id = u.id;

REVOKE ALL ON reminder_private.recipients FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON reminder_private.recipients TO reminder_courier;

-- An address as it is remembered in email_suppressions.
CREATE FUNCTION reminder_private.address_hash(address text) RETURNS bytea
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.lower(pg_catalog.btrim(address)), 'UTF8')) $$;

-- Who can be reached how: one row for each person and channel that works. DISTINCT: one row for a person with two devices.
CREATE VIEW reminder_private.reachable AS
SELECT
    r.person_id,
    'email'::text AS channel
FROM reminder_private.recipients AS r
LEFT JOIN public.recipient_settings AS s ON s.person_id = r.person_id
WHERE
    coalesce(s.email_enabled, true)
    AND r.email LIKE '%_@_%'
    AND NOT EXISTS (
        SELECT FROM public.email_suppressions AS e WHERE e.address_sha256 = reminder_private.address_hash(r.email)
    )
UNION ALL
SELECT DISTINCT
    d.person_id,
    'push'::text AS channel
FROM public.devices AS d
LEFT JOIN public.recipient_settings AS s ON s.person_id = d.person_id
WHERE d.disabled_at IS NULL AND coalesce(s.push_enabled, true);

REVOKE ALL ON reminder_private.reachable FROM PUBLIC, anon, authenticated, service_role;

-- The first of the two zones that PostgreSQL knows, else UTC. A zone is checked when it is set; this is for the day on
-- which an update of PostgreSQL or of its tzdata has dropped one.
CREATE FUNCTION reminder_private.usable_zone(own text, fallback text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    candidate text;
BEGIN
    FOREACH candidate IN ARRAY ARRAY[own, fallback] LOOP
        BEGIN
            IF candidate IS NOT NULL THEN
                PERFORM now() AT TIME ZONE candidate;
                RETURN candidate;
            END IF;
        EXCEPTION WHEN invalid_parameter_value THEN
            NULL; -- unknown: try the next one
        END;
    END LOOP;
    RETURN 'UTC';
END
$$;

-- `at` itself where it lies within the hours, else the beginning of the next ones. Hours may pass midnight (22:00 to
-- 06:00). On the day of a clock change: an hour that is missing begins with the hour after it, an hour that comes twice
-- begins with the second one (PostgreSQL documentation, "Date/Time Types", on ambiguous times).
CREATE FUNCTION reminder_private.next_send_time(zone text, send_from time, send_until time, at timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN send_from < send_until AND wall.clock >= send_from AND wall.clock < send_until THEN at
        WHEN send_from > send_until AND (wall.clock >= send_from OR wall.clock < send_until) THEN at
        ELSE (wall.day + CASE WHEN wall.clock < send_from THEN 0 ELSE 1 END + send_from) AT TIME ZONE zone
    END
    FROM (SELECT (at AT TIME ZONE zone)::date AS day, (at AT TIME ZONE zone)::time AS clock) AS wall
$$;

-- Notifications that a person should still hear of: unread, unresolved, and theirs (an assignment may have been handed
-- over to another mentor or coordinator). A project with notifications of its own has ours under another name.
DO $$
BEGIN
    EXECUTE format(
        $view$
        CREATE VIEW reminder_private.open_notifications AS
        SELECT
            n.id,
            n.recipient_id,
            n.kind,
            n.gap_days,
            n.created_at,
            a.org_id
        FROM public.%I AS n
        INNER JOIN public.assignments AS a ON a.id = n.assignment_id
        WHERE
            n.read_at IS NULL
            AND n.resolved_at IS NULL
            AND n.recipient_id = CASE n.kind::text WHEN 'reminder' THEN a.peer_mentor_id ELSE a.coordinator_id END
        $view$,
        (SELECT p.notifications FROM reminder_private.project AS p)
    );
END
$$;
REVOKE ALL ON reminder_private.open_notifications FROM PUBLIC, anon, authenticated, service_role;

-- Notifications that a person can be told of by a channel and has no message for yet.
CREATE VIEW reminder_private.unsent_notifications AS
SELECT
    o.id,
    o.org_id,
    o.recipient_id,
    r.channel,
    o.created_at
FROM reminder_private.open_notifications AS o
INNER JOIN reminder_private.reachable AS r ON r.person_id = o.recipient_id
WHERE NOT EXISTS (
    SELECT FROM public.message_items AS i WHERE i.notification_id = o.id AND i.channel = r.channel
);
REVOKE ALL ON reminder_private.unsent_notifications FROM PUBLIC, anon, authenticated, service_role;

-- The oldest of them. A function for the sake of ROWS: PostgreSQL takes the view for a row or two, and would then join
-- a million of them with loops.
CREATE FUNCTION reminder_private.next_unsent(channels text [], max_age interval, at_most integer)
RETURNS SETOF reminder_private.unsent_notifications
LANGUAGE sql STABLE ROWS 10000
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM reminder_private.unsent_notifications AS u
    WHERE u.created_at > now() - max_age AND u.channel = ANY (channels)
    ORDER BY u.created_at
    LIMIT at_most
$$;

-- Put notifications that have no message yet into one message for each organisation, person, channel and local day.
-- Younger than `max_age` only: a courier that is switched on later must not send a year's backlog. What becomes due after
-- a day's message was sent goes into the next day's. A message that is being claimed is left alone: its row is locked
-- then, and what it lacks is composed in the next round. Answers how many notifications got a message, and how many
-- messages have a time zone that PostgreSQL does not know.
CREATE FUNCTION reminder_private.compose_messages(channels text [], max_age interval, at_most integer)
RETURNS TABLE (composed bigint, unknown_zones bigint)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH fresh AS MATERIALIZED (
        SELECT u.id, u.org_id, u.recipient_id, u.channel
        FROM reminder_private.next_unsent(channels, max_age, at_most) AS u
    ),

    recipients AS MATERIALIZED (
        SELECT
            p.org_id,
            p.recipient_id,
            p.channel,
            coalesce(r.time_zone, s.time_zone, 'UTC') AS wanted_zone,
            reminder_private.usable_zone(r.time_zone, s.time_zone) AS zone,
            coalesce(s.send_from, '08:00') AS send_from,
            coalesce(s.send_until, '20:00') AS send_until
        FROM (SELECT DISTINCT f.org_id, f.recipient_id, f.channel FROM fresh AS f) AS p
        INNER JOIN reminder_private.recipients AS r ON r.person_id = p.recipient_id
        LEFT JOIN public.org_settings AS s ON s.org_id = p.org_id
    ),

    -- What the person has already: at most one message that is not sent yet, and the last day that is taken.
    existing AS MATERIALIZED (
        SELECT
            p.org_id,
            p.recipient_id,
            p.channel,
            max(m.local_date) FILTER (WHERE m.status <> 'cancelled') AS last_day,
            bool_or(m.status IN ('pending', 'sending')) AS has_unsent
        FROM recipients AS p
        INNER JOIN public.messages AS m USING (org_id, recipient_id, channel)
        WHERE m.local_date >= current_date - 3
        GROUP BY p.org_id, p.recipient_id, p.channel
    ),

    pending AS MATERIALIZED (
        SELECT m.id, m.org_id, m.recipient_id, m.channel
        FROM existing AS e
        INNER JOIN public.messages AS m USING (org_id, recipient_id, channel)
        WHERE e.has_unsent AND m.status = 'pending'
        FOR NO KEY UPDATE OF m SKIP LOCKED
    ),

    -- Today's message may be sent already: then it is the next day's.
    planned AS (
        SELECT
            p.org_id,
            p.recipient_id,
            p.channel,
            p.zone,
            p.send_from,
            soon.earliest,
            greatest((soon.earliest AT TIME ZONE p.zone)::date, e.last_day + 1) AS local_date
        FROM recipients AS p
        LEFT JOIN existing AS e USING (org_id, recipient_id, channel)
        CROSS JOIN LATERAL (
            -- OFFSET 0: computed once, and not wherever it is named.
            SELECT reminder_private.next_send_time(p.zone, p.send_from, p.send_until, now()) AS earliest
            OFFSET 0
        ) AS soon
        WHERE e.has_unsent IS NOT TRUE
    ),

    timed AS (
        SELECT
            d.org_id,
            d.recipient_id,
            d.channel,
            d.local_date,
            CASE
                WHEN d.local_date = (d.earliest AT TIME ZONE d.zone)::date THEN d.earliest
                ELSE (d.local_date + d.send_from) AT TIME ZONE d.zone
            END AS send_after
        FROM planned AS d
    ),

    made AS (
        INSERT INTO public.messages AS m (org_id, recipient_id, channel, local_date, send_after, expires_at, next_attempt_at)
        SELECT t.org_id, t.recipient_id, t.channel, t.local_date, t.send_after, t.send_after + interval '24 hours', t.send_after
        FROM timed AS t
        ORDER BY t.org_id, t.recipient_id, t.channel
        ON CONFLICT (org_id, recipient_id, channel, local_date) DO UPDATE
        SET
            status = 'pending',
            send_after = excluded.send_after,
            expires_at = excluded.expires_at,
            next_attempt_at = excluded.next_attempt_at,
            attempts = 0,
            last_error = NULL
        WHERE m.status = 'cancelled'
        RETURNING m.id, m.org_id, m.recipient_id, m.channel
    ),

    items AS (
        INSERT INTO public.message_items (notification_id, channel, message_id)
        SELECT f.id, f.channel, t.id
        FROM fresh AS f
        INNER JOIN (SELECT * FROM pending UNION ALL SELECT * FROM made) AS t USING (org_id, recipient_id, channel)
        ON CONFLICT (notification_id, channel) DO NOTHING
        RETURNING 1
    )

    SELECT
        (SELECT count(*) FROM items),
        (SELECT count(*) FROM recipients AS p WHERE p.zone <> p.wanted_zone)
$$;

-- Claim what is due, under a lease, and reserve the time to send it in: the rate is shared by all couriers, because the
-- next free moment stands in one row. A message whose courier died is claimed again when its lease has ended. On the way:
-- items that need no message any more drop out, a message without items is cancelled, one that is too old expires, and
-- one outside the hours waits for the next ones.
CREATE FUNCTION reminder_private.claim_messages(
    wanted_channel text, at_most integer, per_second double precision, lease_seconds double precision
)
RETURNS TABLE (message_id bigint, wait_seconds double precision)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    at constant timestamptz := clock_timestamp();
    ids bigint [];
    begin_at timestamptz;
BEGIN
    SELECT array_agg(due.id) INTO ids
    FROM (
        SELECT m.id FROM public.messages AS m
        WHERE
            m.channel = wanted_channel
            AND (
                (m.status = 'pending' AND m.next_attempt_at <= at)
                OR (m.status = 'sending' AND m.lease_until < at)
            )
        ORDER BY m.next_attempt_at, m.id
        LIMIT at_most
        FOR UPDATE SKIP LOCKED
    ) AS due;
    IF ids IS NULL THEN
        RETURN;
    END IF;

    PERFORM reminder_private.drop_closed_items(ids);

    UPDATE public.messages AS m
    SET
        status = 'expired',
        lease_until = NULL,
        last_error = coalesce(m.last_error, 'it could not be sent in time')
    WHERE m.id = ANY (ids) AND m.status IN ('pending', 'sending') AND m.expires_at <= at;

    UPDATE public.messages AS m
    SET status = 'pending', lease_until = NULL, next_attempt_at = later.next_time
    FROM (
        SELECT
            c.id,
            reminder_private.next_send_time(
                reminder_private.usable_zone(r.time_zone, s.time_zone),
                coalesce(s.send_from, '08:00'),
                coalesce(s.send_until, '20:00'),
                at
            ) AS next_time
        FROM public.messages AS c
        LEFT JOIN reminder_private.recipients AS r ON r.person_id = c.recipient_id
        LEFT JOIN public.org_settings AS s ON s.org_id = c.org_id
        WHERE c.id = ANY (ids) AND c.status IN ('pending', 'sending')
    ) AS later
    WHERE m.id = later.id AND later.next_time > at;

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

    UPDATE public.messages AS m
    SET
        status = 'sending',
        attempts = m.attempts + 1,
        lease_until = begin_at
            + (cardinality(ids) / per_second + lease_seconds) * interval '1 second'
    WHERE m.id = ANY (ids);

    RETURN QUERY
    SELECT
        claimed.id,
        (extract(EPOCH FROM begin_at - clock_timestamp()) + (claimed.position - 1) / per_second)::double precision
    FROM unnest(ids) WITH ORDINALITY AS claimed (id, position)
    ORDER BY claimed.position;
END
$$;

-- Items whose notification was read or resolved, or whose assignment was handed over, need no message. A message that has
-- none left is cancelled.
CREATE FUNCTION reminder_private.drop_closed_items(ids bigint []) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM public.message_items AS i
    WHERE
        i.message_id = ANY (ids)
        AND NOT EXISTS (SELECT FROM reminder_private.open_notifications AS o WHERE o.id = i.notification_id);

    UPDATE public.messages AS m
    SET status = 'cancelled', lease_until = NULL
    WHERE
        m.id = ANY (ids)
        AND m.status IN ('pending', 'sending')
        AND NOT EXISTS (SELECT FROM public.message_items AS i WHERE i.message_id = m.id);
END
$$;

-- What to send, read right before it is sent: contact that was logged since the claim cancels the message here.
CREATE FUNCTION reminder_private.load_messages(ids bigint [])
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
BEGIN
    PERFORM reminder_private.drop_closed_items(ids);
    RETURN QUERY
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
    FROM public.messages AS m
    LEFT JOIN reminder_private.recipients AS r ON r.person_id = m.recipient_id
    LEFT JOIN public.recipient_settings AS own ON own.person_id = m.recipient_id
    LEFT JOIN public.org_settings AS s ON s.org_id = m.org_id
    CROSS JOIN LATERAL (
        SELECT
            count(*) FILTER (WHERE o.kind::text = 'reminder') AS reminders,
            count(*) FILTER (WHERE o.kind::text = 'escalation') AS escalations,
            coalesce(max(o.gap_days) FILTER (WHERE o.kind::text = 'reminder'), 0) AS reminder_gap,
            coalesce(max(o.gap_days) FILTER (WHERE o.kind::text = 'escalation'), 0) AS escalation_gap
        FROM public.message_items AS i
        INNER JOIN reminder_private.open_notifications AS o ON o.id = i.notification_id
        WHERE i.message_id = m.id
    ) AS counted
    WHERE m.id = ANY (ids) AND m.status = 'sending' AND m.lease_until > clock_timestamp()
    ORDER BY m.id;
END
$$;

-- Settle a group as soon as it is sent. An element of `results`: {"id", "status": "sent" | "failed" | "retry" | "release",
-- "provider_message_id", "error", "pause_seconds", "suppress"}. "retry" waits for the pause, or expires when there is no
-- time left; "release" gives the claim back without counting the attempt. "suppress": the address is refused for good.
CREATE FUNCTION reminder_private.settle_messages(results jsonb) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    settled integer;
BEGIN
    INSERT INTO public.email_suppressions (address_sha256, reason)
    SELECT DISTINCT reminder_private.address_hash(r.email), 'rejected'
    FROM jsonb_to_recordset(results) AS result (id bigint, suppress boolean)
    INNER JOIN public.messages AS m ON m.id = result.id AND m.status = 'sending' AND m.channel = 'email'
    INNER JOIN reminder_private.recipients AS r ON r.person_id = m.recipient_id
    WHERE result.suppress AND r.email IS NOT NULL
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
            id bigint, status text, provider_message_id text, error text, pause_seconds numeric
        )
        WHERE r.status IN ('sent', 'failed', 'retry', 'release')
    ) AS result
    WHERE m.id = result.id AND m.status = 'sending';
    GET DIAGNOSTICS settled = ROW_COUNT;
    RETURN settled;
END
$$;

-- What sending taught about devices: {"id", "endpoint_arn"} for one that was registered, {"id", "dead": true} for one
-- that is gone.
CREATE FUNCTION reminder_private.record_devices(results jsonb) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE public.devices AS d
    SET
        endpoint_arn = coalesce(result.endpoint_arn, d.endpoint_arn),
        disabled_at = CASE WHEN result.dead THEN clock_timestamp() ELSE d.disabled_at END
    FROM jsonb_to_recordset(results) AS result (id bigint, endpoint_arn text, dead boolean)
    WHERE d.id = result.id
$$;

-- The test message of an operator: the address and devices of one person, whatever is due.
CREATE FUNCTION reminder_private.test_recipient(person uuid)
RETURNS TABLE (email text, locale text, devices jsonb)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT
        r.email,
        coalesce(r.locale, 'en'),
        (
            SELECT jsonb_agg(jsonb_build_object(
                'id', d.id, 'platform', d.platform, 'token', d.token, 'endpoint_arn', d.endpoint_arn
            ) ORDER BY d.id)
            FROM public.devices AS d WHERE d.person_id = r.person_id AND d.disabled_at IS NULL
        )
    FROM reminder_private.recipients AS r
    WHERE r.person_id = person
$$;

-- A provider's answer, days later. An unknown id is passed over: another stack may share the account.
CREATE FUNCTION reminder_private.record_email_feedback(message text, outcome text, address_sha256 bytea)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF outcome IN ('bounce', 'complaint', 'rejected') AND address_sha256 IS NOT NULL THEN
        INSERT INTO public.email_suppressions (address_sha256, reason) VALUES (address_sha256, outcome)
        ON CONFLICT ON CONSTRAINT email_suppressions_pkey DO NOTHING;
    END IF;
    UPDATE public.messages AS m
    SET
        status = CASE WHEN outcome = 'delivery' THEN 'delivered' WHEN outcome = 'complaint' THEN m.status ELSE 'failed' END,
        last_error = CASE WHEN outcome = 'delivery' THEN m.last_error ELSE outcome END
    WHERE
        m.provider_message_id = message
        AND m.status IN ('sent', 'delivered')
        AND outcome IN ('delivery', 'bounce', 'complaint', 'rejected');
    RETURN FOUND;
END
$$;

-- SNS has disabled an endpoint: its device is used no more.
CREATE FUNCTION reminder_private.disable_endpoint(endpoint text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE public.devices AS d SET disabled_at = clock_timestamp()
    WHERE d.endpoint_arn = endpoint AND d.disabled_at IS NULL;
    RETURN FOUND;
END
$$;

-- One click in a mail. The notification stays in the app.
CREATE FUNCTION reminder_private.unsubscribe(person uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO public.recipient_settings (person_id, email_enabled) VALUES (person, false)
    ON CONFLICT (person_id) DO UPDATE SET email_enabled = false
$$;

-- For the watchdog: messages past their retention, at most so many at once; never fewer than 7 days, when every message
-- has expired.
CREATE FUNCTION reminder_private.prune_messages(older_than_days integer, at_most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    pruned integer;
BEGIN
    IF older_than_days IS NULL OR older_than_days < 7 THEN
        RAISE EXCEPTION 'messages are kept for 7 days at least, not %', older_than_days
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    WITH old AS MATERIALIZED (
        SELECT m.id FROM public.messages AS m
        WHERE m.created_at < now() - make_interval(days => older_than_days)
        ORDER BY m.created_at
        LIMIT at_most
        FOR UPDATE SKIP LOCKED
    ),

    items AS (
        DELETE FROM public.message_items AS i USING old WHERE i.message_id = old.id
    )

    DELETE FROM public.messages AS m USING old WHERE m.id = old.id;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA reminder_private FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION
reminder_private.compose_messages(text [], interval, integer),
reminder_private.claim_messages(text, integer, double precision, double precision),
reminder_private.load_messages(bigint []),
reminder_private.settle_messages(jsonb),
reminder_private.record_devices(jsonb),
reminder_private.test_recipient(uuid)
TO reminder_courier;
GRANT EXECUTE ON FUNCTION
reminder_private.record_email_feedback(text, text, bytea),
reminder_private.disable_endpoint(text),
reminder_private.unsubscribe(uuid)
TO message_feedback;
GRANT EXECUTE ON FUNCTION
reminder_private.prune_messages(integer, integer)
TO cron_runner;

-- migrate:down
