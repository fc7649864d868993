-- name: backlog
-- One look at the index of unsent messages, and the newest alert about them.
SELECT waiting, since, reported IS NOT NULL AS is_reported FROM reminder_private.message_backlog()

-- name: prune
-- The function alone may delete, and keeps 7 days whatever is asked.
SELECT reminder_private.prune_messages(%(days)s, %(at_most)s)
