-- migrate:up
-- What a client app may do as the signed-in person, through Supabase's API. docs/client.md shows each call.
--
--   recipient   reads and counts their notifications, and marks them as read
--   all people  list the activity types that count as contact, and the thresholds of their own organisations
--   admin       reads the notifications of their organisations
--
-- A notifications table that the app had before these migrations keeps its own grants, policies and triggers.
-- Ours is the one with the policy recipients_see_their_notifications.
--
-- What runs with its owner's rights (SECURITY DEFINER) is in the schema reminder_admin, which Supabase does not publish.
-- Where a client calls it, schema public has a function of the same arguments that runs with the caller's rights.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- read_at is set once, to the database's time. A client can send any value that is not null ('now' is shortest).
-- A second call, a null, or an earlier time changes nothing and is no error, so that a client that was offline can
-- repeat its calls. Only for clients: service_role is the app's backend and may set what it needs to.
CREATE FUNCTION public.keep_first_read_at() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.read_at := coalesce(OLD.read_at, CASE WHEN NEW.read_at IS NOT NULL THEN clock_timestamp() END);
    RETURN NEW;
END
$$;

REVOKE ALL ON FUNCTION public.keep_first_read_at() FROM PUBLIC, anon, authenticated, service_role;

-- The assignments of an admin's organisations, for the policy on notifications, which has no org_id of its own.
-- SECURITY DEFINER, so that the policies on assignments are not evaluated inside of another policy. The first
-- condition is evaluated once and ends the query for a caller who is not an admin.
CREATE FUNCTION reminder_admin.assignment_ids() RETURNS SETOF public.assignments.id%TYPE
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.id
    FROM public.assignments AS a
    WHERE
        (SELECT public.admin_scope()) IS NOT NULL
        AND (SELECT public.admin_scope()) ?| ARRAY['*', a.org_id::text]
$$;

REVOKE ALL ON FUNCTION reminder_admin.assignment_ids() FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION reminder_admin.assignment_ids() TO authenticated;

DO $$
DECLARE
    ours constant regclass := (
        SELECT p.polrelid FROM pg_catalog.pg_policy AS p WHERE p.polname = 'recipients_see_their_notifications'
    );
BEGIN
    IF ours IS NULL THEN
        RETURN;
    END IF;

    -- One policy for both: PostgreSQL would combine two with OR as well, and check both for each row. Each side is
    -- compared with a value that is computed once a query, so that each can use its index.
    EXECUTE format(
        'ALTER POLICY recipients_see_their_notifications ON %s USING ('
        'recipient_id = (SELECT auth.uid())'
        ' OR assignment_id = ANY (ARRAY(SELECT reminder_admin.assignment_ids())))', ours
    );
    EXECUTE format('GRANT UPDATE (read_at) ON %s TO authenticated', ours);
    EXECUTE format(
        'CREATE POLICY recipients_mark_as_read ON %s FOR UPDATE TO authenticated'
        ' USING (recipient_id = (SELECT auth.uid())) WITH CHECK (recipient_id = (SELECT auth.uid()))', ours
    );
    EXECUTE format(
        'CREATE TRIGGER read_at_is_set_once BEFORE UPDATE OF read_at ON %s FOR EACH ROW'
        ' WHEN (current_user = ''authenticated'') EXECUTE FUNCTION public.keep_first_read_at()', ours
    );
END
$$;

GRANT SELECT ON public.contact_activity_types TO authenticated;
CREATE POLICY everybody_lists_activity_types ON public.contact_activity_types
FOR SELECT TO authenticated USING (true);

-- The thresholds of the caller's organisations: those of their open assignments and, for an admin, those that the
-- claims name. A function and not a policy on org_settings, because an organisation without a row has no row that
-- a policy could show, and because a policy would check the caller's assignments again for each row.
CREATE FUNCTION reminder_admin.settings_of_caller()
RETURNS TABLE (org_id uuid, reminder_days integer, escalation_days integer)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH mine AS (
        SELECT a.org_id FROM reminder_private.open_assignments AS a
        WHERE a.peer_mentor_id = (SELECT auth.uid())
        UNION
        SELECT a.org_id FROM reminder_private.open_assignments AS a
        WHERE a.coordinator_id = (SELECT auth.uid())
        UNION
        -- Named by the claims, with or without assignments. What is no id names no organisation.
        SELECT named.id::uuid FROM jsonb_array_elements_text((SELECT public.admin_scope())) AS named (id)
        WHERE named.id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        UNION
        -- An admin without a limit: all that are known. The condition is evaluated once, before the table is read.
        SELECT a.org_id FROM public.assignments AS a WHERE (SELECT public.admin_scope() ? '*')
        UNION
        SELECT s.org_id FROM public.org_settings AS s WHERE (SELECT public.admin_scope() ? '*')
    )
    SELECT m.org_id, coalesce(s.reminder_days, 10)::integer, coalesce(s.escalation_days, 20)::integer
    FROM mine AS m
    LEFT JOIN public.org_settings AS s ON s.org_id = m.org_id
    ORDER BY m.org_id
$$;

CREATE FUNCTION public.my_reminder_settings()
RETURNS TABLE (org_id uuid, reminder_days integer, escalation_days integer)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT s.org_id, s.reminder_days, s.escalation_days FROM reminder_admin.settings_of_caller() AS s $$;

REVOKE ALL ON FUNCTION reminder_admin.settings_of_caller(), public.my_reminder_settings()
FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION reminder_admin.settings_of_caller(), public.my_reminder_settings() TO authenticated;

-- migrate:down
