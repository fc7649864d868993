-- name: shapes
-- What the migrations made, by what it is and not only by its name. One row an object of schema public, and a function of
-- reminder_...: kind, the table that it belongs to (empty for a function), name (outside of public with its schema),
-- shape, and whether only our own roles are concerned.
-- Text of expressions depends on search_path: the caller sets it to pg_catalog first.
SELECT
    'index' AS kind,
    t.relname::text AS on_table,
    c.relname::text AS name,
    concat_ws(
        '; ', pg_get_indexdef(i.indexrelid), CASE WHEN NOT (i.indisvalid AND i.indisready) THEN 'INVALID' END
    ) AS shape,
    true AS is_ours
FROM pg_index AS i
INNER JOIN pg_class AS c ON c.oid = i.indexrelid
INNER JOIN pg_class AS t ON t.oid = i.indrelid
WHERE t.relnamespace = 'public'::regnamespace AND NOT i.indisprimary

UNION ALL

SELECT
    'trigger',
    c.relname::text,
    t.tgname::text,
    concat_ws('; ', pg_get_triggerdef(t.oid), CASE t.tgenabled WHEN 'O' THEN 'enabled' WHEN 'A' THEN 'enabled'
        WHEN 'D' THEN 'DISABLED' ELSE 'ENABLED IN REPLICAS ONLY' END),
    -- This one is made on a notifications table of ours only, like the policies for its readers.
    t.tgname <> 'read_at_is_set_once'
FROM pg_trigger AS t
INNER JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal

UNION ALL

SELECT
    'policy',
    c.relname::text,
    p.polname::text,
    concat_ws(
        '; ',
        'for ' || p.polcmd::text,
        CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
        'to ' || r.names,
        'using ' || pg_get_expr(p.polqual, p.polrelid),
        'check ' || pg_get_expr(p.polwithcheck, p.polrelid)
    ),
    r.names <> 'authenticated' AND r.names <> 'anon' AND r.names <> 'PUBLIC'
FROM pg_policy AS p
INNER JOIN pg_class AS c ON c.oid = p.polrelid
CROSS JOIN LATERAL (
    SELECT coalesce(string_agg(a.rolname::text, ', ' ORDER BY a.rolname), 'PUBLIC') AS names
    FROM pg_roles AS a WHERE a.oid = ANY(p.polroles)
) AS r
WHERE c.relnamespace = 'public'::regnamespace

UNION ALL

SELECT
    'function',
    '',
    concat_ws('.', nullif(n.nspname, 'public'), p.proname),
    concat_ws(
        '; ',
        l.lanname,
        CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END,
        'volatility ' || p.provolatile::text,
        'settings ' || coalesce(array_to_string(p.proconfig, ', '), 'none'),
        CASE WHEN p.proowner <> t.relowner THEN 'OWNER ' || pg_get_userbyid(p.proowner) END,
        -- As in a new project: what the migrations replace where ids or notifications are the app's (existing_projects).
        'body ' || md5(
            regexp_replace(
                replace(p.prosrc, 'public.reminder_notifications', 'public.notifications'),
                'ids (bigint|integer) \[\]', 'ids uuid []'
            )
        )
    ),
    true
FROM pg_proc AS p
INNER JOIN pg_language AS l ON l.oid = p.prolang
INNER JOIN pg_namespace AS n ON n.oid = p.pronamespace
-- The owner of the ledger is who ran the migrations.
LEFT JOIN pg_class AS t ON t.oid = to_regclass('public.cron_execution_logs')
WHERE (n.nspname = 'public' OR n.nspname ~ '^reminder_') AND p.prokind = 'f'
ORDER BY 1, 2, 3, 4
