"""What every act of the demo needs: the stage, the stack, and the dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

from ops.local.stack import LocalStack
from ops.tools.demo.stage import Stage


@dataclass(slots=True)
class Play:
    """What every act needs."""

    stage: Stage
    stack: LocalStack
    database: psycopg.Connection[Any]
    first_day: date

    def tick(self, day: int) -> dict[str, str]:
        """The event that EventBridge Scheduler sends for the 06:00 tick of story day `day` (0, 1, 2 …)."""
        moment = datetime.combine(self.first_day + timedelta(day), datetime.min.time(), UTC).replace(hour=6)
        return {
            "scheduled_time": moment.isoformat().replace("+00:00", "Z"),
            "execution_id": f"demo-{day}",
            "attempt_number": "1",
        }

    def count(self, table: str, where: str = "true") -> int:
        """How many rows there are."""
        row = self.database.execute(f"SELECT count(*) FROM {table} WHERE {where}".encode()).fetchone()
        return int(row[0]) if row else 0
