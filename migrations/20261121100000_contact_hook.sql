-- migrate:up
-- A logged contact has its effect in the same transaction: a mentor who has just logged a meeting must not get a
-- reminder from a run that starts a second later. There are two triggers:
--
--   activities   ── INSERT ──▶ the assignment's last_contact_date moves forward
--   assignments  ── UPDATE ──▶ its notifications are updated: those of the present gap are open, all others resolved
--
-- The second does not depend on who changed the date or the status, so the hook, an admin's correction, a closed
-- assignment and a manual UPDATE have the same effect.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- An activity counts if its type is in contact_activity_types and its recorded_date is not after today (UTC). A later
-- date is a typing error. It is ignored and not changed to today, because a wrong year must not stop the reminders of a
-- pair. A first contact with a date before the assignment is ignored too: it would lengthen the gap that it should end.
-- Updates and deletes of activities have no effect: to undo a contact, an admin corrects the date, with a reason.
--
-- The trigger is for each statement, not for each row. This is faster (docs/decisions.md), and
-- the rows of one statement can be locked in id order, as a dispatch batch locks them. Otherwise two bulk inserts
-- with the same assignments in different orders could deadlock.
-- The statements on assignments use arrays, because the plan of a query on a transition table keeps the
-- row estimate of the session's first call: after one bulk insert, each single insert would read the whole table.
--
-- SECURITY DEFINER, because a mentor may insert an activity but not update assignments. It changes only the
-- assignments of rows that were inserted, and the policies of activities decide which may be inserted.
CREATE FUNCTION public.log_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ''
AS $$
DECLARE
    today constant date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    ids uuid [];
    dates date [];
BEGIN
    SELECT array_agg(newest.assignment_id ORDER BY newest.assignment_id), array_agg(newest.day ORDER BY newest.assignment_id)
    INTO ids, dates
    FROM (
        SELECT l.assignment_id, max(l.recorded_date) AS day
        FROM logged AS l
        WHERE l.recorded_date <= today AND l.activity_type::text IN (SELECT t.code FROM public.contact_activity_types AS t)
        GROUP BY l.assignment_id
    ) AS newest;
    IF ids IS NULL THEN
        RETURN NULL;
    END IF;

    -- Only what would move: an old activity that somebody enters late waits for nobody. A batch that holds an
    -- assignment is waited for here. The UPDATE below is a new statement, sees what that batch inserted, and
    -- so does the trigger on assignments.
    PERFORM FROM public.assignments AS a
    INNER JOIN unnest(ids, dates) AS newest (id, day) ON newest.id = a.id
    WHERE newest.day > a.last_contact_date OR a.last_contact_date IS NULL
    ORDER BY a.id
    FOR NO KEY UPDATE OF a;

    UPDATE public.assignments AS a
    SET last_contact_date = newest.day
    FROM unnest(ids, dates) AS newest (id, day)
    WHERE
        a.id = newest.id
        AND (
            newest.day > a.last_contact_date
            OR (a.last_contact_date IS NULL AND newest.day >= (a.assigned_at AT TIME ZONE 'UTC')::date)
        );
    RETURN NULL;
END
$$;

DO $$
DECLARE
    id_type constant text := (
        SELECT format_type(a.atttypid, NULL)
        FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = 'public.assignments'::regclass AND a.attname = 'id'
    );
BEGIN
    EXECUTE replace(pg_get_functiondef('public.log_contact()'::regprocedure), 'ids uuid []', format('ids %s []', id_type));
END
$$;

REVOKE ALL ON FUNCTION public.log_contact() FROM PUBLIC, anon, authenticated, service_role;

CREATE TRIGGER contact_moves_the_date
AFTER INSERT ON public.activities
REFERENCING NEW TABLE AS logged
FOR EACH STATEMENT EXECUTE FUNCTION public.log_contact();

-- A notification is about one gap, which contact_anchor identifies. It is open while its assignment is open and
-- has this anchor. So a contact, or closing the assignment, resolves it. If an admin undoes a contact or reopens the
-- assignment, the old gap continues, and its notifications are opened again. They exist already, so no run
-- sends them a second time, and without this there would be no open notification for that gap.
--
-- The trigger is for each row, because most updates of assignments change neither date nor status, and WHEN then costs
-- almost nothing. A transition table would be filled for all of them. SECURITY DEFINER, because a person who may log
-- a contact or close an assignment may have no right on notifications.
CREATE FUNCTION public.settle_notifications() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ''
AS $$
DECLARE
    anchor constant date := coalesce(NEW.last_contact_date, (NEW.assigned_at AT TIME ZONE 'UTC')::date);
BEGIN
    RAISE DEBUG 'assignment %: last contact % -> %, %', NEW.id, OLD.last_contact_date, NEW.last_contact_date, NEW.status;

    UPDATE public.notifications AS n
    SET resolved_at = CASE WHEN n.resolved_at IS NULL THEN clock_timestamp() END
    WHERE
        n.assignment_id = NEW.id
        AND (n.resolved_at IS NULL) <> (NEW.status = 'open' AND n.contact_anchor = anchor);
    RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION public.settle_notifications() FROM PUBLIC, anon, authenticated, service_role;

CREATE TRIGGER notifications_follow_the_gap
AFTER UPDATE OF status, last_contact_date, assigned_at ON public.assignments
FOR EACH ROW
WHEN (
    old.last_contact_date IS DISTINCT FROM new.last_contact_date
    OR old.status IS DISTINCT FROM new.status
    OR old.assigned_at IS DISTINCT FROM new.assigned_at
)
EXECUTE FUNCTION public.settle_notifications();

-- migrate:down
