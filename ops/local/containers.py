"""
The local stack for containers: the address by which they reach this machine, and their environment variables.

    Docker Desktop, or an engine in another virtual machine    host.docker.internal, which leads to loopback
    an engine of this Linux machine                            the gateway of its bridge, forwarded to loopback

In each value, a port of 127.0.0.1 becomes a port of that address. Some secrets have such values, so containers get
copies of the secrets under other names.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from ops.local.aws import Aws
from ops.local.forward import forwarded

LOOPBACK = re.compile(r"127\.0\.0\.1:(\d+)")
DESKTOP = "host.docker.internal"
Environments = Mapping[str, Mapping[str, str]]


class EngineError(Exception):
    """There is no container engine, or none that can reach this machine; a sentence."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine, and the bridge network of the functions' containers."""

    system: str
    rootless: bool
    subnet: str
    gateway: str

    def forwarded(self, platform: str = sys.platform) -> bool:
        """Whether containers run on this machine itself, and need ports forwarded to reach its loopback."""
        return platform.startswith("linux") and not self.system.startswith("Docker Desktop")

    def host(self, platform: str = sys.platform) -> str:
        """The address by which containers reach this machine; raise `EngineError` when they cannot."""
        if not self.forwarded(platform):
            return DESKTOP
        if self.rootless:
            raise EngineError(
                "The container engine is rootless, and its containers cannot reach this machine's loopback. "
                "Use one that runs as root, or Docker Desktop."
            )
        if not self.gateway:
            raise EngineError("The container engine's bridge has no IPv4 address.")
        return self.gateway


def find_engine(python: Path) -> Engine:
    """The engine that SAM CLI uses; `python` is that of SAM CLI's environment. Raise `EngineError`."""
    script = Path(__file__).with_name("engine.py")
    done = subprocess.run([python, script], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise EngineError(lines[-1] if lines else "SAM CLI finds no container engine.")
    return Engine(**json.loads(done.stdout))


@contextmanager
def environments_for_containers(
    engine: Engine, aws: Aws, environments: Environments
) -> Iterator[dict[str, dict[str, str]]]:
    """The functions' environments for containers. Until the block ends, containers reach the addresses in them."""
    host, ports = engine.host(), set[int]()

    def moved(value: str) -> str:
        ports.update(int(port) for port in LOOPBACK.findall(value))
        return LOOPBACK.sub(rf"{host}:\1", value)

    found = {
        function: {name: moved(_copied(aws, moved, name, value)) for name, value in variables.items()}
        for function, variables in environments.items()
    }
    with forwarded(host, ports, engine.subnet) if engine.forwarded() else nullcontext():
        yield found


def _copied(aws: Aws, moved: Callable[[str], str], name: str, value: str) -> str:
    """`value`; if it is the name of a secret, the name of a copy for containers."""
    if not (name.endswith("_SECRET") and value):
        return value
    copy = f"{value}-for-containers"
    secret = aws.client("secretsmanager").get_secret_value(SecretId=value)["SecretString"]
    aws.put_secret(copy, moved(secret))
    return copy
