-- What Supabase's database lints (github.com/supabase/splinter) of level WARN and ERROR look for, as far as a schema
-- of ours could be found by them. Each query names the things that are found; none is right.

-- name: auth_rls_initplan
-- A policy that reads the claims outside of a sub-select reads them for each row.
SELECT format('%s on %s', p.polname, p.polrelid::regclass) AS found
FROM pg_policy AS p
CROSS JOIN LATERAL (
    VALUES (pg_get_expr(p.polqual, p.polrelid)), (pg_get_expr(p.polwithcheck, p.polrelid))
) AS e (expression)
WHERE regexp_replace(e.expression, 'select (auth\.\w+|current_setting)\(', '', 'gi') ~ '(auth\.\w+|current_setting)\('

-- name: multiple_permissive_policies
-- They are combined with OR, and each is evaluated for each row.
SELECT format('%s on %s for %s: %s', a.action, p.polrelid::regclass, r.rolname, string_agg(p.polname, ', ')) AS found
FROM pg_policy AS p
INNER JOIN pg_roles AS r ON r.oid = ANY (p.polroles) OR p.polroles = '{0}'
CROSS JOIN LATERAL unnest(CASE p.polcmd WHEN '*' THEN '{r,a,w,d}' ELSE ARRAY[p.polcmd] END) AS a (action)
WHERE p.polpermissive AND NOT r.rolbypassrls AND r.rolname !~ '^pg_|^supabase'
GROUP BY a.action, p.polrelid, r.rolname
HAVING count(*) > 1

-- name: rls_policy_always_true
-- A policy for a user of the app that lets every row be written.
SELECT format('%s on %s', p.polname, p.polrelid::regclass) AS found
FROM pg_policy AS p
WHERE
    p.polpermissive
    AND p.polcmd <> 'r'
    AND (p.polroles = '{0}' OR p.polroles && ARRAY['anon'::regrole::oid, 'authenticated'::regrole::oid])
    AND (
        pg_get_expr(p.polqual, p.polrelid) = 'true'
        OR pg_get_expr(p.polwithcheck, p.polrelid) = 'true'
        OR (p.polqual IS NULL AND p.polwithcheck IS NULL)
    )

-- name: rls_references_user_metadata
-- Users write it themselves.
SELECT format('%s on %s', p.polname, p.polrelid::regclass) AS found
FROM pg_policy AS p
WHERE
    concat(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) ~ 'user_metadata'

-- name: rls_disabled_in_public
SELECT c.oid::regclass::text AS found
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity

-- name: policy_exists_rls_disabled
-- It does nothing there, and looks as if it did.
SELECT format('%s on %s', p.polname, c.oid::regclass) AS found
FROM pg_policy AS p
INNER JOIN pg_class AS c ON c.oid = p.polrelid
WHERE NOT c.relrowsecurity

-- name: security_definer_view
-- A view shows its owner's rows, unless it is set to read with the reader's rights.
SELECT c.oid::regclass::text AS found
FROM pg_class AS c
WHERE
    c.relnamespace = 'public'::regnamespace
    AND c.relkind = 'v'
    AND NOT coalesce(c.reloptions && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)

-- name: auth_users_exposed
-- A view or materialized view of public that reads Supabase's own table of users.
SELECT DISTINCT r.ev_class::regclass::text AS found
FROM pg_depend AS d
INNER JOIN pg_rewrite AS r ON r.oid = d.objid
INNER JOIN pg_class AS c ON c.oid = r.ev_class AND c.relnamespace = 'public'::regnamespace
WHERE d.refobjid = to_regclass('auth.users')

-- name: materialized_view_or_foreign_table_in_api
-- Neither has row level security.
SELECT c.oid::regclass::text AS found
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('m', 'f')

-- name: function_search_path_mutable
SELECT p.oid::regprocedure::text AS found
FROM pg_proc AS p
WHERE
    p.pronamespace::regnamespace::text !~ '^(pg_|information_schema|auth$)'
    AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search\_path=%')

-- name: security_definer_function_executable
-- Every user who has the public key, or an account, can call it over the REST API, with its owner's rights.
SELECT format('%s by %s', p.oid::regprocedure, r.rolname) AS found
FROM pg_proc AS p
INNER JOIN pg_roles AS r ON r.rolname IN ('anon', 'authenticated') AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef

-- name: duplicate_index
SELECT string_agg(i.indexrelid::regclass::text, ', ' ORDER BY i.indexrelid) AS found
FROM pg_index AS i
INNER JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relnamespace::regnamespace::text !~ '^pg_'
GROUP BY
    i.indrelid, i.indkey::text, i.indoption::text, i.indclass::text, i.indcollation::text, i.indisunique,
    pg_get_expr(i.indpred, i.indrelid), pg_get_expr(i.indexprs, i.indrelid)
HAVING count(*) > 1

-- name: unindexed_foreign_keys
-- Of level INFO there. A DELETE of an assignment would read the whole table.
SELECT format('%s on %s', k.conname, k.conrelid::regclass) AS found
FROM pg_constraint AS k
WHERE
    k.contype = 'f'
    AND k.connamespace::regnamespace::text !~ '^(pg_|auth$)'
    AND NOT EXISTS (
        SELECT FROM pg_index AS i
        WHERE
            i.indrelid = k.conrelid
            AND i.indisvalid
            AND (i.indkey::smallint [])[0:cardinality(k.conkey) - 1] = k.conkey
    )

-- name: unsupported_reg_types
-- They cannot be upgraded by pg_upgrade.
SELECT format('%s.%s', a.attrelid::regclass, a.attname) AS found
FROM pg_attribute AS a
INNER JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
WHERE
    a.attnum > 0
    AND format_type(a.atttypid, NULL) IN ('regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoper', 'regproc')
