-- migrate:up
-- Three roles, one for each kind of function, so that a leaked password gives the rights of one function only.
-- They are created without LOGIN and without a password, because migrations are in version control.
-- The operator sets both afterwards.
--
--   cron_runner         takes the run lock, writes the ledger and the outbox; cannot read assignments
--   reminder_scheduler  reads assignments, writes notifications; cannot use the ledger
--   contact_admin_api   has no rights; it becomes `authenticated`, with the caller's claims

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- Does this project fit? This is checked before anything is created, so that a project whose tables do not fit is not left
-- with half of ours. Each thing that does not fit is a WARNING, and its HINT is the SQL to fix it. At the end one exception
-- lists all of them. A NOTICE is not a problem, but should be looked at. `reminders doctor --adopt` runs the same block
-- in a read-only transaction, so both have the same messages.
-- A database that has run this file never runs it again, so later migrations may extend the lists below.
DO $check$
DECLARE
    adopted constant boolean := to_regprocedure('public.hold_assignments(tid[])') IS NOT NULL;
    elsewhere constant boolean := to_regclass('public.reminder_notifications') IS NOT NULL;
    -- The words of assignments.status: those of a reminder_statuses that the project made for us, or ours.
    has_words constant boolean := coalesce((
        SELECT array_agg(format('%s %s', a.attname, format_type(a.atttypid, NULL)) ORDER BY a.attname)
        FROM pg_attribute AS a
        WHERE a.attrelid = to_regclass('public.reminder_statuses') AND a.attname IN ('status', 'is_open')
    ) = '{is_open boolean,status text}', false);
    open_words text [] := '{open}';
    closed_words text [] := '{closed}';
    used jsonb := '{}';  -- how many assignments have which word
    unknown text;        -- those that are in neither list, for people
    unknown_rows text;   -- and for SQL
    write_statuses constant text := CASE
        WHEN to_regclass('public.reminder_statuses') IS NULL
            THEN 'CREATE TABLE public.reminder_statuses (status text PRIMARY KEY, is_open boolean NOT NULL); '
        ELSE ''
    END || 'INSERT INTO public.reminder_statuses VALUES ';
    unfit text [] := '{}';  -- why the reminders are not written to the app's notifications
    refused text := '';
    sample jsonb;
    kept boolean;
    found record;
