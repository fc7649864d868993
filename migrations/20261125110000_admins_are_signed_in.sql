-- migrate:up
-- The admin function refuses tokens of anonymous visitors and of other roles than authenticated. The database refuses
-- them as well, because the same tokens reach it by Supabase's own API.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

CREATE OR REPLACE FUNCTION public.admin_scope() RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        -- Without the claim the caller's database role decides, and this function is executable by `authenticated` alone.
        WHEN coalesce(claims.own ->> 'role', 'authenticated') <> 'authenticated' THEN NULL
        WHEN coalesce(claims.own -> 'is_anonymous', 'false'::pg_catalog.jsonb) <> 'false'::pg_catalog.jsonb THEN NULL
        WHEN claims.app ->> 'role' IS DISTINCT FROM 'admin' THEN NULL
        WHEN NOT claims.app ? 'org_ids' THEN '["*"]'::pg_catalog.jsonb
        WHEN pg_catalog.jsonb_typeof(claims.app -> 'org_ids') = 'array' THEN (claims.app -> 'org_ids') - '*'
        ELSE '[]'::pg_catalog.jsonb
    END
    FROM (SELECT jwt.own, jwt.own -> 'app_metadata' AS app FROM (SELECT auth.jwt() AS own) AS jwt) AS claims
$$;

REVOKE ALL ON FUNCTION public.admin_scope() FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.admin_scope() TO authenticated;

-- migrate:down
