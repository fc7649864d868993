-- migrate:up
-- What the pages of the console show to an admin. On the app's own tables there are no policies for admins
-- (admin_access), so the pages ask these functions, which answer for the organisations of the caller's claims and
-- nothing to everybody else. They only read.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- Names for the people of an assignment. A charity with its own table of people replaces this view; the columns stay.
-- Supabase's sign-up forms write full_name or name. Whole rows as JSON, because a project may lack a column.
CREATE VIEW reminder_admin.people AS
SELECT
    u.id AS person_id,
    left(
        coalesce(
            nullif(btrim(to_jsonb(u) -> 'raw_user_meta_data' ->> 'full_name'), ''),
            nullif(btrim(to_jsonb(u) -> 'raw_user_meta_data' ->> 'name'), ''),
            u.email
        ), 60
    ) AS name
FROM auth.users AS u;

-- Open assignments with the days since the last contact, counted as a run counts them, and their thresholds. What is
-- no date of the calendar ('infinity') has no gap.
CREATE VIEW reminder_admin.open_gaps AS
SELECT
    a.id,
    a.org_id,
    a.peer_mentor_id,
    a.coordinator_id,
    a.anchor AS since,
    (clock_timestamp() AT TIME ZONE 'UTC')::date - a.anchor AS gap_days,
    coalesce(s.reminder_days, 10) AS reminder_days,
    coalesce(s.escalation_days, 20) AS escalation_days
FROM reminder_private.open_assignments AS a
LEFT JOIN public.org_settings AS s ON s.org_id = a.org_id
WHERE isfinite(a.anchor);

-- The project's reminders. A project with notifications of its own has ours under another name.
DO $$
BEGIN
    EXECUTE format(
        $view$
        CREATE VIEW reminder_admin.notifications AS
        SELECT n.assignment_id, n.recipient_id, n.kind::text, n.contact_anchor, n.gap_days,
            n.created_at, n.read_at, n.resolved_at
        FROM public.%I AS n
        $view$,
        (SELECT p.notifications FROM reminder_private.project AS p)
    );
END
$$;

-- Assignments past a threshold, longest without contact first: pages by keyset (after_since, after_id), up to and
-- with (until_since, until_id) where that is given. threshold: 'reminder', 'escalation', or 'no_coordinator' for those
-- past the second one that have none. of_org: one organisation, or NULL for all of the caller's.
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
    coordinator_notified_at timestamptz
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
        reminder.created_at, reminder.read_at, escalation.created_at
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

