-- migrate:up
-- Whom a reminder has not reached, and what became of the messages, for the console and for `reminders status`. Where no
-- message was ever composed, messages are not in use, and there is nothing to say about them.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- Open notifications that were brought to nobody: no message about them was sent or still waits, and either no channel
-- reaches the person, or each message failed or expired. reason:
--   failed       a channel is there, but the messages failed
--   refused      the address was refused or has complained
--   turned_off   the person wants no e-mail, or no push on the devices they have
--   no_address   there is neither an address nor a device
DO $$
BEGIN
    EXECUTE format(
        $view$
        CREATE VIEW reminder_private.unreached_notifications AS
        SELECT
            o.id,
            o.org_id,
            o.recipient_id,
            o.kind::text AS kind,
            n.assignment_id,
            n.contact_anchor,
            o.created_at,
            CASE
                WHEN EXISTS (SELECT FROM reminder_private.reachable AS w WHERE w.person_id = o.recipient_id) THEN 'failed'
                WHEN EXISTS (
                    SELECT FROM reminder_private.recipients AS r
                    INNER JOIN public.email_suppressions AS e
                        ON e.address_sha256 = reminder_private.address_hash(r.email)
                    WHERE r.person_id = o.recipient_id
                ) THEN 'refused'
                WHEN EXISTS (
                    SELECT FROM public.recipient_settings AS s
                    WHERE s.person_id = o.recipient_id AND NOT (s.email_enabled AND s.push_enabled)
                ) AND (
                    EXISTS (
                        SELECT FROM reminder_private.recipients AS r
                        WHERE r.person_id = o.recipient_id AND r.email LIKE '%%_@_%%'
                    )
                    OR EXISTS (
                        SELECT FROM public.devices AS d
                        WHERE d.person_id = o.recipient_id AND d.disabled_at IS NULL
                    )
                ) THEN 'turned_off'
                ELSE 'no_address'
            END AS reason
        FROM reminder_private.open_notifications AS o
        INNER JOIN public.%I AS n ON n.id = o.id
        WHERE
            NOT EXISTS (
                SELECT FROM public.message_items AS i
                INNER JOIN public.messages AS m ON m.id = i.message_id
                WHERE i.notification_id = o.id AND m.status NOT IN ('failed', 'expired')
            )
            AND (
                EXISTS (SELECT FROM public.message_items AS i WHERE i.notification_id = o.id)
                OR NOT EXISTS (SELECT FROM reminder_private.reachable AS w WHERE w.person_id = o.recipient_id)
            )
        $view$,
        (SELECT p.notifications FROM reminder_private.project AS p)
    );
    -- As in console, and what became of the messages about each: [{"channel", "status", "at", "error"}].
    EXECUTE format(
        $view$
        CREATE OR REPLACE VIEW reminder_admin.notifications AS
        SELECT n.assignment_id, n.recipient_id, n.kind::text, n.contact_anchor, n.gap_days,
            n.created_at, n.read_at, n.resolved_at,
            (
                SELECT jsonb_agg(
                    jsonb_build_object(
                        'channel', m.channel, 'status', m.status, 'at', coalesce(m.sent_at, m.send_after),
                        'error', m.last_error
                    ) ORDER BY m.channel
                )
                FROM public.message_items AS i
                INNER JOIN public.messages AS m ON m.id = i.message_id
                WHERE i.notification_id = n.id
            ) AS messages
        FROM public.%I AS n
        $view$,
        (SELECT p.notifications FROM reminder_private.project AS p)
    );
END
$$;

CREATE FUNCTION reminder_admin.messages_in_use() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ SELECT public.admin_scope() IS NOT NULL AND EXISTS (SELECT FROM public.messages) $$;

-- How many people of the caller's organisations wait to be reached; NULL where messages are not in use.
CREATE FUNCTION reminder_admin.unreached_count() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(DISTINCT u.recipient_id)
    FROM reminder_private.unreached_notifications AS u
    WHERE u.org_id = ANY ((SELECT reminder_admin.org_ids())::uuid [])
    HAVING reminder_admin.messages_in_use()
$$;

