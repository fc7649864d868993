-- name: overview
-- One row: the state of the job, for the sentence on top. The ledger is read under the caller's policy.
SELECT
    now() AS now,
    good.completed_at AS succeeded_at,
    good.started_at AS success_started_at,
    good.reminders_dispatched AS dispatched,
    good.assignments_failed AS failed,
    good.assignments_without_recipient AS without_recipient,
    last.id AS last_run_id,
    last.status = 'failed' AS last_failed,
    last.consecutive_failure_count AS failures,
    last.scheduled_for AS last_scheduled_for,
    last.completed_at AS last_ended_at,
    going.started_at AS running_since,
    held.pid AS lock_pid,
    c.open_assignments,
    c.past_reminder,
    c.past_escalation,
    c.without_coordinator,
    c.longest_days,
    reminder_admin.unreached_count() AS unreached
FROM reminder_admin.waiting_counts(NULL) AS c
LEFT JOIN LATERAL (
    SELECT * FROM public.cron_execution_logs WHERE status = 'success' ORDER BY started_at DESC LIMIT 1
) AS good ON true
LEFT JOIN LATERAL (
    SELECT * FROM public.cron_execution_logs WHERE status IN ('success', 'failed') ORDER BY started_at DESC LIMIT 1
) AS last ON true
LEFT JOIN LATERAL (
    SELECT * FROM public.cron_execution_logs WHERE status = 'running' ORDER BY started_at LIMIT 1
) AS going ON true
-- Who holds the run lock: every role may read that, and nothing else of another session.
LEFT JOIN LATERAL (
    SELECT l.pid FROM pg_catalog.pg_locks AS l
    WHERE
        l.locktype = 'advisory'
        AND l.granted
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
        AND l.objsubid = 1
        AND (l.classid::bigint << 32 | l.objid::bigint) = %(key)s
    LIMIT 1
) AS held ON true

-- name: days
-- One row for each day with a settled run, by the scheduled time: a run that is repeated later belongs to its own day.
SELECT
    (scheduled_for AT TIME ZONE 'UTC')::date AS day,
    bool_or(status = 'success') AS succeeded,
    bool_or(status = 'failed') AS failed,
    sum(reminders_dispatched)::integer AS dispatched
FROM public.cron_execution_logs
WHERE
    started_at > now() - make_interval(days => %(days)s + 2)
    AND scheduled_for > now() - make_interval(days => %(days)s + 1)
    AND status IN ('success', 'failed')
GROUP BY 1

-- name: organisations
-- Those of which the caller is an admin, with their settings.
SELECT org_id, name, time_zone, locale, reminder_days, escalation_days, send_from, send_until
FROM reminder_admin.organisations()

-- name: waiting
-- One page with the counts of the whole list beside each row, so that one query is enough. A page without rows has
-- one row of counts.
SELECT
    c.open_assignments,
    c.past_reminder,
    c.past_escalation,
    c.without_coordinator,
    (SELECT reminder_admin.messages_in_use()) AS messages_in_use,
    w.*
FROM reminder_admin.waiting_counts(%(org_id)s) AS c
LEFT JOIN reminder_admin.waiting(
    %(org_id)s, %(threshold)s, %(after_since)s, %(after_id)s, NULL, NULL, %(at_most)s
) AS w ON true
ORDER BY w.since, w.id

-- name: export_ends
-- Where the parts of a long CSV end: the last row of each part. The bounds are rows, not numbers, so that no
-- assignment falls between two parts when another one leaves the list meanwhile.
SELECT since, id FROM reminder_admin.waiting_ends(%(org_id)s, %(threshold)s, %(size)s, %(at_most)s)

-- name: export
-- One part of the CSV: what comes after the end of the part before it, up to its own.
SELECT w.*
FROM reminder_admin.waiting(
    %(org_id)s, %(threshold)s, %(after_since)s, %(after_id)s, %(until_since)s, %(until_id)s, %(at_most)s
) AS w
ORDER BY w.since, w.id

-- name: messages_in_use
-- Whether messages are sent from here at all. If not, the pages do not mention them.
SELECT reminder_admin.messages_in_use()

-- name: unreached
-- People whom a reminder has not reached, one row each, with the total beside each row.
SELECT u.* FROM reminder_admin.unreached(%(after_since)s, %(after_id)s, %(at_most)s) AS u

-- name: assignment
-- No row if the assignment does not exist, or belongs to another organisation.
SELECT
    id, org_id, is_open, mentor_id, mentor_name, coordinator_id, coordinator_name, began, today, last_contact_date,
    version, gap_days, reminder_days, escalation_days
FROM reminder_admin.assignment_page(%(assignment_id)s)

-- name: timeline
-- Newest first. The page shows at most 200.
SELECT at, kind, person, detail FROM reminder_admin.timeline(%(assignment_id)s, %(at_most)s)

-- name: alerts
-- The alerts about a run, and their delivery.
SELECT kind, created_at, channel, attempts, delivered_at FROM reminder_admin.alerts_of_run(%(run_id)s)

-- name: run_counts
-- How many runs there are, by status: the ledger holds a year, so that this is a few hundred rows.
SELECT
    count(*) AS every,
    count(*) FILTER (WHERE status = 'success') AS success,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'skipped') AS skipped,
    count(*) FILTER (WHERE status = 'running') AS running
FROM public.cron_execution_logs

-- name: set_thresholds
-- The function checks, locks and writes the audit row. The expected values are what the admin saw.
SELECT changed_at, old_value <> new_value AS has_changed
FROM public.admin_set_thresholds(
    %(org_id)s, %(reminder_days)s, %(escalation_days)s, %(expected_reminder_days)s, %(expected_escalation_days)s
)

-- name: set_organisation
-- As set_thresholds, for the name, the language, the time zone and the hours.
SELECT changed_at, old_value <> new_value AS has_changed
FROM reminder_admin.set_organisation(
    %(org_id)s, %(display_name)s, %(locale)s, %(time_zone)s, %(send_from)s, %(send_until)s, %(expected)s
)

-- name: time_zones_like
-- For "did you mean": by the whole name, or by the city alone.
SELECT z.name
FROM pg_catalog.pg_timezone_names AS z
WHERE
    lower(%(text)s) IN (lower(z.name), lower(regexp_replace(z.name, '^.*/', '')))
    AND z.name !~ '^(posix|right)/'
ORDER BY z.name
LIMIT 3

-- name: changes
-- Who changed which setting, newest first.
SELECT at, what, org_id, person, old_value, new_value FROM reminder_admin.settings_changes(%(org_id)s, %(at_most)s)
