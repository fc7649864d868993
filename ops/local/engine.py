"""
The container engine that SAM CLI uses, and the network its functions are put on: one line of JSON.

Runs in SAM CLI's environment and therefore imports nothing of this project: `build/sam/bin/python ops/local/engine.py`.
SAM CLI itself finds the engine, so that the answer is about the one that it will use.
"""

from __future__ import annotations

import ipaddress
import json
import sys

from samcli.commands.exceptions import UserException
from samcli.local.docker.container_client_factory import ContainerClientFactory


def main() -> int:
    try:
        client = ContainerClientFactory.create_client()
    except UserException as error:
        print(error.message, file=sys.stderr)
        return 1
    info = client.info()
    subnet, gateway = _bridge(client.networks.get("bridge").attrs["IPAM"]["Config"] or [])
    print(
        json.dumps(
            {
                "system": info.get("OperatingSystem") or "",
                "rootless": any("rootless" in option for option in info.get("SecurityOptions") or []),
                "subnet": subnet,
                "gateway": gateway,
            }
        )
    )
    return 0


def _bridge(configs: list[dict[str, str]]) -> tuple[str, str]:
    """Its IPv4 network and gateway. Docker leaves the gateway out until it has made the network's device."""
    for config in configs:
        network = ipaddress.ip_network(config["Subnet"])
        if network.version == 4:
            return str(network), config.get("Gateway") or str(network[1])
    return "", ""


if __name__ == "__main__":
    sys.exit(main())
