-- name: compose
-- Set-based: a million notifications become messages in a few statements, whatever their number.
SELECT composed, unknown_zones FROM reminder_private.compose_messages(%(channels)s, %(max_age)s, %(at_most)s)

-- name: claim
-- Each claim reserves its share of the rate, so that couriers side by side keep to one rate.
SELECT message_id, wait_seconds
FROM reminder_private.claim_messages(%(channel)s, %(at_most)s, %(per_second)s, %(lease_seconds)s)

-- name: load
-- Right before sending: what was read or resolved since the claim is cancelled here, and gives no row.
SELECT
    message_id, org_id, recipient_id, local_date, attempts, organisation, locale, email, devices, reminders, escalations,
    reminder_gap, escalation_gap
FROM reminder_private.load_messages(%(ids)s)

-- name: settle
-- One statement for all that was sent in the meantime.
SELECT reminder_private.settle_messages(%(results)s)

-- name: record_devices
SELECT reminder_private.record_devices(%(results)s)

-- name: test_recipient
-- For the operator's test message: the person's address and devices, whatever is due.
SELECT email, locale, devices FROM reminder_private.test_recipient(%(person)s)

-- name: record_email_feedback
SELECT reminder_private.record_email_feedback(%(message)s, %(outcome)s, %(address_sha256)s)

-- name: disable_endpoint
SELECT reminder_private.disable_endpoint(%(endpoint)s)

-- name: unsubscribe
SELECT reminder_private.unsubscribe(%(person)s)

-- name: backlog
-- Asked by the watchdog: what should have been sent an hour ago.
SELECT waiting, since FROM reminder_private.message_backlog(%(late)s)

-- name: prune
SELECT reminder_private.prune_messages(%(days)s, %(at_most)s)
