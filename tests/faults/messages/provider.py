"""
A stand-in for SES on loopback that real boto3 clients talk to: it counts what it took, by address.

Each request is a step of the barrier, "provider: send_email": held there, the provider has taken the message, and the
courier does not know yet.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter

from tests.alerting import answering, read_request
from tests.faults.statement_barrier import StatementBarrier
from tests.listening import Listening


class Provider(Listening):
    """`taken`: how often each address was sent to. `delay`: seconds before each answer."""

    def __init__(self, barrier: StatementBarrier) -> None:
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"
        self.taken: Counter[str] = Counter()
        self.delay = 0.0
        self._barrier = barrier
        self._counting = threading.Lock()

    def answer(self, client: socket.socket) -> None:
        body = json.loads(read_request(client).partition(b"\r\n\r\n")[2])
        (address,) = body["Destination"]["ToAddresses"]
        with self._counting:
            self.taken[address] += 1
            number = self.taken.total()
        time.sleep(self.delay)
        if self._barrier.answered("provider", "send_email"):
            answering(200, json.dumps({"MessageId": f"{number:04}"}).encode())(client)
