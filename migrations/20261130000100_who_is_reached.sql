-- migrate:up
-- Why: people whom no message reached were missing from the list of those who were not reached, and some were not reached
-- although they could have been:
--
--   a channel that the deployment does not use counted as a way to reach a person
--   a reminder that had become too old for a message, without one, counted as sent
--   devices of a deleted user counted as a way to reach them, but no message is made for a deleted user
--   a bounce is reported for another spelling of an address (xn--...), or for the address that mail was forwarded to
--   hours that end when they begin were no hours: no message was ever sent
--   a phone that another person had used before could not be registered

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- What is known of each channel. is_in_use: the last courier used it; true until one has run. pruned_until: of messages
-- that were made until then, some are deleted; whether a notification of that time had one is not known.
ALTER TABLE public.message_rates
    ADD COLUMN is_in_use boolean NOT NULL DEFAULT true,
    ADD COLUMN pruned_until timestamptz NOT NULL DEFAULT '-infinity';
UPDATE public.message_rates SET pruned_until = oldest.created_at
FROM (SELECT min(m.created_at) AS created_at FROM public.messages AS m) AS oldest
WHERE oldest.created_at IS NOT NULL;

-- As in courier, but the devices of a person who does not exist do not count: composing needs the person's row as well.
CREATE OR REPLACE VIEW reminder_private.reachable AS
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
INNER JOIN reminder_private.recipients AS r ON r.person_id = d.person_id
LEFT JOIN public.recipient_settings AS s ON s.person_id = d.person_id
WHERE d.disabled_at IS NULL AND coalesce(s.push_enabled, true);

-- As in courier, and hours that end when they begin are the whole day.
CREATE OR REPLACE FUNCTION reminder_private.next_send_time(zone text, send_from time, send_until time, at timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN send_from = send_until THEN at
        WHEN send_from < send_until AND wall.clock >= send_from AND wall.clock < send_until THEN at
        WHEN send_from > send_until AND (wall.clock >= send_from OR wall.clock < send_until) THEN at
        ELSE (wall.day + CASE WHEN wall.clock < send_from THEN 0 ELSE 1 END + send_from) AT TIME ZONE zone
    END
    FROM (SELECT (at AT TIME ZONE zone)::date AS day, (at AT TIME ZONE zone)::time AS clock) AS wall
$$;

-- As in courier, and it records which channels the deployment uses.
CREATE OR REPLACE FUNCTION reminder_private.compose_messages(channels text [], max_age interval, at_most integer)
RETURNS TABLE (composed bigint, unknown_zones bigint)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    -- Only a change is written: the claims of all couriers wait for a row that is locked here.
    UPDATE public.message_rates AS rate
    SET is_in_use = NOT rate.is_in_use
    WHERE rate.is_in_use <> (rate.channel = ANY (channels));

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

-- As in courier, and it records until when messages were deleted.
CREATE OR REPLACE FUNCTION reminder_private.prune_messages(older_than_days integer, at_most integer) RETURNS integer
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
        SELECT m.id, m.created_at FROM public.messages AS m
        WHERE m.created_at < now() - make_interval(days => older_than_days)
        ORDER BY m.created_at
        LIMIT at_most
        FOR UPDATE SKIP LOCKED
    ),

    items AS (
        DELETE FROM public.message_items AS i USING old WHERE i.message_id = old.id
    ),

    noted AS (
        UPDATE public.message_rates AS rate SET pruned_until = newest.created_at
        FROM (SELECT max(old.created_at) AS created_at FROM old) AS newest
        WHERE newest.created_at > rate.pruned_until
    )

    DELETE FROM public.messages AS m USING old WHERE m.id = old.id;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END
$$;

