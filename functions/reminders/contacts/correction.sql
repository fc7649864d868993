-- name: assignment
-- The function returns rows to an admin only, for the organisations of the claims. They are compared again, because
-- this must hold on a table with other policies, too. Today is by the database's clock.
-- The current dates are text, because Python's dates are limited to the years 1 to 9999 and have no infinity; in JSON's
-- form, because that does not depend on DateStyle. A start date in the future is wrong itself, so it limits nothing.
SELECT
    to_jsonb(a.last_contact_date) #>> '{}' AS last_contact_date,
    to_jsonb(a.began) #>> '{}' AS began,
    a.today,
    coalesce(%(new_date)s < a.began AND a.began <= a.today, false) AS is_before_it_began
FROM reminder_admin.assignment(%(assignment_id)s) AS a
WHERE %(org_ids)s::uuid [] IS NULL OR a.org_id = ANY(%(org_ids)s::uuid [])

-- name: latest
-- The correction that set the current date, if there is one.
SELECT
    latest.assignment_id,
    to_jsonb(latest.old_date) #>> '{}' AS old_date,
    latest.new_date,
    latest.reason,
    latest.corrected_by,
    latest.corrected_at
FROM (
    SELECT * FROM public.contact_date_corrections
    WHERE assignment_id = %(assignment_id)s
    ORDER BY id DESC
    LIMIT 1
) AS latest
WHERE latest.new_date = %(new_date)s

-- name: correct
-- The row is the audit record and the change: its trigger changes the date, if old_date is still the current one.
INSERT INTO public.contact_date_corrections (assignment_id, old_date, new_date, reason)
VALUES (%(assignment_id)s, %(old_date)s, %(new_date)s, %(reason)s)
RETURNING assignment_id, to_jsonb(old_date) #>> '{}' AS old_date, new_date, reason, corrected_by, corrected_at
