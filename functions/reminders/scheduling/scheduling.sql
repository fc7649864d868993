-- name: project
-- The app may be older than this service: the type of its ids, and the table to which reminders are written.
-- Without its unique index, two calls at the same time could send a reminder twice.
SELECT
    a.atttypid NOT IN ('bigint'::regtype, 'integer'::regtype) AS ids_are_uuids,
    p.notifications,
    EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        WHERE
            i.indrelid = to_regclass('public.' || p.notifications)
            AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 3
            AND i.indpred IS NULL
            AND 3 = (
                SELECT count(*) FROM pg_catalog.pg_attribute AS k
                WHERE
                    k.attrelid = i.indrelid
                    AND k.attnum = ANY((i.indkey::int2 []) [0:2])
                    AND k.attname IN ('assignment_id', 'kind', 'contact_anchor')
            )
    ) AS has_unique_index
FROM reminder_private.project AS p
INNER JOIN pg_catalog.pg_attribute AS a ON a.attrelid = 'public.assignments'::regclass AND a.attname = 'id'

-- fragment: due
-- One batch of open assignments by keyset, and what is due among it on the date as_of.
-- An escalation is always due together with, or after, its reminder; both thresholds are inclusive.
-- The organisation without a row gets 10 and 20 days, as org_settings' own defaults say.
-- A row that this run dispatched already is included, so that a repeated call, after a lost response, has the same
-- counts. A row of an earlier run is not.
-- LIMIT 1 under LATERAL keeps this a look-up in the unique index. As a plain join the planner read the whole
-- of notifications for every batch: 12 s instead of 3 s for a million assignments without news.
-- open_assignments is a view (migrations, existing_projects): the words of the status are the project's own.
batch AS MATERIALIZED (
    SELECT
        a.id,
        a.org_id,
        a.peer_mentor_id,
        a.coordinator_id,
        a.anchor,
        coalesce(s.reminder_days, 10) AS reminder_days,
        coalesce(s.escalation_days, 20) AS escalation_days
    FROM (
        SELECT * FROM reminder_private.open_assignments
        WHERE id BETWEEN %(first)s AND %(last)s
        ORDER BY id
        LIMIT %(size)s
    ) AS a
    LEFT JOIN public.org_settings AS s ON s.org_id = a.org_id
),

-- PostgreSQL cannot subtract an infinite date: one such row would make its whole batch fail. It has no gap.
measured AS NOT MATERIALIZED (
    SELECT *, CASE WHEN isfinite(anchor) THEN %(as_of)s::date - anchor END AS gap_days
    FROM batch
),

-- The first branch has no row: it gives `kind` the type of the column, which is an enum in some projects.
wanted AS (
    SELECT m.id, m.org_id, n.kind, m.peer_mentor_id AS recipient_id, m.anchor, m.gap_days
    FROM measured AS m CROSS JOIN public.notifications AS n
    WHERE false
    UNION ALL
    SELECT id, org_id, 'reminder' AS kind, peer_mentor_id AS recipient_id, anchor, gap_days
    FROM measured
    WHERE gap_days >= reminder_days
    UNION ALL
    SELECT id, org_id, 'escalation' AS kind, coordinator_id AS recipient_id, anchor, gap_days
    FROM measured
    WHERE gap_days >= escalation_days
),

due AS MATERIALIZED (
    SELECT
        w.id,
        w.org_id,
        w.kind,
        w.recipient_id,
        w.anchor,
        w.gap_days,
        n.assignment_id IS NOT NULL AS done
    FROM wanted AS w
    LEFT JOIN LATERAL (
        SELECT e.assignment_id, e.run_id
        FROM public.notifications AS e
        WHERE e.assignment_id = w.id AND e.kind = w.kind AND e.contact_anchor = w.anchor
        LIMIT 1
    ) AS n ON true
    WHERE n.assignment_id IS NULL OR n.run_id = %(run_id)s
)

