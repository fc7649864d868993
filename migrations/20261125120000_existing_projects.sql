-- migrate:up
-- Existing projects differ in the words for an open assignment, in the type of its id, and in whether they have a
-- notifications table that fits. Each difference is stored in one place, and everything else reads it there:
--
--   public.reminder_statuses             which words of assignments.status mean that it is open (data)
--   reminder_private.open_assignments    the assignments with those words, which batches read
--   reminder_private.project             the table that the reminders are written to
--
-- A view and a partial index need constants, so a change of reminder_statuses creates both again.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- New databases create this table in the check of the first migration. This is for older databases.
CREATE SCHEMA IF NOT EXISTS reminder_private;
REVOKE ALL ON SCHEMA reminder_private FROM PUBLIC;
GRANT USAGE ON SCHEMA reminder_private TO reminder_scheduler;
CREATE TABLE IF NOT EXISTS reminder_private.project (
    notifications text NOT NULL
    CONSTRAINT notifications_has_a_known_name CHECK (notifications IN ('notifications', 'reminder_notifications'))
);
GRANT SELECT ON reminder_private.project TO reminder_scheduler;
INSERT INTO reminder_private.project
SELECT 'notifications' WHERE NOT EXISTS (SELECT FROM reminder_private.project);

-- A project with other words makes this table before the first migration, with its own rows; they stay.
DO $$
BEGIN
    IF to_regclass('public.reminder_statuses') IS NULL THEN
        CREATE TABLE public.reminder_statuses (
            status text CONSTRAINT reminder_statuses_pkey PRIMARY KEY,
            is_open boolean NOT NULL
        );
        INSERT INTO public.reminder_statuses VALUES ('open', true), ('closed', false);
    END IF;
END
$$;
COMMENT ON TABLE public.reminder_statuses IS
'The words of assignments.status: reminders are sent for those that are open. One that is not listed is not open';
ALTER TABLE public.reminder_statuses ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.reminder_statuses FROM anon, authenticated, service_role;
GRANT SELECT ON public.reminder_statuses TO reminder_scheduler;
CREATE POLICY scheduler_reads_statuses ON public.reminder_statuses
    FOR SELECT TO reminder_scheduler USING (true);

-- Constants, so that the planner finds the index and a batch reads no row that is closed. They take the column's own
-- type, be it text or an enum. security_invoker: the reader's own grants and policies on assignments apply.
CREATE FUNCTION reminder_private.make_open_assignments() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    words constant text := (
        SELECT string_agg(quote_literal(s.status), ', ' ORDER BY s.status) FROM public.reminder_statuses AS s WHERE s.is_open
    );
BEGIN
    IF words IS NULL THEN
        RAISE EXCEPTION 'reminder_statuses names no status that is open, so nobody would ever be reminded'
            USING ERRCODE = 'check_violation';
    END IF;
    EXECUTE format($view$
        CREATE OR REPLACE VIEW reminder_private.open_assignments WITH (security_invoker = true) AS
        SELECT
            a.ctid AS version, a.id, a.org_id, a.peer_mentor_id, a.coordinator_id,
            coalesce(a.last_contact_date, (a.assigned_at AT TIME ZONE 'UTC')::date) AS anchor
        FROM public.assignments AS a
        WHERE a.status IN (%s)
    $view$, words);
    EXECUTE format(
        'CREATE INDEX IF NOT EXISTS assignments_open_idx ON public.assignments (id) WHERE status IN (%s)', words
    );
END
$$;
REVOKE ALL ON FUNCTION reminder_private.make_open_assignments() FROM PUBLIC;

SELECT reminder_private.make_open_assignments();
GRANT SELECT ON reminder_private.open_assignments TO reminder_scheduler;

