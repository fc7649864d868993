"""SAM CLI, in an environment of its own, because it pins its own boto3 and click."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ops.tools.build.artifact import ROOT
from ops.tools.build.environments import environment
from ops.tools.build.pythons import BuildError

# Templates are validated for a region. No region is called, so it can be any.
REGION = "eu-west-2"


def sam() -> Path:
    """The path of `sam`, installed if need be."""
    return environment("sam") / "bin" / "sam"


def call(*arguments: str, **environment: str) -> str:
    """What `sam ARGUMENTS` prints, run in the project's root; raise `BuildError` with it when it fails."""
    done = subprocess.run(
        [str(sam()), *arguments],
        cwd=ROOT,
        # SAM CLI calls make: a variable given to the make that called us would win over this environment's.
        env={"AWS_DEFAULT_REGION": REGION, **os.environ, "SAM_CLI_TELEMETRY": "0", "MAKEFLAGS": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    output = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise BuildError(f"sam {arguments[0]} failed:\n{output}")
    return output
