-- name: record_email_feedback
-- The function marks the message and remembers the address by its hash; the role itself may read and write nothing.
SELECT reminder_private.record_email_feedback(%(message)s, %(outcome)s, %(address_sha256)s)

-- name: disable_endpoint
-- The device of this endpoint is used no more.
SELECT reminder_private.disable_endpoint(%(endpoint)s)

-- name: unsubscribe
-- Switches the person's e-mails off; the notifications stay in the app.
SELECT reminder_private.unsubscribe(%(person)s)
