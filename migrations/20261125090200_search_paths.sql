-- migrate:up
-- PostgreSQL looks for types in pg_temp first unless search_path says otherwise, even where search_path is empty.
-- Every role may create temporary objects. A caller could create a domain pg_temp.date with their own CHECK,
-- and a function that runs with its owner's rights would call it. So pg_temp is named, and last.
-- All function bodies use schema names for everything that is not part of PostgreSQL.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

ALTER FUNCTION public.try_run_lock(bigint) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION public.hold_run(uuid) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION public.hold_assignments(tid []) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION public.prune_runs(integer, integer) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION public.log_contact() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION public.settle_notifications() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION public.apply_correction() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION public.admin_scope() SET search_path = pg_catalog, pg_temp;

-- migrate:down
