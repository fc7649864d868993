-- name: assignment
-- Row level security shows an admin the organisations that the claims name; asked for here once more, because
-- the same person may see other assignments as their mentor. The database says what today is.
SELECT
    a.last_contact_date,
    (a.assigned_at AT TIME ZONE 'UTC')::date AS began,
    (clock_timestamp() AT TIME ZONE 'UTC')::date AS today
FROM public.assignments AS a
WHERE
    a.id = %(assignment_id)s
    AND (%(org_ids)s::uuid [] IS NULL OR a.org_id = ANY(%(org_ids)s::uuid []))

-- name: latest
-- Who set the date that stands.
SELECT assignment_id, old_date, new_date, reason, corrected_by, corrected_at
FROM public.contact_date_corrections
WHERE assignment_id = %(assignment_id)s
ORDER BY id DESC
LIMIT 1

-- name: correct
-- The row is the audit and the change: its trigger moves the date, if old_date is still true.
INSERT INTO public.contact_date_corrections (assignment_id, old_date, new_date, reason)
VALUES (%(assignment_id)s, %(old_date)s, %(new_date)s, %(reason)s)
RETURNING assignment_id, old_date, new_date, reason, corrected_by, corrected_at