BEGIN
    IF has_words THEN
        EXECUTE $q$
            SELECT
                coalesce(array_agg(status) FILTER (WHERE is_open), '{}'),
                coalesce(array_agg(status) FILTER (WHERE NOT is_open), '{}')
            FROM public.reminder_statuses
        $q$ INTO open_words, closed_words;
    END IF;
    IF EXISTS (
        SELECT FROM pg_attribute AS a INNER JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE c.oid = to_regclass('public.assignments') AND c.relkind IN ('r', 'p') AND a.attname = 'status'
    ) THEN
        EXECUTE $q$
            SELECT coalesce(jsonb_object_agg(s.word, s.n), '{}')
            FROM (
                SELECT a.status::text AS word, count(*) AS n FROM public.assignments AS a
                WHERE a.status IS NOT NULL GROUP BY 1
            ) AS s
        $q$ INTO used;
    END IF;
    SELECT
        string_agg(format('''%s'' (%s)', u.word, u.n), ', ' ORDER BY u.n::bigint DESC, u.word),
        string_agg(format('(%L, false)', u.word), ', ' ORDER BY u.n::bigint DESC, u.word)
    INTO unknown, unknown_rows
    FROM jsonb_each_text(used) AS u (word, n)
    WHERE u.word <> ALL (open_words || closed_words);

    FOR found IN
        -- What we need of the app's tables. 'id' stands for the type of assignments.id. Candidates are columns of
        -- another name that often hold the same; the definition is that of a new column.
        WITH needed (tbl, col, kinds, candidates, definition) AS (
            VALUES
            ('assignments', 'id', '{uuid,bigint,integer}'::text [], '{}'::text [],
                'uuid PRIMARY KEY DEFAULT gen_random_uuid()'),
            ('assignments', 'org_id', '{uuid}', '{organization_id,organisation_id,charity_id,tenant_id}',
                'uuid NOT NULL DEFAULT ''00000000-0000-0000-0000-000000000001'''),
            ('assignments', 'peer_mentor_id', '{uuid}', '{mentor_id,volunteer_id,user_id}', 'uuid'),
            ('assignments', 'coordinator_id', '{uuid}', '{supervisor_id,manager_id}', 'uuid'),
            ('assignments', 'status', '{text,character varying,enum}', '{state}', 'text NOT NULL DEFAULT ''open'''),
            ('assignments', 'assigned_at', '{timestamp with time zone}',
                '{started_at,started_on,start_date,assigned_on,created_at}', 'timestamptz NOT NULL DEFAULT now()'),
            ('assignments', 'last_contact_date', '{date}',
                '{last_contact_at,last_contacted_at,last_contact,last_meeting}', 'date'),
            ('org_settings', 'org_id', '{uuid}', '{organization_id,organisation_id,charity_id,tenant_id}',
                'uuid UNIQUE'),
            ('org_settings', 'reminder_days', '{integer,smallint,bigint}', '{}', 'integer NOT NULL DEFAULT 10'),
            ('org_settings', 'escalation_days', '{integer,smallint,bigint}', '{}', 'integer NOT NULL DEFAULT 20'),
            ('activities', 'assignment_id', '{id}', '{}', 'id'),
            ('activities', 'activity_type', '{text,character varying,enum}', '{type,kind}',
                'text NOT NULL DEFAULT ''meeting'''),
            ('activities', 'recorded_date', '{date}', '{contact_date,occurred_on,occurred_at,date,created_at}',
                'date NOT NULL DEFAULT current_date'),
            ('activities', 'registered_by', '{uuid}', '{}', 'uuid'),
            ('activities', 'registration_path', '{text,character varying,enum}', '{}',
                'text NOT NULL DEFAULT ''direct'''),
            ('notifications', 'assignment_id', '{id}', '{}', 'id'),
            ('notifications', 'recipient_id', '{uuid}', '{}', 'uuid'),
            ('notifications', 'kind', '{text,character varying,enum}', '{}', 'text'),
            ('notifications', 'contact_anchor', '{date}', '{}', 'date'),
            ('notifications', 'gap_days', '{integer,smallint,bigint}', '{}', 'integer'),
            ('notifications', 'run_id', '{uuid}', '{}', 'uuid'),
            ('notifications', 'created_at', '{timestamp with time zone}', '{}', 'timestamptz NOT NULL DEFAULT now()'),
            ('notifications', 'read_at', '{timestamp with time zone}', '{}', 'timestamptz'),
            ('notifications', 'resolved_at', '{timestamp with time zone}', '{}', 'timestamptz')
        ),

        relations AS (
            SELECT c.oid, c.relname::text AS tbl, c.relkind, c.relowner, c.relrowsecurity
            FROM pg_class AS c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relname IN (SELECT n.tbl FROM needed AS n)
        ),

        tables AS (SELECT * FROM relations AS r WHERE r.relkind IN ('r', 'p')),

        columns AS (
            SELECT
                t.oid, t.tbl, a.attname::text AS col, a.attnum, a.attnotnull, a.atthasdef, a.attidentity,
                a.attgenerated, k.oid AS kind_oid, k.typtype = 'e' AS is_enum, format_type(k.oid, NULL) AS kind
            FROM tables AS t
            INNER JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
            INNER JOIN pg_type AS d ON d.oid = a.atttypid
            INNER JOIN pg_type AS k ON k.oid = coalesce(nullif(d.typbasetype, 0), d.oid)
        ),

        -- Each column that is needed, of the tables that are there: what it is, and what it could be made of.
        compared AS (
            SELECT
                n.tbl, n.col, w.kinds, c.kind, c.is_enum, c.kind_oid, s.col AS source, s.kind AS source_kind,
                regexp_replace(n.definition, '^id$', w.id_kind) AS definition,
                c.kind = ANY (w.kinds) OR (c.is_enum AND 'enum' = ANY (w.kinds)) AS fits,
                CASE
                    WHEN s.kind = ANY (w.kinds) OR (s.is_enum AND 'enum' = ANY (w.kinds)) THEN format('%I', s.col)
                    WHEN w.kinds[1] = 'timestamp with time zone' AND s.kind = 'timestamp without time zone'
                        THEN format('%I AT TIME ZONE ''UTC''', s.col)
                    WHEN w.kinds[1] = 'timestamp with time zone' AND s.kind = 'date'
                        THEN format('%I::timestamp AT TIME ZONE ''UTC''', s.col)
                    WHEN w.kinds[1] = 'date' AND s.kind = 'timestamp with time zone'
                        THEN format('(%I AT TIME ZONE ''UTC'')::date', s.col)
                    WHEN w.kinds[1] = 'date' AND s.kind = 'timestamp without time zone'
                        THEN format('%I::date', s.col)
                    WHEN w.kinds[1] = 'uuid' AND n.col <> 'id' AND s.kind IN ('text', 'character varying')
                        THEN format('%I::uuid', s.col)
                END AS conversion
            FROM needed AS n
            INNER JOIN tables AS t ON t.tbl = n.tbl
            LEFT JOIN columns AS c ON c.tbl = n.tbl AND c.col = n.col
            CROSS JOIN LATERAL (
                SELECT i.kind AS id_kind, array_replace(n.kinds, 'id', i.kind) AS kinds
                FROM (
                    SELECT coalesce(
                        (SELECT o.kind FROM columns AS o WHERE o.tbl = 'assignments' AND o.col = 'id'), 'uuid'
                    ) AS kind
                ) AS i
            ) AS w
            LEFT JOIN LATERAL (
                SELECT o.col, o.kind, o.is_enum FROM columns AS o
                WHERE o.tbl = n.tbl AND o.col = ANY (n.candidates || n.col)
                ORDER BY o.col <> n.col, array_position(n.candidates, o.col)
                LIMIT 1
            ) AS s ON true
            WHERE
                -- Of these two only policies speak, which we make for a table of ours.
                n.col NOT IN ('registered_by', 'registration_path')
                OR EXISTS (
                    SELECT FROM pg_constraint AS k
                    WHERE k.conrelid = t.oid AND k.conname = 'registration_path_is_known'
                )
        ),

        roles (name, may_be) AS (
            VALUES
            ('cron_runner', '{}'::text []), ('reminder_scheduler', '{}'), ('contact_admin_api', '{authenticated}')
        )

        SELECT
            'problem' AS level, NULL AS tbl,
            format('PostgreSQL %s is too old, 15 is needed', current_setting('server_version')) AS what,
            'Upgrade the project in Supabase''s dashboard.' AS fix
        WHERE current_setting('server_version_num')::int < 150000
        UNION ALL
        SELECT
            'problem', NULL, format('%s is missing, which every Supabase project has', m.name),
            'Is this the database of a Supabase project?'
        FROM (
            SELECT r FROM unnest(ARRAY['anon', 'authenticated', 'service_role']) AS r WHERE to_regrole(r) IS NULL
            UNION ALL
            SELECT f FROM unnest(ARRAY['auth.jwt()', 'auth.uid()']) AS f WHERE to_regprocedure(f) IS NULL
        ) AS m (name)

        -- Tables ------------------------------------------------------------------------------------------------------
        UNION ALL
        SELECT
            'problem', r.tbl,
            format('%s is a %s and not a table: it can have no trigger and no foreign key of ours', r.tbl, k.name),
            format('ALTER %s public.%I RENAME TO %I; -- and make a table of the old name, or let our migrations do it',
                upper(k.name), r.tbl, r.tbl || '_before')
        FROM relations AS r
        INNER JOIN (
            VALUES ('v', 'view'), ('m', 'materialized view'), ('f', 'foreign table'), ('S', 'sequence')
        ) AS k (kind, name) ON k.kind = r.relkind::text
        UNION ALL
        SELECT
            'problem', t.tbl,
            format('%s belongs to %s, so that %s can make no trigger on it', t.tbl, t.relowner::regrole, current_user),
            format('ALTER TABLE public.%I OWNER TO %I;', t.tbl, current_user)
        FROM tables AS t
        WHERE NOT pg_has_role(t.relowner, 'USAGE')
        UNION ALL
        SELECT
            'note', t.tbl,
            format('row level security is off on %s%s', t.tbl, CASE
                WHEN has_any_column_privilege('anon', t.oid, 'SELECT, INSERT, UPDATE')
                    THEN ', and anon has rights: everybody can reach its rows'
            END),
            format('ALTER TABLE public.%1$I ENABLE ROW LEVEL SECURITY; REVOKE ALL ON public.%1$I FROM anon;'
                ' -- then look at its policies', t.tbl)
        FROM tables AS t
        WHERE NOT adopted AND NOT t.relrowsecurity AND to_regrole('anon') IS NOT NULL
        UNION ALL
        SELECT
            'note', 'assignments',
            format('assignments is in schema %s, and the reminders look at public', c.relnamespace::regnamespace),
            format('ALTER TABLE %s SET SCHEMA public; -- if it is that of the mentors', c.oid::regclass)
        FROM pg_class AS c
        WHERE
            NOT adopted AND c.relname = 'assignments' AND c.relkind IN ('r', 'p')
            AND to_regclass('public.assignments') IS NULL

        -- Columns -----------------------------------------------------------------------------------------------------
        UNION ALL
        SELECT
            'problem', c.tbl,
            format('%s.%s is missing%s', c.tbl, c.col, CASE
                WHEN c.conversion IS NOT NULL THEN format(', and %s may be the same', c.source)
            END),
            CASE
                WHEN c.col = 'last_contact_date' THEN
                    format('ALTER TABLE public.%I ADD COLUMN %I date;', c.tbl, c.col)
                    || coalesce(format(' UPDATE public.%I SET %I = ', c.tbl, c.col) || c.conversion || ';', '')
                WHEN c.conversion IS NOT NULL THEN
                    format('ALTER TABLE public.%I ADD COLUMN %I %s GENERATED ALWAYS AS (%s) STORED;', c.tbl, c.col,
                        CASE WHEN c.conversion = quote_ident(c.source) THEN c.source_kind ELSE c.kinds[1] END,
                        c.conversion)
                ELSE format('ALTER TABLE public.%I ADD COLUMN %I %s;', c.tbl, c.col, c.definition)
            END
        FROM compared AS c
        WHERE c.kind IS NULL
        UNION ALL
        SELECT
            'problem', c.tbl,
            format('%s.%s is %s, needed is %s', c.tbl, c.col, c.kind,
                replace(array_to_string(c.kinds, ' or '), 'enum', 'an enum')),
            CASE
                WHEN c.conversion IS NOT NULL THEN
                    format('ALTER TABLE public.%I ALTER COLUMN %I TYPE %s USING %s;',
                        c.tbl, c.col, c.kinds[1], c.conversion)
                ELSE
                    format('ALTER TABLE public.%1$I RENAME COLUMN %2$I TO %3$I;'
                        ' ALTER TABLE public.%1$I ADD COLUMN %2$I %4$s; -- and fill it from the old one',
                        c.tbl, c.col, c.col || '_before', c.definition)
            END
        FROM compared AS c
        WHERE NOT c.fits
        UNION ALL
        SELECT
            'problem', c.tbl, format('%s.%s is a generated column, and contact has to move it', c.tbl, c.col),
            format('ALTER TABLE public.%I ALTER COLUMN %I DROP EXPRESSION;', c.tbl, c.col)
        FROM columns AS c
        WHERE
            c.attgenerated <> ''
            AND (c.tbl, c.col) IN (('assignments', 'last_contact_date'), ('notifications', 'resolved_at'))
        UNION ALL
        SELECT
            'problem', c.tbl, format('%s.%s is not unique', c.tbl, c.col),
            format('ALTER TABLE public.%I ADD UNIQUE (%I);', c.tbl, c.col)
        FROM columns AS c
        WHERE
            (c.tbl, c.col) IN (('assignments', 'id'), ('org_settings', 'org_id'))
            AND NOT EXISTS (
                SELECT FROM pg_index AS i
                WHERE
                    i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                    AND i.indnkeyatts = 1 AND i.indkey[0] = c.attnum
            )
        UNION ALL
        SELECT
            'problem', c.tbl, format('%s.%s must be given, and we do not know it', c.tbl, c.col),
            format('ALTER TABLE public.%I ALTER COLUMN %I DROP NOT NULL;', c.tbl, c.col)
        FROM columns AS c
        WHERE
            c.tbl = 'notifications' AND c.attnotnull AND NOT c.atthasdef AND c.attidentity = ''
            AND c.col NOT IN ('assignment_id', 'recipient_id', 'kind', 'contact_anchor', 'gap_days', 'run_id')

        -- Words -------------------------------------------------------------------------------------------------------
        UNION ALL
        SELECT
            'problem', c.tbl, format('%s.%s is an enum without ''%s''', c.tbl, c.col, word),
            CASE
                WHEN c.tbl = 'notifications' THEN format('ALTER TYPE %s ADD VALUE %L;', c.kind, word)
                ELSE write_statuses || (
                    SELECT string_agg(format('(%L, false)', e.enumlabel), ', ' ORDER BY e.enumsortorder)
                    FROM pg_enum AS e
                    WHERE e.enumtypid = c.kind_oid AND e.enumlabel <> ALL (open_words || closed_words)
                ) || '; -- true for those that go on'
            END
        FROM compared AS c
        CROSS JOIN LATERAL unnest(
            CASE c.tbl || '.' || c.col
                WHEN 'assignments.status' THEN open_words
                WHEN 'notifications.kind' THEN '{reminder,escalation}'::text []
            END
        ) AS word
        WHERE
            c.is_enum AND c.fits
            AND NOT EXISTS (SELECT FROM pg_enum AS e WHERE e.enumtypid = c.kind_oid AND e.enumlabel = word)
        UNION ALL
        -- Nobody would ever be reminded. Of an enum the branch above has said so.
        SELECT
            'problem', 'assignments',
            format('assignments.status is never %s, but %s',
                (SELECT string_agg(quote_literal(w), ' or ') FROM unnest(open_words) AS w), unknown),
            format('%s%s; -- true for those that go on', write_statuses, unknown_rows)
        WHERE
            unknown IS NOT NULL AND NOT used ?| open_words
            AND NOT EXISTS (
                SELECT FROM compared AS c CROSS JOIN unnest(open_words) AS word
                WHERE
                    c.tbl = 'assignments' AND c.col = 'status' AND c.is_enum
                    AND NOT EXISTS (SELECT FROM pg_enum AS e WHERE e.enumtypid = c.kind_oid AND e.enumlabel = word)
            )
        UNION ALL
        SELECT
            'note', 'assignments',
            format('some assignments have a status that is in no list, and are not evaluated: %s', unknown),
            format('%s%s; -- true for those that go on', write_statuses, unknown_rows)
        WHERE unknown IS NOT NULL AND used ?| open_words
        UNION ALL
        SELECT
            'problem', NULL, 'reminder_statuses names no status that is open',
            format('%s(''...'', true); -- the status of assignments that go on', write_statuses)
        WHERE open_words = '{}'

        -- Names that are ours -----------------------------------------------------------------------------------------
        UNION ALL
        SELECT
            'problem', NULL, format('%s exists, and is not ours', n.name),
            format('ALTER TABLE public.%I RENAME TO %I;', n.name, n.name || '_before')
        FROM unnest(ARRAY[
            'cron_execution_logs', 'cron_execution_log', 'cron_alerts', 'cron_alert_deliveries',
            'contact_activity_types', 'contact_date_corrections', 'reminder_notifications', 'admin_changes',
            'recipient_settings', 'devices', 'email_suppressions', 'messages', 'message_items', 'message_rates'
        ]) AS n (name)
        WHERE NOT adopted AND to_regclass('public.' || n.name) IS NOT NULL
        UNION ALL
        SELECT
            'problem', NULL, 'reminder_statuses exists, and has not the columns status (text) and is_open (boolean)',
            'ALTER TABLE public.reminder_statuses RENAME TO reminder_statuses_before;'
        WHERE to_regclass('public.reminder_statuses') IS NOT NULL AND NOT has_words
        UNION ALL
        SELECT
            'problem', NULL, format('function %s exists, and is not ours', p.oid::regprocedure),
            format('DROP FUNCTION %s;', p.oid::regprocedure)
        FROM pg_proc AS p
        WHERE
            NOT adopted AND p.pronamespace = 'public'::regnamespace AND p.proname IN (
                'try_run_lock', 'hold_run', 'hold_run_date', 'hold_assignments', 'lock_assignments', 'log_contact',
                'settle_notifications', 'admin_scope',
                'apply_correction', 'prune_runs', 'run_lock_holder', 'write_alert', 'apply_reminder_statuses',
                'keep_first_read_at', 'my_reminder_settings', 'admin_set_coordinator', 'admin_close_assignment',
                'admin_set_thresholds', 'admin_set_activity_type', 'check_time_zone', 'register_device'
            )
        UNION ALL
        SELECT
            'problem', NULL, format('schema %s exists, and is not ours', n.name),
            format('ALTER SCHEMA %I RENAME TO %I;', n.name, n.name || '_before')
        FROM unnest(ARRAY['reminder_private', 'reminder_admin']) AS n (name)
        WHERE NOT adopted AND to_regnamespace(n.name) IS NOT NULL
        UNION ALL
        -- A policy or trigger of ours without the rest: left over from an attempt that was undone by hand.
        SELECT
            'problem', NULL, format('policy %s on %s is left over from earlier', p.polname, p.polrelid::regclass),
            format('DROP POLICY %I ON %s;', p.polname, p.polrelid::regclass)
        FROM pg_policy AS p
        INNER JOIN tables AS t ON t.oid = p.polrelid
        WHERE
            NOT adopted AND p.polname IN (
                'scheduler_reads_assignments', 'scheduler_reads_settings', 'scheduler_reads_notifications',
                'scheduler_dispatches', 'admins_see_assignments'
            )
        UNION ALL
        SELECT
            'problem', NULL, format('trigger %s on %s is left over from earlier', g.tgname, g.tgrelid::regclass),
            format('DROP TRIGGER %I ON %s;', g.tgname, g.tgrelid::regclass)
        FROM pg_trigger AS g
        INNER JOIN tables AS t ON t.oid = g.tgrelid
        WHERE NOT adopted AND g.tgname IN ('contact_moves_the_date', 'notifications_follow_the_gap')
        UNION ALL
        -- They may have been made beforehand, concurrently, on big tables; then they must be what ours would be.
        SELECT
            'problem', NULL,
            format('index %s is not %son %s (%s)%s', x.name, CASE WHEN x.is_unique THEN 'unique ' END, x.tbl, x.keys,
                CASE WHEN x.is_partial THEN ' where the status is open' END),
            format('DROP INDEX public.%I;', x.name)
        FROM (
            VALUES
            ('notifications_once_per_gap', 'notifications', 'assignment_id, kind, contact_anchor', true, false),
            ('notifications_recipient_idx', 'notifications', 'recipient_id, created_at', false, false),
            ('assignments_open_idx', 'assignments', 'id', false, true),
            ('assignments_peer_mentor_id_idx', 'assignments', 'peer_mentor_id', false, false),
            ('assignments_coordinator_id_idx', 'assignments', 'coordinator_id', false, false)
        ) AS x (name, tbl, keys, is_unique, is_partial)
        INNER JOIN pg_class AS c ON c.relnamespace = 'public'::regnamespace AND c.relname = x.name
        LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
        CROSS JOIN LATERAL (
            SELECT
                string_agg(a.attname, ', ' ORDER BY k.n) AS keys,
                (
                    SELECT bool_and(strpos(pg_get_expr(i.indpred, i.indrelid), quote_literal(w)) > 0)
                    FROM unnest(open_words) AS w
                ) AS all_words
            FROM unnest(i.indkey::int2 []) WITH ORDINALITY AS k (attnum, n)
            INNER JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        ) AS has
        WHERE
            NOT adopted AND (
                i.indisvalid AND i.indisunique = x.is_unique AND has.keys = x.keys
                AND (i.indpred IS NOT NULL) = x.is_partial AND (has.all_words OR NOT x.is_partial)
                -- Names of indexes are unique in the schema, so one on an app's own notifications is in our way.
                AND i.indrelid = to_regclass('public.' || x.tbl)
            ) IS NOT TRUE

        -- Roles -------------------------------------------------------------------------------------------------------
        UNION ALL
        SELECT
            'problem', NULL, format('role %s may too much: it has %s', r.name, p.power),
            format('ALTER ROLE %I NO%s;', r.name, p.power)
        FROM roles AS r
        INNER JOIN pg_roles AS o ON o.rolname = r.name
        CROSS JOIN LATERAL (
            VALUES
            ('SUPERUSER', o.rolsuper), ('BYPASSRLS', o.rolbypassrls), ('CREATEROLE', o.rolcreaterole),
            ('CREATEDB', o.rolcreatedb), ('REPLICATION', o.rolreplication),
            ('INHERIT', o.rolinherit AND r.name = 'contact_admin_api')
        ) AS p (power, has)
        WHERE NOT adopted AND p.has
        UNION ALL
        SELECT
            'problem', NULL, format('role %s may too much: it is a member of %s', r.name, m.roleid::regrole),
            format('REVOKE %s FROM %I;', m.roleid::regrole, r.name)
        FROM roles AS r
        INNER JOIN pg_auth_members AS m ON m.member = to_regrole(r.name)
        WHERE NOT adopted AND m.roleid::regrole::text <> ALL (r.may_be)
        UNION ALL
        SELECT
            'problem', NULL, format('role %s may too much: it owns %s', r.name, o.thing),
            format('REASSIGN OWNED BY %I TO %I;', r.name, current_user)
        FROM roles AS r
        INNER JOIN (
            SELECT c.relowner AS owner, c.oid::regclass::text AS thing FROM pg_class AS c
            WHERE c.relpersistence <> 't' AND c.relkind NOT IN ('i', 't')
            UNION ALL
            SELECT p.proowner, p.oid::regprocedure::text FROM pg_proc AS p
            UNION ALL
            SELECT n.nspowner, 'schema ' || n.nspname FROM pg_namespace AS n WHERE n.nspname !~ '^pg_(toast_)?temp'
            UNION ALL
            SELECT d.datdba, 'database ' || d.datname FROM pg_database AS d
        ) AS o ON o.owner = to_regrole(r.name)
        WHERE NOT adopted
    LOOP
        IF found.level = 'note' THEN
            RAISE NOTICE USING MESSAGE = found.what, HINT = found.fix;
        ELSIF found.tbl = 'notifications' AND (elsewhere OR NOT adopted) THEN
            unfit := unfit || found.what::text;
        ELSE
            refused := refused || format(E'\n- %s\n    %s', found.what, found.fix);
            RAISE WARNING USING MESSAGE = found.what, HINT = found.fix;
        END IF;
    END LOOP;

    -- Would the app's own notifications take what we write? Its constraints say so of a sample, its rows to our index.
    IF unfit = '{}' AND NOT elsewhere AND to_regclass('public.notifications') IS NOT NULL THEN
        sample := jsonb_build_array(
            jsonb_build_object('kind', 'reminder', 'gap_days', 10),
            jsonb_build_object('kind', 'escalation', 'gap_days', 20)
        );
        FOR found IN
            SELECT k.conname, pg_get_expr(k.conbin, k.conrelid) AS expression
            FROM pg_constraint AS k
            WHERE k.conrelid = to_regclass('public.notifications') AND k.contype = 'c'
        LOOP
            EXECUTE format($q$
                SELECT bool_and((%s) IS NOT FALSE)
                FROM jsonb_populate_recordset(NULL::public.notifications, $1) AS notifications
            $q$, found.expression) INTO kept USING sample;
            IF NOT kept THEN
                unfit := unfit || format('its constraint %s refuses a reminder', found.conname);
            END IF;
        END LOOP;
        EXECUTE $q$
            SELECT EXISTS (
                SELECT FROM public.notifications AS n
                WHERE n.assignment_id IS NOT NULL AND n.kind IS NOT NULL AND n.contact_anchor IS NOT NULL
                GROUP BY n.assignment_id, n.kind, n.contact_anchor HAVING count(*) > 1
            )
        $q$ INTO kept;
        IF kept THEN
            unfit := unfit || text 'some of its rows have the same assignment_id, kind and contact_anchor';
        END IF;
    END IF;
    -- It need not fit before the first migration: it is left alone, and the reminders get a table of their own.
    IF unfit <> '{}' AND adopted AND NOT elsewhere THEN
        RAISE WARNING USING
            MESSAGE = 'notifications takes no reminder: ' || array_to_string(unfit, '; '),
            HINT = 'Change what the app added since the reminders are written there.';
    ELSIF unfit <> '{}' AND NOT adopted THEN
        RAISE NOTICE USING
            MESSAGE = 'notifications is left as it is, and the reminders go to reminder_notifications: '
            || array_to_string(unfit, '; '),
            HINT = 'Let the app read reminder_notifications as well, or make notifications fit before the migrations.';
    END IF;
    -- For the statement at the end of this file, which writes it down.
    PERFORM set_config(
        'reminders.notifications', CASE WHEN unfit = '{}' THEN 'notifications' ELSE 'reminder_notifications' END, false
    );

    IF refused <> '' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = E'This project does not fit yet, and nothing was changed.' || refused;
    END IF;
END
$check$;

-- Roles belong to the whole server, so another database on it may have created them already.
DO $$
DECLARE
    missing text;
BEGIN
    FOR missing IN
        SELECT wanted FROM unnest(ARRAY['cron_runner', 'reminder_scheduler', 'contact_admin_api']) AS wanted
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted)
    LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', missing);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- a migration of another database was a moment faster
        END;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO cron_runner, reminder_scheduler;

-- NOINHERIT: it has no rights until it runs SET ROLE.
GRANT authenticated TO contact_admin_api;

-- How this project differs from others: the table that the reminders are written to. No role of the API can use this
-- schema.
CREATE SCHEMA reminder_private;
REVOKE ALL ON SCHEMA reminder_private FROM PUBLIC;
GRANT USAGE ON SCHEMA reminder_private TO reminder_scheduler;

CREATE TABLE reminder_private.project (
    notifications text NOT NULL
    CONSTRAINT notifications_has_a_known_name CHECK (notifications IN ('notifications', 'reminder_notifications'))
);
GRANT SELECT ON reminder_private.project TO reminder_scheduler;
INSERT INTO reminder_private.project VALUES (current_setting('reminders.notifications'));

-- migrate:down
