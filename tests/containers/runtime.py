"""
runc without what an unprivileged machine refuses: resource limits, rlimits and the cgroup file system.

podman calls it in the place of runc. A machine that is itself a container without CAP_SYS_RESOURCE may not set them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> None:
    if "--bundle" in arguments:
        _strip(Path(arguments[arguments.index("--bundle") + 1]) / "config.json")
    os.execvp("runc", ["runc", *arguments])


def _strip(file: Path) -> None:
    config = json.loads(file.read_text())
    config["process"].pop("rlimits", None)
    config["linux"].pop("resources", None)
    config["mounts"] = [mount for mount in config["mounts"] if mount["type"] not in {"cgroup", "cgroup2"}]
    file.write_text(json.dumps(config))


if __name__ == "__main__":
    main(sys.argv[1:])
