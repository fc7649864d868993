-- name: hook_for_each_row
-- The same hook, called once for each activity.
CREATE FUNCTION public.bench_log_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ''
AS $$
BEGIN
    UPDATE public.assignments AS a
    SET last_contact_date = NEW.recorded_date
    WHERE
        a.id = NEW.assignment_id
        AND NEW.recorded_date <= (clock_timestamp() AT TIME ZONE 'UTC')::date
        AND NEW.activity_type IN (SELECT t.code FROM public.contact_activity_types AS t)
        AND (
            NEW.recorded_date > a.last_contact_date
            OR (a.last_contact_date IS NULL AND NEW.recorded_date >= (a.assigned_at AT TIME ZONE 'UTC')::date)
        );
    RETURN NULL;
END
$$;
DROP TRIGGER contact_moves_the_date ON public.activities;
CREATE TRIGGER contact_moves_the_date
AFTER INSERT ON public.activities
FOR EACH ROW EXECUTE FUNCTION public.bench_log_contact()

-- name: settle_for_each_statement
-- The notifications' trigger, called once for each UPDATE, with transition tables.
CREATE FUNCTION public.bench_settle() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ''
AS $$
BEGIN
    UPDATE public.notifications AS n
    SET resolved_at = CASE WHEN n.resolved_at IS NULL THEN clock_timestamp() END
    FROM after AS a
    INNER JOIN before AS b ON b.id = a.id
    WHERE
        (a.last_contact_date IS DISTINCT FROM b.last_contact_date OR a.status <> b.status OR a.assigned_at <> b.assigned_at)
        AND n.assignment_id = a.id
        AND (n.resolved_at IS NULL) <> (
            a.status = 'open'
            AND n.contact_anchor = coalesce(a.last_contact_date, (a.assigned_at AT TIME ZONE 'UTC')::date)
        );
    RETURN NULL;
END
$$;
DROP TRIGGER notifications_follow_the_gap ON public.assignments;
CREATE TRIGGER notifications_follow_the_gap
AFTER UPDATE ON public.assignments
REFERENCING OLD TABLE AS before NEW TABLE AS after
FOR EACH STATEMENT EXECUTE FUNCTION public.bench_settle()

-- name: no_hook
DROP TRIGGER contact_moves_the_date ON public.activities

-- name: fill
-- A notification that the contact will resolve, for half of the assignments.
INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
SELECT id, peer_mentor_id, 'reminder', coalesce(last_contact_date, (assigned_at AT TIME ZONE 'UTC')::date), 10
FROM assignments WHERE abs(hashtext(id::text)) %% 2 = 0

-- name: log
-- `rows` activities, two for each assignment, in no order.
INSERT INTO activities (assignment_id, activity_type, recorded_date)
SELECT
    md5('assignment ' || 1 + (n + %(skip)s) / 2)::uuid,
    'meeting',
    (now() AT TIME ZONE 'UTC')::date - n %% 2
FROM generate_series(0, %(rows)s - 1) AS n ORDER BY md5(n::text)
