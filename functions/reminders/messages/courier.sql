-- name: compose
-- Set-based: a million notifications become messages in a few statements, whatever their number.
SELECT composed, unknown_zones FROM reminder_private.compose_messages(%(channels)s, %(max_age)s, %(at_most)s)

-- name: claim
-- Each claim reserves its share of the rate, so that couriers side by side keep to one rate.
-- lease_until names the claim.
SELECT message_id, wait_seconds, lease_until
FROM reminder_private.claim_messages(%(channel)s, %(at_most)s, %(per_second)s, %(lease_seconds)s)

-- name: load
-- Right before sending: what was read or resolved since the claim is cancelled here, and gives no row. Messages that this
-- lease no longer holds, or holds for too short a time, give no row either.
SELECT
    message_id, org_id, recipient_id, local_date, attempts, organisation, locale, email, devices, reminders, escalations,
    reminder_gap, escalation_gap
FROM reminder_private.load_messages(%(claimed)s, %(lease)s, %(seconds)s)

-- name: settle
-- One statement for all that was sent in the meantime.
SELECT reminder_private.settle_messages(%(results)s)

-- name: record_devices
-- Endpoints that were created, and devices that no longer exist.
SELECT reminder_private.record_devices(%(results)s)

-- name: test_recipient
-- For the operator's test message: the person's address and devices, whatever is due.
SELECT email, locale, devices FROM reminder_private.test_recipient(%(person)s)

-- name: report_failure
-- The courier may not write alerts; the function writes this one, in its own words, once a day and channel.
SELECT reminder_private.report_channel_failure(%(channel)s, %(reason)s, %(alert_channels)s::text [])
