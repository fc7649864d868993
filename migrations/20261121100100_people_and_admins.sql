-- migrate:up
-- Who sees what through Supabase's own API, and who is an admin.
--
--   mentor, coordinator  their assignments, the activities of those, and the notifications sent to them
--   admin                the assignments and activities of the organisations that their claims name
--
-- Nobody may move last_contact_date by hand: contact moves it (contact_hook), or a correction does, with a reason.
-- A table of the app that existed before these migrations keeps its own grants and policies. It is known by this:
-- authenticated may read it already. Ours was locked when it was made.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- The one place that says what makes an admin, and of what: the ids of app_metadata.org_ids where there is such
-- a claim (an empty or malformed one names no organisation), else '*', all. NULL for everybody else.
-- app_metadata, because users write their user_metadata themselves.
-- Policies call it in a sub-select, so that PostgreSQL reads the claims once a query, not once a row. It tells
-- the caller about the caller alone.
CREATE FUNCTION public.admin_scope() RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = ''
AS $$
    SELECT CASE
        WHEN claims.app ->> 'role' IS DISTINCT FROM 'admin' THEN NULL
        WHEN NOT claims.app ? 'org_ids' THEN '["*"]'::jsonb
        WHEN jsonb_typeof(claims.app -> 'org_ids') = 'array' THEN (claims.app -> 'org_ids') - '*'
        ELSE '[]'::jsonb
    END
    FROM (SELECT auth.jwt() -> 'app_metadata' AS app) AS claims
$$;

REVOKE ALL ON FUNCTION public.admin_scope() FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.admin_scope() TO authenticated;

-- In existing projects as well: without it the admin endpoint would find no assignment to correct.
CREATE POLICY admins_see_assignments ON public.assignments
FOR SELECT TO authenticated
USING ((SELECT public.admin_scope()) ?| ARRAY['*', org_id::text]);

DO $$
DECLARE
    locked text [] := ARRAY(
        SELECT c.relname
        FROM pg_catalog.pg_class AS c
        WHERE
            c.oid IN (
                to_regclass('public.assignments'), to_regclass('public.activities'), to_regclass('public.notifications')
            )
            AND c.relrowsecurity
            AND NOT has_any_column_privilege('authenticated', c.oid, 'SELECT')
    );
BEGIN
    IF 'assignments' = ANY (locked) THEN
        GRANT SELECT ON public.assignments TO authenticated;
        CREATE POLICY mentors_see_their_assignments ON public.assignments
        FOR SELECT TO authenticated USING (peer_mentor_id = (SELECT auth.uid()));
        CREATE POLICY coordinators_see_their_assignments ON public.assignments
        FOR SELECT TO authenticated USING (coordinator_id = (SELECT auth.uid()));
    ELSIF NOT has_column_privilege('authenticated', 'public.assignments', 'org_id', 'SELECT') THEN
        -- Row level security is off there, so that a GRANT would show everything to everybody.
        RAISE WARNING 'admins cannot correct contact dates until authenticated may read public.assignments under RLS';
    END IF;

    IF 'notifications' = ANY (locked) THEN
        GRANT SELECT ON public.notifications TO authenticated;
        CREATE POLICY recipients_see_their_notifications ON public.notifications
        FOR SELECT TO authenticated USING (recipient_id = (SELECT auth.uid()));
    END IF;

    -- The paths: a mentor logs what he did himself (direct, or several at once), a coordinator for mentors.
    -- registered_by is the one who asks, so nobody signs for another.
    IF 'activities' = ANY (locked) THEN
        GRANT SELECT ON public.activities TO authenticated;
        GRANT INSERT (assignment_id, activity_type, recorded_date, registered_by, registration_path)
        ON public.activities TO authenticated;
        CREATE POLICY activities_are_seen_with_their_assignment ON public.activities
        FOR SELECT TO authenticated
        USING (EXISTS (SELECT FROM public.assignments AS a WHERE a.id = assignment_id));
        CREATE POLICY people_log_contact_for_their_assignments ON public.activities
        FOR INSERT TO authenticated
        WITH CHECK (
            registered_by = (SELECT auth.uid())
            AND EXISTS (
                SELECT FROM public.assignments AS a
                WHERE
                    a.id = assignment_id
                    AND (
                        (a.peer_mentor_id = (SELECT auth.uid()) AND registration_path IN ('direct', 'bulk'))
                        OR (
                            a.coordinator_id = (SELECT auth.uid())
                            AND registration_path IN ('proxy', 'bulk', 'coordinator_proxy')
                        )
                    )
            )
        );
    END IF;
END
$$;

-- migrate:down