-- name: dispatch_batch
-- Evaluate, lock, insert: one statement for a batch of any size.
-- Only assignments with something to insert are locked, so a day without reminders locks nothing. An assignment that
-- changed between this statement's snapshot and its lock, or that another transaction has locked, is not inserted but
-- reported as busy. Inserted in id order, so two runs at the same time wait for each other and never deadlock.
-- No ON CONFLICT, which costs a sixth of a batch: where another call has inserted a row since this statement's snapshot,
-- the unique index refuses the batch, and the service evaluates it again, with that row visible.
WITH
-- include: due
,

held AS MATERIALIZED (
    SELECT h.id, h.anchor
    FROM public.lock_assignments(
        (SELECT array_agg(d.id) FROM due AS d WHERE NOT d.done AND d.recipient_id IS NOT NULL)
    ) AS h
),

inserted AS (
    INSERT INTO public.notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days, run_id)
    SELECT d.id, d.recipient_id, d.kind, d.anchor, d.gap_days, %(run_id)s
    FROM due AS d
    INNER JOIN held AS h ON h.id = d.id AND h.anchor = d.anchor
    WHERE NOT d.done AND d.recipient_id IS NOT NULL
    ORDER BY d.id
    RETURNING assignment_id
)

SELECT
    (SELECT count(*) FROM batch) AS evaluated,
    (SELECT count(*) FROM inserted) AS inserted,
    (SELECT count(*) FROM due WHERE done) AS confirmed,
    (SELECT b.id FROM batch AS b ORDER BY b.id DESC LIMIT 1) AS last_id,
    ARRAY(SELECT d.id FROM due AS d WHERE d.recipient_id IS NULL ORDER BY d.id) AS without_recipient,
    ARRAY(SELECT b.id FROM batch AS b WHERE NOT isfinite(b.anchor) ORDER BY b.id) AS failed,
    -- Computed only if something was not inserted, which is rare.
    CASE
        WHEN
            (SELECT count(*) FROM due WHERE NOT done AND recipient_id IS NOT NULL) > (SELECT count(*) FROM inserted)
            THEN ARRAY(
                SELECT DISTINCT d.id
                FROM due AS d
                LEFT JOIN held AS h ON h.id = d.id AND h.anchor = d.anchor
                WHERE NOT d.done AND d.recipient_id IS NOT NULL AND h.id IS NULL
                ORDER BY d.id
            )
        ELSE '{}'
    END AS busy

-- name: plan_batch
-- What dispatch_batch would insert. Reads only.
WITH
-- include: due

SELECT
    (SELECT count(*) FROM batch) AS evaluated,
    (SELECT count(*) FROM due WHERE recipient_id IS NOT NULL) AS inserted,
    (SELECT b.id FROM batch AS b ORDER BY b.id DESC LIMIT 1) AS last_id,
    ARRAY(SELECT d.id FROM due AS d WHERE d.recipient_id IS NULL ORDER BY d.id) AS without_recipient,
    ARRAY(SELECT b.id FROM batch AS b WHERE NOT isfinite(b.anchor) ORDER BY b.id) AS failed,
    (
        SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') FROM (
            SELECT
                d.id AS assignment_id,
                d.org_id,
                d.recipient_id,
                d.kind,
                d.gap_days
            FROM due AS d
            WHERE d.recipient_id IS NOT NULL
            ORDER BY d.id
            LIMIT %(plan_limit)s
        ) AS p
    ) AS planned

-- name: hold_run
-- The fence: locks the run's row until this transaction ends, if it is 'running', and returns the run's date.
SELECT public.hold_run_date(%(run_id)s)

-- name: first_open
-- The id of the row, when a batch of one has failed.
SELECT id FROM reminder_private.open_assignments
WHERE id BETWEEN %(first)s AND %(last)s
ORDER BY id
LIMIT 1

-- name: is_near
-- A dry run may look a year ahead; the database says what today is.
SELECT %(as_of)s::date <= (clock_timestamp() AT TIME ZONE 'UTC')::date + 366

-- name: of_unknown_status
-- Assignments whose status reminder_statuses does not list. Used only when there was nothing to evaluate.
SELECT count(*)
FROM public.assignments AS a
WHERE NOT EXISTS (SELECT FROM public.reminder_statuses AS s WHERE s.status = a.status::text)