-- A change of the words also changes everything that depends on them, in the same transaction. Assignments are locked
-- against writing while the index is built: about a second for a million.
-- A new meaning of a status has the same effect on notifications as a new status (settle_notifications).
CREATE FUNCTION public.apply_reminder_statuses() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DROP INDEX IF EXISTS public.assignments_open_idx;
    PERFORM reminder_private.make_open_assignments();
    UPDATE public.notifications AS n
    SET resolved_at = CASE WHEN n.resolved_at IS NULL THEN clock_timestamp() END
    FROM public.assignments AS a
    LEFT JOIN public.reminder_statuses AS s ON s.status = a.status::text
    WHERE
        a.id = n.assignment_id
        AND (n.resolved_at IS NULL) <> (
            coalesce(s.is_open, false)
            AND n.contact_anchor = coalesce(a.last_contact_date, (a.assigned_at AT TIME ZONE 'UTC')::date)
        );
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION public.apply_reminder_statuses() FROM PUBLIC, anon, authenticated, service_role;

CREATE TRIGGER statuses_are_applied
AFTER INSERT OR UPDATE OR DELETE ON public.reminder_statuses
FOR EACH STATEMENT EXECUTE FUNCTION public.apply_reminder_statuses();

-- As in contact_hook, but for the words.
CREATE OR REPLACE FUNCTION public.settle_notifications() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    anchor constant date := coalesce(NEW.last_contact_date, (NEW.assigned_at AT TIME ZONE 'UTC')::date);
    is_open constant boolean := EXISTS (
        SELECT FROM public.reminder_statuses AS s WHERE s.status = NEW.status::text AND s.is_open
    );
BEGIN
    RAISE DEBUG 'assignment %: last contact % -> %, %', NEW.id, OLD.last_contact_date, NEW.last_contact_date, NEW.status;

    UPDATE public.notifications AS n
    SET resolved_at = CASE WHEN n.resolved_at IS NULL THEN clock_timestamp() END
    WHERE
        n.assignment_id = NEW.id
        AND (n.resolved_at IS NULL) <> (is_open AND n.contact_anchor = anchor);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION public.settle_notifications() FROM PUBLIC, anon, authenticated, service_role;

-- As in run_lock_and_fence, which says why it is so, but for the words and for other types of ids. Its type is found
-- here, and so is the name of the table that the two functions above write to.
DO $$
DECLARE
    id_type constant text := (
        SELECT format_type(a.atttypid, NULL)
        FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = 'public.assignments'::regclass AND a.attname = 'id'
    );
    target constant text := (SELECT p.notifications FROM reminder_private.project AS p);
    written regprocedure;
    serial regclass;
BEGIN
    DROP FUNCTION public.hold_assignments(tid []);
    EXECUTE format($hold$
        CREATE FUNCTION public.hold_assignments(versions tid []) RETURNS TABLE (id %s, anchor date)
        LANGUAGE sql VOLATILE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $body$
            SELECT a.id, a.anchor
            FROM reminder_private.open_assignments AS a
            WHERE a.version = ANY (versions)
            FOR SHARE SKIP LOCKED
        $body$
    $hold$, id_type);

    FOREACH written IN ARRAY ARRAY['public.apply_reminder_statuses()', 'public.settle_notifications()']::regprocedure []
    LOOP
        EXECUTE replace(pg_get_functiondef(written), 'public.notifications', format('public.%I', target));
    END LOOP;

    -- An app's own notifications may number its rows by sequences (serial), which an INSERT must be allowed to use.
    FOR serial IN
        SELECT s.oid::regclass
        FROM pg_catalog.pg_attrdef AS d
        INNER JOIN pg_catalog.pg_depend AS p
            ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
        INNER JOIN pg_catalog.pg_class AS s ON s.oid = p.refobjid AND s.relkind = 'S'
        WHERE d.adrelid = to_regclass('public.' || target)
    LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO reminder_scheduler', serial);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION public.hold_assignments(tid []) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.hold_assignments(tid []) TO reminder_scheduler;

-- migrate:down
