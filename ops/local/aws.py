"""
Secrets Manager, SNS and EventBridge Scheduler on loopback, by moto's server.

    with Aws.start() as aws:
        env = {**os.environ, **aws.environment()}      # for a handler, here or in a process
        arn = aws.create_topic("alerts")

The server is a thread of this process: it ends with the process, and what was published can be read without a
subscription. Therefore all `Aws` of one process share their secrets and topics, and each start empties them. moto
accepts more than AWS does, for example invalid cron expressions, and it never evaluates alarms.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moto.server import ThreadedMotoServer

REGION = "eu-west-2"
ACCOUNT = "123456789012"  # moto's
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


@dataclass(frozen=True, slots=True)
class Published:
    """One SNS message as it was published."""

    message: str
    subject: str | None
    attributes: dict[str, Any]


class Aws:
    """A running stand-in for AWS. Make one with `start`; `stop` it, or use it in a `with`."""

    def __init__(self, server: ThreadedMotoServer) -> None:
        self._server = server
        host, port = server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self._clients: dict[str, Any] = {}
        self._pushed: dict[str, str] = {}

    @classmethod
    def start(cls) -> Aws:
        # Imported here, because it takes 1.5 s.
        from moto.core.base_backend import BackendDict
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for every request
        BackendDict.reset()
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        return cls(server)

    def environment(self) -> dict[str, str]:
        """Variables that send every AWS client to this server; they replace the real ones."""
        isolated = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        if os.environ.get("AWS_PROFILE"):
            isolated = {}  # boto3 refuses to start when AWS_PROFILE is set and has no file
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SESSION_TOKEN": "testing",
            **CREDENTIALS,
            **isolated,
        }

    def put_secret(self, name: str, value: str) -> None:
        """Create the secret, or give it a new current value. A request would take 7 ms."""
        from moto.secretsmanager.models import secretsmanager_backends

        secretsmanager_backends[ACCOUNT][REGION]._add_secret(name, secret_string=value)

    def topic_arn(self, name: str) -> str:
        """The ARN that `create_topic` will return."""
        return f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"

    def create_topic(self, name: str) -> str:
        """Create or find the topic; return its ARN."""
        return str(self.client("sns").create_topic(Name=name)["TopicArn"])

    def published(self, topic_arn: str) -> list[Published]:
        """What was published to the topic since the start, oldest first."""
        from moto.sns.models import sns_backends

        topic = sns_backends[ACCOUNT][REGION].topics[topic_arn]
        return [
            Published(message, subject, attributes or {})
            for _, message, subject, attributes, _ in topic.sent_notifications
        ]

    def pushed(self) -> list[str]:
        """What was published to devices since the start, in order of arrival: the text that any platform can show."""
        from moto.sns.models import sns_backends

        for endpoint in list(sns_backends[ACCOUNT][REGION].platform_endpoints.values()):
            self._pushed |= endpoint.messages  # those that are there already keep their order
        return [json.loads(text)["default"] for text in self._pushed.values()]

    def mailed(self) -> list[str]:
        """The mails that SES took since the start, oldest first, as they were sent."""
        from moto.ses.models import ses_backends

        return [str(mail.raw_data) for mail in ses_backends[ACCOUNT][REGION].sent_messages]

    def client(self, service: str) -> Any:
        """A boto3 client of this server, whatever the environment; cached, because each takes 0.2 s."""
        if service not in self._clients:
            import boto3

            session: Any = boto3.Session("testing", "testing", region_name=REGION)
            self._clients[service] = session.client(service, endpoint_url=self.url)
        return self._clients[service]

    def stop(self) -> None:
        self._server.stop()

    def __enter__(self) -> Aws:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
