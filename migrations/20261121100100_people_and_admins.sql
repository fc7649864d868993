-- migrate:up
-- Who sees what through Supabase's own API, and who is an admin.
--
--   mentor, coordinator  their assignments, the activities of those, and the notifications sent to them
--   admin                the assignments and activities of the organisations that their claims name
--
-- No user may update last_contact_date directly. A contact changes it (contact_hook), or a correction with a reason.
-- A table of the app that existed before these migrations keeps its own grants and policies; the first two lines above
-- are made with our tables (app_tables).

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- The one place that says what makes an admin, and of what: the ids of app_metadata.org_ids where there is such
-- a claim (an empty or malformed one names no organisation), else '*', all. NULL for all other people.
-- app_metadata, because users write their user_metadata themselves.
-- Policies call it in a sub-select, so that PostgreSQL reads the claims once per query, not once per row. It returns
-- only the caller's own rights.
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

-- migrate:down
