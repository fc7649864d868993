"""
A stand-in for Slack's incoming webhooks: a real HTTP server on loopback that keeps what was posted.

    with Slack() as slack:
        secret = slack.webhook                   # a URL with a secret path, as Slack's are
        slack.response = SlackResponse(503)      # from now on
        slack.posted                             # the JSON bodies, in order
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from werkzeug import Request, Response

from ops.local.loopback import Loopback


@dataclass(frozen=True, slots=True)
class SlackResponse:
    """The webhook's HTTP response; Slack's own success is 200 "ok"."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)


class Slack(Loopback):
    """The server. Use it in a `with`."""

    def __init__(self) -> None:
        super().__init__(Request.application(self._receive))
        self.posted: list[dict[str, Any]] = []
        self.response = SlackResponse()
        self._path = f"/services/T000/B000/{secrets.token_urlsafe(18)}"
        self.webhook = f"{self.url}{self._path}"

    def _receive(self, request: Request) -> Response:
        known = request.method == "POST" and request.path == self._path
        response = self.response if known else SlackResponse(404, b"no_service")
        if known and response.status == 200:
            self.posted.append(request.get_json(force=True))
        return Response(response.body, response.status, response.headers)
