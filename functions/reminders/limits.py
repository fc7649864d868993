"""
The time limits of a run, in seconds: one object, which the wiring passes to every part.

They fit together: a batch ends before its call, a call before the run's work, and the work early enough to settle the
run and to alert. Tests of paused processes pass shorter ones.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TransactionLimits:
    """When PostgreSQL ends a transaction that takes too long, because its process is paused, for example."""

    statement: float
    lock: float
    idle: float

    def settings(self) -> dict[str, str]:
        """PostgreSQL's parameters, for SET LOCAL, in milliseconds."""
        return {
            "statement_timeout": str(int(self.statement * 1000)),
            "lock_timeout": str(int(self.lock * 1000)),
            "idle_in_transaction_session_timeout": str(int(self.idle * 1000)),
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. Only tests pass others than these."""

    reserve: float = 8.0  #: of the invocation, kept from the work: 5 s to alert, 3 s to settle and unlock
    lease_grace: float = 10.0  #: PostgreSQL frees the run lock this long after the invocation's time
    #: Settling waits until the current batch unlocks the run's row. A paused batch can hold it for `batch.idle`.
    settle: TransactionLimits = TransactionLimits(statement=20.0, lock=15.0, idle=20.0)

    #: Of one call. A shorter call repeats less work if its response is lost. A longer call saves round trips.
    call_budget: float = 60.0
    answer_margin: float = 3.0  #: the service ends its last statement at most this long after its budget, and responds
    shortest_budget: float = 0.1  #: with less, no call is made
    #: Before a failed call is repeated: doubled each time, plus a random time up to `retry_jitter`.
    retry_pause: float = 0.2
    retry_jitter: float = 1.0
    join_grace: float = 0.25  #: shards are awaited slightly longer than their calls, so that a call's error is reported

    #: `statement` is more than any batch needs. Half a batch gets half of it, so one call finds a row that hangs.
    #: `idle`: the process that marks a run as abandoned waits until a paused batch loses the run's row.
    batch: TransactionLimits = TransactionLimits(statement=30.0, lock=5.0, idle=10.0)
    statement_grace: float = 2.0  #: a batch's statement may end this long after the call's budget

    delivery: float = 5.0  #: to send all waiting alerts
    send: float = 4.0  #: to send one
    mark: float = 0.3  #: kept from each, to record the delivery and commit
    #: A paused process must lose its claim, so that another process sends the alert.
    claim: TransactionLimits = TransactionLimits(statement=5.0, lock=2.0, idle=15.0)

    watchdog_delivery: float = 20.0  #: as `delivery`; the watchdog has more time than a run
    watchdog_reserve: float = 10.0  #: of the watchdog's invocation, kept from deleting old rows


LIMITS = Limits()