-- How many there are, over all pages. Without an admin, or without assignments: all zero.
CREATE FUNCTION reminder_admin.waiting_counts(of_org uuid)
RETURNS TABLE (
    open_assignments bigint, past_reminder bigint, past_escalation bigint, without_coordinator bigint, longest_days integer
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT
        count(*),
        count(*) FILTER (WHERE g.gap_days >= g.reminder_days),
        count(*) FILTER (WHERE g.gap_days >= g.escalation_days),
        count(*) FILTER (WHERE g.gap_days >= g.escalation_days AND g.coordinator_id IS NULL),
        coalesce(max(g.gap_days) FILTER (WHERE g.gap_days >= g.reminder_days), 0)
    FROM reminder_admin.open_gaps AS g
    WHERE
        g.org_id = ANY ((SELECT reminder_admin.org_ids())::uuid [])
        AND (of_org IS NULL OR g.org_id = of_org)
$$;

-- The organisations of the caller with their settings. Columns that a later migration adds are read by name, NULL
-- until then.
CREATE FUNCTION reminder_admin.organisations()
RETURNS TABLE (org_id uuid, name text, time_zone text, locale text, reminder_days integer, escalation_days integer)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT
        o.org_id,
        to_jsonb(s) ->> 'display_name',
        to_jsonb(s) ->> 'time_zone',
        to_jsonb(s) ->> 'locale',
        coalesce(s.reminder_days, 10),
        coalesce(s.escalation_days, 20)
    FROM unnest(reminder_admin.org_ids()) AS o (org_id)
    LEFT JOIN public.org_settings AS s ON s.org_id = o.org_id
    ORDER BY to_jsonb(s) ->> 'display_name', o.org_id
$$;

-- One assignment, if the caller is an admin of its organisation; else no row, as if it did not exist.
-- version names the state of the date, for a change that must not undo another admin's.
CREATE FUNCTION reminder_admin.assignment_page(assignment_id public.assignments.id%TYPE)
RETURNS TABLE (
    id public.assignments.id%TYPE,
    org_id uuid,
    is_open boolean,
    mentor_id uuid,
    mentor_name text,
    coordinator_id uuid,
    coordinator_name text,
    began date,
    today date,
    last_contact_date date,
    version text,
    gap_days integer,
    reminder_days integer,
    escalation_days integer
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT
        a.id, a.org_id,
        EXISTS (SELECT FROM public.reminder_statuses AS w WHERE w.status = a.status::text AND w.is_open),
        a.peer_mentor_id, mentor.name, a.coordinator_id, coordinator.name,
        found.began,
        found.today,
        CASE WHEN isfinite(a.last_contact_date) THEN a.last_contact_date END,
        coalesce(a.last_contact_date::text, 'never'),
        found.today - CASE
            WHEN isfinite(coalesce(a.last_contact_date, found.began)) THEN coalesce(a.last_contact_date, found.began)
        END,
        coalesce(s.reminder_days, 10),
        coalesce(s.escalation_days, 20)
    FROM reminder_admin.assignment(assignment_page.assignment_id) AS found
    INNER JOIN public.assignments AS a ON a.id = found.id
    LEFT JOIN public.org_settings AS s ON s.org_id = a.org_id
    LEFT JOIN reminder_admin.people AS mentor ON mentor.person_id = a.peer_mentor_id
    LEFT JOIN reminder_admin.people AS coordinator ON coordinator.person_id = a.coordinator_id
$$;

-- What happened to one assignment, newest first. kind says what; detail is the kind's own values, as JSON.
CREATE FUNCTION reminder_admin.timeline(assignment_id public.assignments.id%TYPE, at_most integer)
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
            jsonb_build_object('gap_days', n.gap_days, 'read_at', n.read_at, 'resolved_at', n.resolved_at), 4
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

-- What was changed in the settings of the caller's organisations, newest first.
CREATE FUNCTION reminder_admin.settings_changes(at_most integer)
RETURNS TABLE (at timestamptz, what text, org_id uuid, person text, old_value jsonb, new_value jsonb)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT h.changed_at, h.what, h.org_id, coalesce(p.name, h.changed_by::text), h.old_value, h.new_value
    FROM public.admin_changes AS h
    LEFT JOIN reminder_admin.people AS p ON p.person_id = h.changed_by
    WHERE h.assignment_id IS NULL AND h.org_id = ANY ((SELECT reminder_admin.org_ids())::uuid [])
    ORDER BY h.id DESC
    LIMIT at_most
$$;

-- The alerts about one run, and what became of each. They hold nothing of an organisation, like the ledger.
CREATE FUNCTION reminder_admin.alerts_of_run(run_id uuid)
RETURNS TABLE (kind text, created_at timestamptz, channel text, attempts integer, delivered_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT l.kind, l.created_at, d.channel, d.attempts, d.delivered_at
    FROM public.cron_alerts AS l
    LEFT JOIN public.cron_alert_deliveries AS d ON d.alert_id = l.id
    WHERE l.run_id = alerts_of_run.run_id AND (SELECT public.admin_scope()) IS NOT NULL
    ORDER BY l.created_at, d.channel
$$;

REVOKE ALL ON reminder_admin.people, reminder_admin.open_gaps, reminder_admin.notifications
FROM PUBLIC, anon, authenticated, service_role;
REVOKE ALL ON FUNCTION
reminder_admin.waiting, reminder_admin.waiting_counts, reminder_admin.organisations, reminder_admin.assignment_page,
reminder_admin.timeline, reminder_admin.settings_changes, reminder_admin.alerts_of_run
FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION
reminder_admin.waiting, reminder_admin.waiting_counts, reminder_admin.organisations, reminder_admin.assignment_page,
reminder_admin.timeline, reminder_admin.settings_changes, reminder_admin.alerts_of_run
TO authenticated;

-- migrate:down