-- Who they are, one row for each person, with the assignment of theirs that waits longest. By keyset, longest first.
CREATE FUNCTION reminder_admin.unreached(after_since date, after_id uuid, at_most integer)
RETURNS TABLE (
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
    WITH people AS (
        SELECT DISTINCT ON (u.recipient_id)
            u.recipient_id,
            CASE u.kind WHEN 'reminder' THEN 'mentor' ELSE 'coordinator' END AS role,
            u.reason,
            count(*) OVER (PARTITION BY u.recipient_id) AS assignments,
            u.assignment_id,
            u.org_id,
            u.contact_anchor AS since
        FROM reminder_private.unreached_notifications AS u
        WHERE u.org_id = ANY ((SELECT reminder_admin.org_ids())::uuid [])
        ORDER BY u.recipient_id, u.contact_anchor, u.assignment_id
    )

    SELECT
        p.recipient_id, who.name, p.role, p.reason, p.assignments, p.assignment_id, p.org_id, p.since,
        (clock_timestamp() AT TIME ZONE 'UTC')::date
    FROM people AS p
    LEFT JOIN reminder_admin.people AS who ON who.person_id = p.recipient_id
    WHERE
        reminder_admin.messages_in_use()
        AND (after_since IS NULL OR (p.since, p.recipient_id) > (after_since, after_id))
    ORDER BY p.since, p.recipient_id
    LIMIT at_most
$$;

-- As in console, and the messages about both notifications. Only the console calls it.
-- squawk-ignore ban-drop-function
DROP FUNCTION reminder_admin.waiting(
    uuid, text, date, public.assignments.id%TYPE, date, public.assignments.id%TYPE, integer
);
CREATE FUNCTION reminder_admin.waiting(
    of_org uuid,
    threshold text,
    after_since date,
    after_id public.assignments.id%TYPE,
    until_since date,
    until_id public.assignments.id%TYPE,
    at_most integer
) RETURNS TABLE (
    id public.assignments.id%TYPE,
    org_id uuid,
    mentor_id uuid,
    mentor_name text,
    coordinator_id uuid,
    coordinator_name text,
    last_contact_date date,
    since date,
    gap_days integer,
    reminder_days integer,
    escalation_days integer,
    mentor_notified_at timestamptz,
    mentor_read_at timestamptz,
    mentor_messages jsonb,
    coordinator_notified_at timestamptz,
    coordinator_messages jsonb
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH page AS (
        SELECT g.*
        FROM reminder_admin.open_gaps AS g
        WHERE
            g.org_id = ANY ((SELECT reminder_admin.org_ids())::uuid [])
            AND (of_org IS NULL OR g.org_id = of_org)
            AND g.gap_days >= CASE threshold WHEN 'reminder' THEN g.reminder_days ELSE g.escalation_days END
            AND (threshold <> 'no_coordinator' OR g.coordinator_id IS NULL)
            AND (after_since IS NULL OR (g.since, g.id) > (after_since, after_id))
            AND (until_since IS NULL OR (g.since, g.id) <= (until_since, until_id))
        ORDER BY g.since, g.id
        LIMIT at_most
    )
    SELECT
        p.id, p.org_id, p.peer_mentor_id, mentor.name, p.coordinator_id, coordinator.name, a.last_contact_date,
        p.since, p.gap_days, p.reminder_days, p.escalation_days,
        reminder.created_at, reminder.read_at, reminder.messages, escalation.created_at, escalation.messages
    FROM page AS p
    INNER JOIN public.assignments AS a ON a.id = p.id
    LEFT JOIN reminder_admin.people AS mentor ON mentor.person_id = p.peer_mentor_id
    LEFT JOIN reminder_admin.people AS coordinator ON coordinator.person_id = p.coordinator_id
    LEFT JOIN reminder_admin.notifications AS reminder
        ON reminder.assignment_id = p.id AND reminder.kind = 'reminder' AND reminder.contact_anchor = p.since
    LEFT JOIN reminder_admin.notifications AS escalation
        ON escalation.assignment_id = p.id AND escalation.kind = 'escalation' AND escalation.contact_anchor = p.since
    ORDER BY p.since, p.id
$$;

-- As in console, and the messages about each notification.
CREATE OR REPLACE FUNCTION reminder_admin.timeline(assignment_id public.assignments.id%TYPE, at_most integer)
RETURNS TABLE (at timestamptz, kind text, person text, detail jsonb)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT e.at, e.kind, coalesce(p.name, e.person_id::text), e.detail
    FROM reminder_admin.assignment(timeline.assignment_id) AS found
    CROSS JOIN LATERAL (
        SELECT a.assigned_at AS at, 'assigned' AS kind, a.peer_mentor_id AS person_id, jsonb_build_object() AS detail, 0 AS n
        FROM public.assignments AS a
        WHERE a.id = found.id
        UNION ALL
        SELECT
            coalesce((o.columns ->> 'created_at')::timestamptz, l.recorded_date), 'contact',
            (o.columns ->> 'registered_by')::uuid,
            jsonb_build_object(
                'type', l.activity_type, 'date', l.recorded_date, 'path', o.columns ->> 'registration_path',
                'counts', EXISTS (SELECT FROM public.contact_activity_types AS t WHERE t.code = l.activity_type::text)
            ), 1
        FROM public.activities AS l
        -- By name, because an existing project's table may lack them.
        CROSS JOIN LATERAL (SELECT to_jsonb(l) AS columns) AS o
        WHERE l.assignment_id = found.id
        UNION ALL
        SELECT
            n.created_at, n.kind, n.recipient_id,
            jsonb_build_object(
                'gap_days', n.gap_days, 'read_at', n.read_at, 'resolved_at', n.resolved_at, 'messages', n.messages
            ), 4
        FROM reminder_admin.notifications AS n
        WHERE n.assignment_id = found.id
        UNION ALL
        SELECT
            c.corrected_at, 'correction', c.corrected_by,
            jsonb_build_object('old', c.old_date, 'new', c.new_date, 'reason', c.reason), 2
        FROM public.contact_date_corrections AS c
        WHERE c.assignment_id = found.id
        UNION ALL
        SELECT
            h.changed_at, h.what, h.changed_by,
            jsonb_build_object('old', h.old_value, 'new', h.new_value, 'reason', h.reason), 3
        FROM public.admin_changes AS h
        WHERE h.assignment_id = found.id
    ) AS e
    LEFT JOIN reminder_admin.people AS p ON p.person_id = e.person_id
    ORDER BY e.at DESC, e.n DESC
    LIMIT at_most
$$;

REVOKE ALL ON reminder_private.unreached_notifications FROM PUBLIC, anon, authenticated, service_role;
REVOKE ALL ON FUNCTION
reminder_admin.messages_in_use, reminder_admin.unreached_count, reminder_admin.unreached, reminder_admin.waiting
FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION
reminder_admin.messages_in_use, reminder_admin.unreached_count, reminder_admin.unreached, reminder_admin.waiting
TO authenticated;

-- migrate:down
