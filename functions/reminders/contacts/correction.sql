-- name: assignment
-- The function answers an admin only, for the organisations of the claims. They are compared once more, because this
-- must hold on a table with other policies, too. The database says what today is.
SELECT
    a.last_contact_date,
    a.began,
    a.today
FROM reminder_admin.assignment(%(assignment_id)s) AS a
WHERE %(org_ids)s::uuid [] IS NULL OR a.org_id = ANY(%(org_ids)s::uuid [])

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
