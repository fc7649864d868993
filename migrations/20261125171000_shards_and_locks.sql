-- migrate:up
-- A batch locks the assignments that it reminds by their ids, and a run finds where to divide the ids into shards.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- As in run_lock_and_fence, which says why assignments are locked, but by primary key. PostgreSQL follows a row that was
-- changed since the evaluation to its present version. So the function returns the anchor of the locked row, and the
-- batch compares it. hold_assignments(tid []), and `version` of open_assignments, are for code that was deployed before.
DO $$
DECLARE
    id_type constant text := (
        SELECT format_type(a.atttypid, NULL)
        FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = 'public.assignments'::regclass AND a.attname = 'id'
    );
BEGIN
    EXECUTE format($hold$
        CREATE FUNCTION public.lock_assignments(ids %1$s []) RETURNS TABLE (id %1$s, anchor date)
        LANGUAGE sql VOLATILE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $body$
            SELECT a.id, a.anchor
            FROM reminder_private.open_assignments AS a
            WHERE a.id = ANY (ids)
            FOR SHARE SKIP LOCKED
        $body$
    $hold$, id_type);
    EXECUTE format(
        'REVOKE ALL ON FUNCTION public.lock_assignments(%s []) FROM PUBLIC, anon, authenticated, service_role', id_type
    );
    EXECUTE format('GRANT EXECUTE ON FUNCTION public.lock_assignments(%s []) TO reminder_scheduler', id_type);
END
$$;

-- Where to divide the open assignments into shards of equal size: the first ids of all shards but the first, as JSON.
-- `shards` is their number; NULL: one for each 25,000 open assignments, 4 at most. A sample of 256 pages at random is
-- enough, and needs no statistics. Which ids it finds decides the size of the shards, never what a run evaluates: the
-- first shard has no lower end, the last has no upper one. SECURITY DEFINER, because cron_runner may not read
-- assignments.
CREATE FUNCTION reminder_private.shard_bounds(shards integer) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    pages constant bigint := pg_relation_size('public.assignments') / current_setting('block_size')::bigint;
    percent constant real := least(100, 100 * 256.0 / greatest(pages, 1));
    sample jsonb;
    parts integer := shards;
BEGIN
    -- 512 pages have no room for twice 25,000 assignments.
    IF parts = 1 OR (parts IS NULL AND pages < 512) THEN
        RETURN '[]';
    END IF;
    SELECT coalesce(jsonb_agg(a.id ORDER BY a.id), '[]') INTO sample
    FROM public.assignments AS a TABLESAMPLE SYSTEM (percent)
    WHERE EXISTS (SELECT FROM public.reminder_statuses AS s WHERE s.status = a.status::text AND s.is_open);
    parts := coalesce(parts, least(4, jsonb_array_length(sample) * 100 / percent / 25000));
    RETURN coalesce(
        (
            SELECT jsonb_agg(sample -> (jsonb_array_length(sample) * i / parts))
            FROM generate_series(1, parts - 1) AS i
            WHERE jsonb_array_length(sample) > 0
        ),
        '[]'
    );
END
$$;
REVOKE ALL ON FUNCTION reminder_private.shard_bounds(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reminder_private.shard_bounds(integer) TO cron_runner;

-- migrate:down
