-- migrate:up
-- Whom a reminder has not reached, and what became of the messages, for the console and for `reminders status`. Where no
-- message was ever composed, messages are not in use, and there is nothing to say about them.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- As in console, and what became of the messages about each: [{"channel", "status", "at", "error"}].
DO $$
BEGIN
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
            ) AS messages,
            n.id
        FROM public.%I AS n
        $view$,
        (SELECT p.notifications FROM reminder_private.project AS p)
    );
END
$$;

-- Open notifications that were brought to nobody: no message about them was sent or still waits, and either no channel
-- reaches the person, or each message failed or expired. of_orgs NULL: of all organisations.
-- A function with two materialized steps: a person's channels are looked up, and not joined, for what the first step has
-- left. PostgreSQL takes that for one row, and would join with loops.
CREATE FUNCTION reminder_private.unreached_notifications(of_orgs uuid [])
RETURNS TABLE (
    id public.message_items.notification_id%TYPE, org_id uuid, recipient_id uuid, kind text, is_reachable boolean
)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH unsent AS MATERIALIZED (
        SELECT o.id, o.org_id, o.recipient_id, o.kind::text AS kind, sent.all_failed
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
            EXISTS (SELECT FROM reminder_private.reachable AS w WHERE w.person_id = u.recipient_id) AS is_reachable
        FROM unsent AS u
    )

    SELECT u.id, u.org_id, u.recipient_id, u.kind, u.is_reachable
    FROM looked_up AS u
    WHERE u.all_failed OR NOT u.is_reachable
$$;

-- Why nothing reaches a person:
--   refused      the address was refused or has complained
--   turned_off   the person wants no e-mail, or no push on the devices they have
--   no_address   there is neither an address nor a device
CREATE FUNCTION reminder_private.why_unreachable(person uuid) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN EXISTS (
            SELECT FROM public.email_suppressions AS e
            WHERE e.address_sha256 = reminder_private.address_hash(found.email)
        ) THEN 'refused'
        WHEN NOT s.email_enabled AND found.email LIKE '%_@_%' THEN 'turned_off'
        WHEN NOT s.push_enabled AND EXISTS (
            SELECT FROM public.devices AS d WHERE d.person_id = person AND d.disabled_at IS NULL
        ) THEN 'turned_off'
        ELSE 'no_address'
    END
    FROM (SELECT (SELECT r.email FROM reminder_private.recipients AS r WHERE r.person_id = person LIMIT 1) AS email) AS found
    LEFT JOIN public.recipient_settings AS s ON s.person_id = person
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
    FROM reminder_private.unreached_notifications((SELECT reminder_admin.org_ids())) AS u
    HAVING reminder_admin.messages_in_use()
$$;

-- Who they are, one row for each person, with the assignment of theirs that waits longest. By keyset, longest first.
-- total is the same on each row, and a page without people has one row of it. reason is why_unreachable's, or 'failed'
-- where a channel is there and the messages failed.
CREATE FUNCTION reminder_admin.unreached(after_since date, after_id uuid, at_most integer)
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
        CASE WHEN p.is_reachable THEN 'failed' ELSE reminder_private.why_unreachable(p.recipient_id) END,
        p.assignments, p.assignment_id, p.org_id, p.since,
        (clock_timestamp() AT TIME ZONE 'UTC')::date
    FROM (SELECT) AS one
    LEFT JOIN page AS p ON true
    ORDER BY p.since, p.recipient_id
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
    WITH page AS MATERIALIZED (
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
        p.id, p.org_id,
        p.peer_mentor_id, (SELECT w.name FROM reminder_admin.people AS w WHERE w.person_id = p.peer_mentor_id LIMIT 1),
        p.coordinator_id, (SELECT w.name FROM reminder_admin.people AS w WHERE w.person_id = p.coordinator_id LIMIT 1),
        a.last_contact_date,
        p.since, p.gap_days, p.reminder_days, p.escalation_days,
        reminder.created_at, reminder.read_at, reminder.messages, escalation.created_at, escalation.messages
    FROM page AS p
    INNER JOIN public.assignments AS a ON a.id = p.id
    -- LIMIT 1, so that each is looked up: a join would read all people and all notifications for one page.
    LEFT JOIN LATERAL (
        SELECT n.created_at, n.read_at, n.messages FROM reminder_admin.notifications AS n
        WHERE n.assignment_id = p.id AND n.kind = 'reminder' AND n.contact_anchor = p.since
        LIMIT 1
    ) AS reminder ON true
    LEFT JOIN LATERAL (
        SELECT n.created_at, n.messages FROM reminder_admin.notifications AS n
        WHERE n.assignment_id = p.id AND n.kind = 'escalation' AND n.contact_anchor = p.since
        LIMIT 1
    ) AS escalation ON true
    ORDER BY p.since, p.id
$$;

-- Where each `size` rows of that list end, without looking up what stands in them.
CREATE FUNCTION reminder_admin.waiting_ends(of_org uuid, threshold text, size integer, at_most integer)
RETURNS TABLE (since date, id public.assignments.id%TYPE)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT numbered.since, numbered.id
    FROM (
        SELECT g.since, g.id, row_number() OVER (ORDER BY g.since, g.id) AS n
        FROM reminder_admin.open_gaps AS g
        WHERE
            g.org_id = ANY ((SELECT reminder_admin.org_ids())::uuid [])
            AND (of_org IS NULL OR g.org_id = of_org)
            AND g.gap_days >= CASE threshold WHEN 'reminder' THEN g.reminder_days ELSE g.escalation_days END
            AND (threshold <> 'no_coordinator' OR g.coordinator_id IS NULL)
    ) AS numbered
    WHERE numbered.n % size = 0 AND numbered.n <= at_most
    ORDER BY numbered.n
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

REVOKE ALL ON FUNCTION
reminder_private.unreached_notifications, reminder_private.why_unreachable,
reminder_admin.messages_in_use, reminder_admin.unreached_count, reminder_admin.unreached, reminder_admin.waiting,
reminder_admin.waiting_ends
FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION
reminder_admin.messages_in_use, reminder_admin.unreached_count, reminder_admin.unreached, reminder_admin.waiting,
reminder_admin.waiting_ends
TO authenticated;

-- migrate:down