-- As in courier, and the address that the person has now is used no more either, because the reported one may be another
-- spelling of it, or where its mail is forwarded to. Only the first report about a message does that: when it is reported
-- again later, the person may have another address.
CREATE OR REPLACE FUNCTION reminder_private.record_email_feedback(message text, outcome text, address_sha256 bytea)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF outcome IN ('bounce', 'complaint', 'rejected') AND address_sha256 IS NOT NULL THEN
        INSERT INTO public.email_suppressions (address_sha256, reason)
        SELECT record_email_feedback.address_sha256, outcome
        UNION
        SELECT reminder_private.address_hash(r.email), outcome
        FROM public.messages AS m
        INNER JOIN reminder_private.recipients AS r ON r.person_id = m.recipient_id
        WHERE m.provider_message_id = message AND m.last_error IS NULL AND r.email IS NOT NULL
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

-- As in reached, but only channels in use count; and a notification that is older than 48 hours gets no message any more
-- (CourierLimits.max_age), so without one it was not brought to its recipient. A message takes notifications for three days
-- at most, so that the deleted message of a notification was not made more than three days before it.
CREATE OR REPLACE FUNCTION reminder_private.unreached_notifications(of_orgs uuid [])
RETURNS TABLE (
    id public.message_items.notification_id%TYPE, org_id uuid, recipient_id uuid, kind text, is_reachable boolean
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH known AS MATERIALIZED (
        SELECT
            array_agg(rate.channel) FILTER (WHERE rate.is_in_use) AS channels,
            max(rate.pruned_until) AS pruned_until
        FROM public.message_rates AS rate
    ),

    unsent AS MATERIALIZED (
        SELECT o.id, o.org_id, o.recipient_id, o.kind::text AS kind, o.created_at, sent.all_failed
        FROM reminder_private.open_notifications AS o
        CROSS JOIN LATERAL (
            SELECT bool_and(m.status IN ('failed', 'expired')) AS all_failed
            FROM public.message_items AS i
            INNER JOIN public.messages AS m ON m.id = i.message_id
            WHERE i.notification_id = o.id
        ) AS sent
        WHERE (of_orgs IS NULL OR o.org_id = ANY (of_orgs)) AND coalesce(sent.all_failed, true)
    ),

    looked_up AS MATERIALIZED (
        SELECT
            u.*,
            EXISTS (
                SELECT FROM reminder_private.reachable AS w
                WHERE w.person_id = u.recipient_id AND w.channel = ANY ((SELECT known.channels FROM known)::text [])
            ) AS is_reachable
        FROM unsent AS u
    )

    SELECT u.id, u.org_id, u.recipient_id, u.kind, u.is_reachable
    FROM looked_up AS u
    CROSS JOIN known AS k
    WHERE
        u.all_failed
        OR NOT u.is_reachable
        OR (
            u.all_failed IS NULL
            AND u.created_at <= now() - interval '48 hours'
            AND u.created_at > k.pruned_until + interval '3 days'
        )
$$;

-- Why nothing reaches a person. As in reached, of the channels in use, and:
--   unused   the person has an address or a device, but the deployment does not use that channel
CREATE OR REPLACE FUNCTION reminder_private.why_unreachable(person uuid) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN used.email AND EXISTS (
            SELECT FROM public.email_suppressions AS e
            WHERE e.address_sha256 = reminder_private.address_hash(found.email)
        ) THEN 'refused'
        WHEN used.email AND NOT s.email_enabled AND found.email LIKE '%_@_%' THEN 'turned_off'
        WHEN used.push AND NOT s.push_enabled AND EXISTS (
            SELECT FROM public.devices AS d WHERE d.person_id = person AND d.disabled_at IS NULL
        ) THEN 'turned_off'
        WHEN NOT used.email AND found.email LIKE '%_@_%' THEN 'unused'
        WHEN EXISTS (SELECT FROM reminder_private.reachable AS w WHERE w.person_id = person) THEN 'unused'
        ELSE 'no_address'
    END
    FROM (SELECT (SELECT r.email FROM reminder_private.recipients AS r WHERE r.person_id = person LIMIT 1) AS email) AS found
    CROSS JOIN (
        SELECT
            bool_or(rate.is_in_use) FILTER (WHERE rate.channel = 'email') AS email,
            bool_or(rate.is_in_use) FILTER (WHERE rate.channel = 'push') AS push
        FROM public.message_rates AS rate
    ) AS used
    LEFT JOIN public.recipient_settings AS s ON s.person_id = person
$$;

-- As in reached. reason is why_unreachable's; where a channel is there, 'failed' if the messages failed, else 'too_old'.
CREATE OR REPLACE FUNCTION reminder_admin.unreached(after_since date, after_id uuid, at_most integer)
RETURNS TABLE (
    total bigint,
    id uuid,
    name text,
    role text,
    reason text,
    assignments bigint,
    assignment_id public.assignments.id%TYPE,
    org_id uuid,
    since date,
    today date
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH people AS MATERIALIZED (
        SELECT DISTINCT ON (u.recipient_id)
            u.recipient_id,
            CASE u.kind WHEN 'reminder' THEN 'mentor' ELSE 'coordinator' END AS role,
            u.is_reachable,
            count(*) OVER (PARTITION BY u.recipient_id) AS assignments,
            u.id AS notification_id,
            n.assignment_id,
            u.org_id,
            n.contact_anchor AS since
        FROM reminder_private.unreached_notifications((SELECT reminder_admin.org_ids())) AS u
        INNER JOIN reminder_admin.notifications AS n ON n.id = u.id
        WHERE (SELECT reminder_admin.messages_in_use())
        ORDER BY u.recipient_id, n.contact_anchor, n.assignment_id
    ),

    page AS MATERIALIZED (
        SELECT * FROM people AS p
        WHERE after_since IS NULL OR (p.since, p.recipient_id) > (after_since, after_id)
        ORDER BY p.since, p.recipient_id
        LIMIT at_most
    )

    SELECT
        (SELECT CASE WHEN reminder_admin.messages_in_use() THEN count(*) END FROM people),
        p.recipient_id,
        (SELECT who.name FROM reminder_admin.people AS who WHERE who.person_id = p.recipient_id LIMIT 1),
        p.role,
        CASE
            WHEN NOT p.is_reachable THEN reminder_private.why_unreachable(p.recipient_id)
            WHEN EXISTS (SELECT FROM public.message_items AS i WHERE i.notification_id = p.notification_id) THEN 'failed'
            ELSE 'too_old'
        END,
        p.assignments, p.assignment_id, p.org_id, p.since,
        (clock_timestamp() AT TIME ZONE 'UTC')::date
    FROM (SELECT) AS one
    LEFT JOIN page AS p ON true
    ORDER BY p.since, p.recipient_id
$$;

-- A device of the caller, at each start of the app. A token is taken from the person who had the phone before: with INSERT
-- alone, their reminders would go to the caller's phone, and the caller would get none. The token is the proof: only the
-- app on that phone knows it. An app that has a token uses it, so a device that was disabled is tried again.
CREATE FUNCTION reminder_admin.register_device(platform text, token text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    device bigint;
BEGIN
    IF (platform IN ('fcm', 'apns') AND char_length(token) BETWEEN 1 AND 4096) IS NOT TRUE THEN
        RAISE EXCEPTION 'platform must be fcm or apns, and token must have 1 to 4096 characters'
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.devices AS d (person_id, platform, token)
    VALUES (auth.uid(), register_device.platform, register_device.token)
    ON CONFLICT ON CONSTRAINT devices_token_key DO UPDATE
    SET
        person_id = excluded.person_id,
        platform = excluded.platform,
        endpoint_arn = CASE WHEN d.disabled_at IS NULL AND d.platform = excluded.platform THEN d.endpoint_arn END,
        disabled_at = NULL
    RETURNING d.id INTO device;
    RETURN device;
END
$$;

CREATE FUNCTION public.register_device(platform text, token text) RETURNS bigint
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT reminder_admin.register_device(register_device.platform, register_device.token) $$;

REVOKE ALL ON FUNCTION reminder_admin.register_device, public.register_device
FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION reminder_admin.register_device, public.register_device TO authenticated;

-- migrate:down
