"""How containers reach the local stack, which itself listens on loopback alone."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest

from ops.local.aws import Aws
from ops.local.containers import Engine, EngineError, environments_for_containers
from ops.local.forward import forwarded
from tests.helpers.cases import table
from tests.listening import Listening

pytestmark = [
    pytest.mark.matrix,  # every other test that uses it fails with it
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has all of 127.0.0.0/8"),
]
# Stands in for the gateway of a bridge, and for its network.
GATEWAY, SUBNET = "127.0.0.2", "127.0.0.0/8"
BRIDGE = Engine("Debian GNU/Linux 12", rootless=False, subnet=SUBNET, gateway=GATEWAY)


class Echo(Listening):
    def answer(self, client: socket.socket) -> None:
        client.sendall(client.recv(100))


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as running:
        yield running


def asked(port: int) -> bytes:
    """What the gateway's port answers to "hello"; nothing when the connection is refused or closed."""
    try:
        with socket.create_connection((GATEWAY, port), timeout=5) as client:
            client.sendall(b"hello")
            return client.recv(100)
    except OSError:
        return b""


def test_forwarded_until_the_end(echo: Echo) -> None:
    """The gateway's port leads to the same port of loopback, and is closed when the block has ended."""
    with forwarded(GATEWAY, {echo.port}, SUBNET):
        during = [asked(echo.port) for _ in range(3)]

    assert ([b"hello"] * 3, b"") == (during, asked(echo.port))


def test_caller_from_another_network(echo: Echo) -> None:
    """Another machine may route to the gateway's address: it gets no answer."""
    with forwarded(GATEWAY, {echo.port}, "10.88.0.0/16"):
        assert b"" == asked(echo.port)


def test_service_that_is_away(echo: Echo) -> None:
    """The connection is closed, and the next one is forwarded all the same."""
    with Listening() as gone:
        pass
    with forwarded(GATEWAY, {gone.port, echo.port}, SUBNET):
        assert [b"", b"hello"] == [asked(gone.port), asked(echo.port)]


def test_bridge_that_is_not_there_yet() -> None:
    """podman makes its bridge with the first container: the port waits for the address."""
    with forwarded("192.0.2.1", {50_000}, "192.0.2.0/24"):
        pass


def test_environments_for_containers(aws: Aws, echo: Echo) -> None:
    """A port of loopback, in a variable or in a secret, becomes the gateway's; the secret itself stays as it was."""
    uri = "postgresql://cron_runner:password@{}:5/reminders"
    aws.put_secret("containers/database", uri.format("127.0.0.1"))
    given = {"DATABASE_SECRET": "containers/database", "SLACK_WEBHOOK_SECRET": "", "BATCH_SIZE": "5000"}

    with environments_for_containers(
        BRIDGE, aws, {"cron": {**given, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{echo.port}"}}
    ) as found:
        answer = asked(echo.port)

    copy = found["cron"].pop("DATABASE_SECRET")
    secrets = aws.client("secretsmanager")
    assert {
        "AWS_ENDPOINT_URL": f"http://{GATEWAY}:{echo.port}",
        "SLACK_WEBHOOK_SECRET": "",
        "BATCH_SIZE": "5000",
    } == found["cron"]
    assert [uri.format(GATEWAY), uri.format("127.0.0.1")] == [
        secrets.get_secret_value(SecretId=name)["SecretString"] for name in (copy, "containers/database")
    ]
    assert b"hello" == answer


@table(
    ("platform", "system", "host"),
    [
        ("linux", "Ubuntu 24.04.3 LTS", GATEWAY),
        ("linux", "Docker Desktop", "host.docker.internal"),
        ("darwin", "Docker Desktop", "host.docker.internal"),
        ("darwin", "Alpine Linux v3.20", "host.docker.internal"),
    ],
)
def test_address_of_this_machine(platform: str, system: str, host: str) -> None:
    """The bridge's gateway where containers run on this machine; where they run in another, the name for it."""
    engine = Engine(system, rootless=False, subnet=SUBNET, gateway=GATEWAY)

    assert host == engine.host(platform)


@pytest.mark.parametrize("engine", [Engine("Debian", True, SUBNET, GATEWAY), Engine("Debian", False, "", "")])
def test_engine_that_cannot_reach_this_machine(engine: Engine) -> None:
    """Rootless, or without an IPv4 bridge: refused in words, before anything is started."""
    with pytest.raises(EngineError):
        engine.host("linux")
