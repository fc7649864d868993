"""
The services outside of the database, as an HTTP server on loopback: SNS, SES, EventBridge Scheduler.

boto3 talks to it as to AWS. moto would do too, but takes 10 ms a mail, and the simulation sends thousands. Each
service can be down, and what it took is kept. `broken` is the URL of a scheduler function that fails.
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID
from xml.sax.saxutils import escape

# The error that SES and SNS answer, by the name of an outage: status and code.
EMAIL_ERRORS = {
    "email is down": (503, "InternalServiceErrorException"),
    "email is throttled": (429, "TooManyRequestsException"),
    "email is stopped": (400, "SendingPausedException"),
}
PUSH_ERRORS = {
    "push is down": (500, "InternalError"),
    "push is throttled": (429, "Throttled"),
    "push is stopped": (400, "PlatformApplicationDisabled"),
}
ENDPOINT = "arn:aws:sns:eu-west-2:123456789012:endpoint/GCM/reminders/"


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that SES took, or a push message that SNS took. `to`: an address, or a device's token."""

    id: str
    channel: str
    to: str
    org: UUID
    text: str


class Outside:
    """
    The server. Use it in a `with`.

    `down` has the outages of now, `refused` the addresses that SES refuses and the devices that SNS has disabled.
    """

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.refused: set[str] = set()
        self.sent: list[Sent] = []
        self.published: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.schedule = (True, datetime.now(UTC))  # enabled, and since when
        # Called when a message arrives, before it is answered; whether the message is taken.
        self.on_message: Callable[[], bool] | None = None
        self._count = 0
        self._lock = threading.Lock()
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.broken = f"{self.url}/broken"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Outside:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: bytes) -> tuple[int, str, str]:
        """Status, code of the error or "", and body."""
        if path.startswith("/broken"):
            return 500, "", '{"type": "about:blank", "title": "Internal Server Error", "status": 500}'
        if path.startswith("/schedules/"):
            enabled, since = self.schedule
            state = "ENABLED" if enabled else "DISABLED"
            return 200, "", json.dumps({"State": state, "LastModificationDate": since.timestamp()})
        if path.startswith("/v2/email/"):
            return self._send_email(json.loads(body))
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if form["Action"] == "CreatePlatformEndpoint":
            return _sns_answer("CreatePlatformEndpoint", EndpointArn=f"{ENDPOINT}{form['Token']}")
        return self._push(form) if "TargetArn" in form else self._alert(form)

    def _send_email(self, request: dict[str, Any]) -> tuple[int, str, str]:
        to, org = request["Destination"]["ToAddresses"][0], UUID(request["EmailTags"][0]["Value"])
        for name, (status, code) in EMAIL_ERRORS.items():
            if name in self.down:
                return status, code, '{"message": "no"}'
        if to in self.refused:
            return 400, "BadRequestException", '{"message": "no"}'
        taken = self._take("email", to, org, base64.b64decode(request["Content"]["Raw"]["Data"]).decode())
        if taken is None:
            return 503, "InternalServiceErrorException", "{}"
        return 200, "", json.dumps({"MessageId": taken})

    def _push(self, form: dict[str, str]) -> tuple[int, str, str]:
        for name, (status, code) in PUSH_ERRORS.items():
            if name in self.down:
                return _sns_error(status, code)
        token = form["TargetArn"].removeprefix(ENDPOINT)
        if token in self.refused:
            return _sns_error(400, "EndpointDisabled")
        shown = json.loads(json.loads(form["Message"])["GCM"])["fcmV1Message"]["message"]
        org = UUID(shown["android"]["collapse_key"].partition("-")[0])
        taken = self._take("push", token, org, shown["notification"]["body"])
        return _sns_error(500, "InternalError") if taken is None else _sns_answer("Publish", MessageId=taken)

    def _take(self, channel: str, to: str, org: UUID, text: str) -> str | None:
        """The message's id; None: its courier died, and it was not taken."""
        with self._lock:
            if self.on_message is not None and not self.on_message():
                return None
            self._count += 1
            self.sent.append(Sent(f"{channel}-{self._count}", channel, to, org, text))
            return self.sent[-1].id

    def _alert(self, form: dict[str, str]) -> tuple[int, str, str]:
        if "sns" in self.down:
            return _sns_error(500, "InternalError")
        names = {value: key for key, value in form.items() if re.fullmatch(r"MessageAttributes\.entry\.\d+\.Name", key)}
        payload = form[names["payload"].replace(".Name", ".Value.StringValue")]
        self.published.append(json.loads(payload))
        self.texts.append(f"{form.get('Subject')} {form['Message']} {payload}")
        return _sns_answer("Publish", MessageId="1")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outside = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, code, text = outside.answer(self.path, body)
                self.send_response(status)
                if code:
                    self.send_header("x-amzn-errortype", code)
                self.send_header("content-type", "text/xml" if text.startswith("<") else "application/json")
                self.send_header("content-length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST

            def log_message(self, format: str, *arguments: object) -> None:
                """Quiet."""

        return Answers


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed does not wait for its answer."""


def _sns_answer(action: str, **values: str) -> tuple[int, str, str]:
    fields = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())
    result = f"<{action}Result>{fields}</{action}Result>"
    return 200, "", f"<{action}Response>{result}<ResponseMetadata/></{action}Response>"


def _sns_error(status: int, code: str) -> tuple[int, str, str]:
    error = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    return status, "", f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"


def words_of(sent: Sent) -> str:
    """The plain text of a message."""
    if sent.channel == "push":
        return sent.text
    part = email.message_from_string(sent.text, policy=email.policy.default).get_body(("plain",))
    return "" if part is None else str(part.get_content())
