-- migrate:up
-- What admins may see and correct, without making the queries of other people slower.
--
-- Policies on one table are combined with OR, and PostgreSQL checks all of them for each row, unless each side can use
-- an index. admins_see_assignments could not, so that on a large table each person's own query read all rows.
-- On the app's own tables there is no policy of ours for its users any more: the admin function asks the functions
-- of reminder_admin, which return rows only to an admin, for the organisations of their claims. That schema is not one that
-- Supabase publishes over its API.
-- On tables that these migrations made there is one policy for each action, and each of its sides uses an index.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

CREATE SCHEMA reminder_admin;
REVOKE ALL ON SCHEMA reminder_admin FROM PUBLIC;
GRANT USAGE ON SCHEMA reminder_admin TO authenticated;
COMMENT ON SCHEMA reminder_admin IS 'Functions by which admins read and correct. Do not add it to the exposed schemas.';

-- An assignment, if the caller is an admin of its organisation; else no row, as if it did not exist.
CREATE FUNCTION reminder_admin.assignment(assignment_id public.assignments.id%TYPE)
RETURNS TABLE (
    id public.assignments.id%TYPE,
    org_id public.assignments.org_id%TYPE,
    last_contact_date date,
    began date,
    today date
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT
        a.id,
        a.org_id,
        a.last_contact_date,
        (a.assigned_at AT TIME ZONE 'UTC')::date,
        (clock_timestamp() AT TIME ZONE 'UTC')::date
    FROM public.assignments AS a
    WHERE a.id = assignment.assignment_id AND (SELECT public.admin_scope()) ?| ARRAY['*', a.org_id::text]
$$;

-- The organisations of which the caller is an admin; empty for all other people. For an admin of all of them, those that
-- have assignments, each found by one look into the index on org_id.
CREATE FUNCTION reminder_admin.org_ids() RETURNS uuid []
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE caller AS (
        SELECT public.admin_scope() AS scope
    ),

    every AS (
        (
            SELECT a.org_id::text::uuid AS org_id
            FROM public.assignments AS a
            WHERE (SELECT c.scope ? '*' FROM caller AS c)
            ORDER BY a.org_id
            LIMIT 1
        )
        UNION ALL
        SELECT following.org_id
        FROM every AS e
        CROSS JOIN LATERAL (
            SELECT a.org_id FROM public.assignments AS a WHERE a.org_id > e.org_id ORDER BY a.org_id LIMIT 1
        ) AS following
    )

    SELECT ARRAY(
        SELECT e.org_id FROM every AS e
        UNION ALL
        -- What is no id names no organisation.
        SELECT named.id::uuid
        FROM caller AS c
        CROSS JOIN LATERAL jsonb_array_elements_text(c.scope) AS named (id)
        WHERE named.id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    )
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA reminder_admin FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA reminder_admin TO authenticated;

DROP POLICY admins_see_assignments ON public.assignments;

DO $$
BEGIN
    -- Made only where the table is ours.
    IF EXISTS (
        SELECT FROM pg_catalog.pg_policy AS p
        WHERE p.polrelid = 'public.assignments'::regclass AND p.polname = 'mentors_see_their_assignments'
    ) THEN
        CREATE INDEX IF NOT EXISTS assignments_org_id_idx ON public.assignments (org_id);
        DROP POLICY mentors_see_their_assignments ON public.assignments;
        DROP POLICY coordinators_see_their_assignments ON public.assignments;
        CREATE POLICY people_see_their_assignments ON public.assignments
        FOR SELECT TO authenticated
        USING (
            peer_mentor_id = (SELECT auth.uid())
            OR coordinator_id = (SELECT auth.uid())
            OR org_id = ANY ((SELECT reminder_admin.org_ids())::uuid [])
        );
    END IF;
END
$$;

-- An admin of one organisation may be a mentor in another, and sees that assignment as a mentor. So the policies on
-- corrections ask for the organisation, not only whether the assignment can be seen.
ALTER POLICY admins_read_corrections ON public.contact_date_corrections
USING (EXISTS (SELECT FROM reminder_admin.assignment(assignment_id)));
ALTER POLICY admins_correct ON public.contact_date_corrections
WITH CHECK (
    corrected_by = (SELECT auth.uid())
    AND EXISTS (SELECT FROM reminder_admin.assignment(assignment_id))
);

-- admin_scope alone decides who is an admin; the sub-select is evaluated once per query.
ALTER POLICY admins_read_runs ON public.cron_execution_logs
USING ((SELECT public.admin_scope()) IS NOT NULL);

-- migrate:down
