"""
The artifacts for this machine, and how to start a function from them as Lambda does.

They are the same directories as for Lambda, but for this machine's architecture. Their name has a hash of all their
sources, so that they are built once for each content. Without Python 3.13 they are built for the present Python.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.local.runtime_api import Runtime
from ops.tools.build.artifact import ARTIFACTS, FUNCTIONS, LOCKS, PLATFORMS, ROOT, build, install, this_architecture
from ops.tools.build.pythons import LAMBDA_PYTHON, find_python, lambda_python

HOME = ROOT / "build" / "artifacts"
# {"cron": "CronFunction", ...}
FUNCTION_NAMES = {artifact.lock: name for name, artifact in ARTIFACTS.items() if artifact.code}


@dataclass(frozen=True, slots=True)
class Built:
    """`directory` has an artifact in each folder, and `Runtime`: the packages of Lambda's own image."""

    directory: Path
    python: Path
    version: str
    architecture: str

    def start(self, function: str, environment: Mapping[str, str]) -> Runtime:
        """Start one of FUNCTION_NAMES in an environment of its own."""
        return self.run(f"handlers.{function}.handler", environment, self.path_of(function))

    def run(self, handler: str, environment: Mapping[str, str], path: list[Path]) -> Runtime:
        """Start `handler` with `path` to import from; the first is the task's root."""
        return Runtime(
            [str(self.python), "-m", "awslambdaric", handler],
            {
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "PYTHONPATH": os.pathsep.join(map(str, [*path, self.directory / "Runtime"])),
                # As in Lambda, where the task's folder cannot be written to.
                "PYTHONDONTWRITEBYTECODE": "1",
                "LANG": "en_US.UTF-8",
                "TZ": ":UTC",
                "AWS_LAMBDA_FUNCTION_NAME": "local",
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
                "AWS_LAMBDA_LOG_FORMAT": "JSON",
                "AWS_LAMBDA_LOG_LEVEL": "INFO",
                "LAMBDA_TASK_ROOT": str(path[0]),
                **environment,
            },
            path[0],
        )

    def path_of(self, function: str) -> list[Path]:
        """The folders that the function imports from, in Lambda's order: its own, then its layers."""
        layers = ["PostgresLayer", "TokensLayer"] if function == "admin" else ["PostgresLayer"]
        return [self.directory / FUNCTION_NAMES[function], *(self.directory / layer / "python" for layer in layers)]


def build_missing() -> Built:
    """Build the artifacts if there are none of the present sources; raise `BuildError`."""
    version = LAMBDA_PYTHON if find_python(LAMBDA_PYTHON) else "{}.{}".format(*sys.version_info)
    architecture = this_architecture()
    python = lambda_python(version)
    directory = HOME / f"{architecture}-{version}-{_key(python)}"
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / ".lock").open("w") as only_one:
        fcntl.flock(only_one, fcntl.LOCK_EX)
        if not directory.exists():
            _build_all(directory, python, version, architecture)
    return Built(directory, python, version, architecture)


def _build_all(directory: Path, python: Path, version: str, architecture: str) -> None:
    for stale in HOME.glob("*-*"):
        shutil.rmtree(stale, ignore_errors=True)
    unfinished = HOME / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in ARTIFACTS:
        build(name, unfinished / name, architecture, version)
    install(LOCKS / "runtime.lock", unfinished / "Runtime", python, version, PLATFORMS[architecture], compiled=True)
    unfinished.rename(directory)


def _key(python: Path) -> str:
    sources = [
        *FUNCTIONS.rglob("*.py"),
        *FUNCTIONS.rglob("*.sql"),
        *FUNCTIONS.rglob("templates/**/*.*"),
        *LOCKS.glob("*.lock"),
        *Path(__file__).parent.glob("*.py"),
    ]
    digest = hashlib.sha256(str(python.resolve()).encode())
    for file in sorted(sources):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]
