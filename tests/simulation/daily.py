"""What is compared once a day: everything that has no event of its own."""

from __future__ import annotations

from tests.simulation.model import DAY, HOUR
from tests.simulation.situation import Situation, check, check_equal, shortened
from tests.simulation.world import DOMAIN, NAME, PAIRS, TOKEN, key_of, number_of


class Daily:
    """`compare` at the end of each day."""

    def __init__(self, situation: Situation) -> None:
        self._situation, self._world, self._model = situation, situation.world, situation.model
        self._seen = 0

    def compare(self) -> None:
        self._compare_assignments()
        self._compare_notifications()
        check(self._world.lock_is_taken or self._world.lock_is_free(), "no run of ours holds the lock")
        self._check_ends_of_messages()
        self._check_nothing_personal()
        self._check_retention()

    def _compare_assignments(self) -> None:
        rows = self._world.all(
            "SELECT id, status, last_contact_date, peer_mentor_id, coordinator_id FROM assignments ORDER BY id"
        )
        found = {
            PAIRS[row["id"]]: (
                row["status"] == "open",
                row["last_contact_date"],
                number_of(row["peer_mentor_id"]),
                row["coordinator_id"] and number_of(row["coordinator_id"]),
            )
            for row in rows
        }
        expected = {n: (p.is_open, p.last, p.mentor, p.coordinator) for n, p in self._model.pairs.items()}
        wrong = {n: (expected.get(n), found.get(n)) for n in expected | found if expected.get(n) != found.get(n)}
        check(not wrong, "assignments differ (expected, found)", shortened(wrong))

    def _compare_notifications(self) -> None:
        rows = self._world.all(
            "SELECT assignment_id, kind, contact_anchor FROM notifications WHERE resolved_at IS NULL"
        )
        found = {key_of(row) for row in rows}
        notifications = {
            (n, *key): notification
            for n, pair in self._model.pairs.items()
            for key, notification in pair.notifications.items()
        }
        expected = {key for key, notification in notifications.items() if notification.is_open}
        check(found == expected, "open notifications differ", shortened(sorted(found ^ expected)))
        check_equal(
            "notifications in all", len(notifications), self._situation.count("SELECT count(*) FROM notifications")
        )

    def _check_ends_of_messages(self) -> None:
        rows = self._world.all(
            """
            SELECT recipient_id, status, send_after, expires_at FROM messages
            WHERE status IN ('expired', 'failed') AND expires_at > now() - interval '2 days'
            """
        )
        for row in rows:
            person = number_of(row["recipient_id"])
            is_refused = person in self._situation.refused
            if row["status"] == "failed":
                check(is_refused, "a message failed, and no provider refuses this person", person)
            else:
                about = (row["send_after"] - HOUR, row["expires_at"])
                may_be_late = self._situation.troubles.overlap(*about) or self._situation.hour_changes.overlap(*about)
                check(may_be_late or is_refused, "a message expired, and nothing was down", person)

    def _check_nothing_personal(self) -> None:
        texts = [self._world.take_log(), *map(str, self._world.slack.posted[self._seen :])]
        texts += self._world.outside.texts
        self._seen = len(self._world.slack.posted)
        self._world.outside.texts.clear()
        rows = self._world.all(
            """
            SELECT concat_ws(' ', error_message, note, event_id) AS text FROM cron_execution_logs
            WHERE started_at > now() - interval '1 day'
            UNION ALL SELECT payload::text FROM cron_alerts WHERE created_at > now() - interval '1 day'
            UNION ALL SELECT last_error FROM cron_alert_deliveries WHERE last_error IS NOT NULL
            UNION ALL SELECT last_error FROM messages WHERE last_error IS NOT NULL
            """
        )
        texts += [row["text"] or "" for row in rows]
        for secret in (DOMAIN, NAME, TOKEN, *self._world.passwords):
            found = next((text for text in texts if secret in text), None)
            check(found is None, "personal data, or a password, in ledger, alerts or log", shortened(found))

    def _check_retention(self) -> None:
        rows = self._situation.count("SELECT count(*) FROM cron_execution_logs")
        kept = [run for run in self._model.runs if run.started > self._situation.now - 90 * DAY]
        older = [run for run in self._model.runs if run.started > self._situation.now - 91 * DAY]
        # The newest success stays, however old it is.
        check(len(kept) <= rows <= len(older) + 1, "rows of the ledger after 90 days", rows, len(kept), len(older))
