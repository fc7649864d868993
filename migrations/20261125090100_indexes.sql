-- migrate:up
-- An index finds a person's own notifications and assignments, so that a query does not read the whole table.
-- Then all indexes that we depend on are compared with their definitions: IF NOT EXISTS looks at names only, and a
-- CREATE INDEX CONCURRENTLY that failed leaves an index of the right name that is invalid. Without the unique one no
-- reminder can be sent.
-- Not CONCURRENTLY: migrations run in a transaction. On a big table, make them by hand and concurrently first; these
-- lines then find them:
--   CREATE INDEX CONCURRENTLY notifications_recipient_idx ON public.notifications (recipient_id, created_at DESC);
--   CREATE INDEX CONCURRENTLY assignments_peer_mentor_id_idx ON public.assignments (peer_mentor_id);
--   CREATE INDEX CONCURRENTLY assignments_coordinator_id_idx ON public.assignments (coordinator_id);

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

DO $$
DECLARE
    -- An app with notifications of another kind has ours under another name.
    notifications constant regclass :=
        coalesce(to_regclass('public.reminder_notifications'), to_regclass('public.notifications'));
    assignments constant regclass := to_regclass('public.assignments');
    wanted record;
    has_one boolean;
    is_right boolean;
BEGIN
    FOR wanted IN
        SELECT *, format('CREATE %sINDEX %I ON %s (%s)%s', CASE WHEN is_unique THEN 'UNIQUE ' END, name, home, keys,
            ' WHERE ' || (CASE WHEN is_partial THEN 'status = ''open''' END)) AS definition
        FROM (
            VALUES
            ('notifications_once_per_gap', notifications, 'assignment_id, kind, contact_anchor', true, false),
            ('assignments_open_idx', assignments, 'id', false, true),
            -- Newest first. Neither read_at nor resolved_at is in it, so that setting them touches no index.
            ('notifications_recipient_idx', notifications, 'recipient_id, created_at DESC', false, false),
            ('assignments_peer_mentor_id_idx', assignments, 'peer_mentor_id', false, false),
            ('assignments_coordinator_id_idx', assignments, 'coordinator_id', false, false)
        ) AS list (name, home, keys, is_unique, is_partial)
    LOOP
        -- One of the app's own serves a read as well, if it begins with the same column.
        has_one := EXISTS (
            SELECT FROM pg_catalog.pg_index AS i
            INNER JOIN pg_catalog.pg_attribute AS t ON t.attrelid = i.indrelid AND t.attnum = i.indkey[0]
            WHERE
                i.indrelid = wanted.home
                AND t.attname = split_part(wanted.keys, ',', 1)
                AND i.indpred IS NULL
                AND i.indisvalid
                AND NOT (wanted.is_unique OR wanted.is_partial)
        );
        CONTINUE WHEN has_one AND to_regclass(format('public.%I', wanted.name)) IS NULL;
        IF to_regclass(format('public.%I', wanted.name)) IS NULL THEN
            EXECUTE wanted.definition;
        END IF;

        SELECT
            i.indrelid = wanted.home
            AND i.indisunique = wanted.is_unique
            AND i.indimmediate
            AND i.indisvalid
            AND i.indisready
            AND i.indexprs IS NULL
            -- ON CONFLICT cannot use a partial index; a batch walks those that are open, whatever the word for it.
            AND (i.indpred IS NOT NULL) = wanted.is_partial
            AND coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), 'status') ~ 'status'
            AND i.indnatts = i.indnkeyatts
            AND (
                SELECT string_agg(t.attname, ', ' ORDER BY k.n)
                FROM unnest(i.indkey::smallint []) WITH ORDINALITY AS k (attnum, n)
                INNER JOIN pg_catalog.pg_attribute AS t ON t.attrelid = i.indrelid AND t.attnum = k.attnum
            ) = replace(wanted.keys, ' DESC', '')
        INTO is_right
        FROM pg_catalog.pg_index AS i
        WHERE i.indexrelid = to_regclass(format('public.%I', wanted.name));
        IF is_right IS NOT TRUE THEN
            RAISE EXCEPTION '% is not the index that the reminders need', wanted.name
                USING
                    DETAIL = format(
                        'It is: %s. It is needed: %s, valid.',
                        coalesce(
                            (
                                SELECT pg_catalog.pg_get_indexdef(i.indexrelid)
                                    || CASE WHEN i.indisvalid AND i.indisready THEN '' ELSE ', invalid' END
                                FROM pg_catalog.pg_index AS i
                                WHERE i.indexrelid = to_regclass(format('public.%I', wanted.name))
                            ),
                            'no index at all'
                        ),
                        wanted.definition
                    ),
                    HINT = format(
                        'DROP INDEX public.%I; %s; and migrate again. On a table in use, say CONCURRENTLY in both.',
                        wanted.name, wanted.definition
                    );
        END IF;
    END LOOP;
END
$$;

-- migrate:down
