"""
The container engine of these tests: the one that SAM CLI finds, with AWS' image, or a podman of the session's own.

Our own podman needs no daemon and no registry: it has its own storage, and the network and mounts of a namespace of its
own, so that nothing of it is left when its process has ended. Its image is a stand-in (image.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ops.local.containers import EngineError, find_engine
from ops.tools.build.artifact import this_architecture
from ops.tools.build.pythons import LAMBDA_PYTHON, BuildError
from ops.tools.build.sam import sam
from tests.containers import image

IMAGE = f"public.ecr.aws/lambda/python:{LAMBDA_PYTHON}-{this_architecture()}"
# For SAM CLI's environment: AWS' image, pulled unless it is there.
PULL = f"""
import docker
from samcli.local.docker.utils import get_validated_container_client

images = get_validated_container_client().images
try:
    images.get({IMAGE!r})
except docker.errors.ImageNotFound:
    images.pull({IMAGE!r})
"""
PULLED = {"SAM_SKIP_PULL_IMAGE": "1"}
RUNTIME = Path(__file__).with_name("runtime.py")


@dataclass(frozen=True, slots=True)
class TestEngine:
    """How to run a command that uses the engine: what goes before it, and into its environment."""

    __test__ = False

    prefix: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


@contextmanager
def any_engine(folder: Path) -> Iterator[TestEngine]:
    """Skip the test, saying what is missing, where there is neither."""
    try:
        find_engine(sam().with_name("python"))
    except EngineError as error:
        _skip_without_podman(str(error))
        with _podman(folder) as engine:
            yield engine
    else:
        pulled = subprocess.run([sam().with_name("python"), "-c", PULL], capture_output=True, text=True, check=False)
        if pulled.returncode:
            pytest.skip(f"there is a container engine, but {IMAGE} cannot be pulled: {pulled.stderr[-200:]}")
        yield TestEngine(environment=PULLED)


def _skip_without_podman(reason: str) -> None:
    needed = ("podman", "runc", "iptables", "ip", "unshare", "nsenter", "tar")
    missing = [name for name in needed if not shutil.which(name)]
    if not sys.platform.startswith("linux") or os.geteuid():
        pytest.skip(f"{reason} (A podman of our own needs root, on Linux.)")
    if missing:
        pytest.skip(f"{reason} (A podman of our own needs {', '.join(missing)}.)")


@contextmanager
def _podman(folder: Path) -> Iterator[TestEngine]:
    runtime = folder / "runtime"
    runtime.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {RUNTIME} "$@"\n')
    runtime.chmod(0o755)
    podman = [
        *("podman", "--root", str(folder / "store"), "--runroot", str(folder / "run"), "--tmpdir", str(folder / "tmp")),
        *("--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", str(runtime)),
    ]
    socket = folder / "socket"
    serve = f'ip link set lo up && exec "$@" system service --time=0 unix://{socket}'
    with (folder / "podman.log").open("w") as log:
        service = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", serve, "sh", *podman], stdout=log, stderr=log, cwd=folder
        )
    inside = ["nsenter", "--target", str(service.pid), "--net"]
    try:
        _wait_for(socket, service)
        _import_image([*inside, "--mount", *podman], folder / "image")
        yield TestEngine(inside, {"DOCKER_HOST": f"unix://{socket}", **PULLED})
    finally:
        subprocess.run([*inside, "--mount", *podman, "rm", "--all", "--force"], capture_output=True, check=False)
        service.terminate()
        service.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(socket: Path, service: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while not socket.exists():
        assert service.poll() is None and time.monotonic() < deadline, (socket.parent / "podman.log").read_text()
        time.sleep(0.1)


def _import_image(podman: list[str], root: Path) -> None:
    try:
        root.mkdir()
        image.build(root, this_architecture())
    except BuildError as error:
        pytest.skip(str(error))
    changes = [f"ENV {name}={value}" for name, value in image.VARIABLES.items()] + ["WORKDIR /var/task"]
    options = [option for change in changes for option in ("--change", change)]
    archive = root.with_suffix(".tar")
    subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
    done = subprocess.run(
        [*podman, "import", *options, str(archive), IMAGE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    archive.unlink()
    shutil.rmtree(root)
