"""
A server on loopback between the caller and a service: it passes a request on, or fails as the test says.

    with FaultyService(url) as faulty:
        faulty.next(answer_with(503), cut_halfway)     # one fault for each request, then all goes well

A fault gets the call: it may have the service do its work first, and then lose, spoil or keep back the answer.
"""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.alerting import answering, read_request
from tests.listening import Listening

Fault = Callable[["Call"], None]
PASSED_ON = ("authorization", "content-type", "x-amz-target", "x-amz-date")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, its connection, and the service that it was meant for."""

    connection: socket.socket
    request: bytes
    upstream: str

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.request.partition(b"\r\n\r\n")[2])
        return found

    def hand_on(self) -> httpx.Response:
        """The service does its work; what it answers is still in our hands."""
        head, _, body = self.request.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [line.split(": ", 1) for line in lines]
        passed = {name: value for name, value in headers if name.lower() in PASSED_ON}
        return httpx.post(f"{self.upstream}{first.split()[1]}", content=body, headers=passed, timeout=30)

    def answer(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        answering(status, body, content_type=content_type)(self.connection)


def all_is_well(call: Call) -> None:
    answer = call.hand_on()
    call.answer(answer.status_code, answer.content, answer.headers["content-type"])


class FaultyService(Listening):
    """The server. `url` is its own; `calls` are those it got, in order."""

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._faults: deque[Fault] = deque()
        self._always: Fault = all_is_well
        self._upstream = upstream
        self.url = f"http://127.0.0.1:{self.port}"

    def next(self, *faults: Fault) -> None:
        """One for each of the next requests."""
        self._faults.extend(faults)

    def from_now_on(self, fault: Fault) -> None:
        self._always = fault

    def answer(self, client: socket.socket) -> None:
        call = Call(client, read_request(client), self._upstream)
        self.calls.append(call)
        (self._faults.popleft() if self._faults else self._always)(call)


def answer_with(status: int, body: bytes = b"{}", content_type: str = "application/json") -> Fault:
    """Answer instead of the service, which gets no request."""
    return lambda call: call.answer(status, body, content_type)


def after_the_work(fault: Fault) -> Fault:
    """The service has done it all; then the fault comes."""

    def act(call: Call) -> None:
        assert httpx.codes.OK == call.hand_on().status_code
        fault(call)

    return act


def cut_halfway(call: Call) -> None:
    """The service has done its work, and its answer breaks off in the middle."""
    body = call.hand_on().content
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    call.connection.sendall(head.encode() + body[: len(body) // 2])


def answer_falsely(**claims: object) -> Fault:
    """The service has done its work; its answer says something else about it."""

    def act(call: Call) -> None:
        call.answer(200, json.dumps({**call.hand_on().json(), **claims}).encode())

    return act
