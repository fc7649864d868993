"""
SAM CLI in an environment of its own, because it pins its own boto3 and click.

Made from the hashed lock at first use; a stamp tells whether it is still the lock's.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ops.build.artifact import LOCKS, ROOT, install_into
from ops.build.pythons import BuildError

HOME = ROOT / "build" / "sam"
# Templates are judged for a region; any will do, and none is talked to.
REGION = "eu-west-2"


def sam() -> Path:
    """The path of `sam`, installed if need be."""
    lock = LOCKS / "sam.lock"
    stamp, wanted = HOME / ".stamp", hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    HOME.parent.mkdir(exist_ok=True)
    # Tests run in several processes, and each may be the first to ask.
    with (HOME.parent / ".sam.lock").open("w") as only_one:
        fcntl.flock(only_one, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(HOME, ignore_errors=True)
            install_into(HOME, lock)
            stamp.write_text(wanted)
    return HOME / "bin" / "sam"


def call(*arguments: str, **environment: str) -> str:
    """What `sam ARGUMENTS` prints, run in the project's root; raise `BuildError` with it when it fails."""
    done = subprocess.run(
        [str(sam()), *arguments],
        cwd=ROOT,
        env={"AWS_DEFAULT_REGION": REGION, **os.environ, "SAM_CLI_TELEMETRY": "0", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    said = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise BuildError(f"sam {arguments[0]} failed:\n{said}")
    return said


def transformed(template: str) -> dict[str, Any]:
    """What CloudFormation gets for `template`, a path in the project."""
    python = sam().parent / "python"
    command = [str(python), str(ROOT / "ops" / "build" / "transform.py"), str(ROOT / template)]
    environment = {**os.environ, "AWS_DEFAULT_REGION": REGION}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{template} cannot be transformed: {done.stderr.strip()[-2_000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
