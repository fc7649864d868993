"""What CloudFormation gets for a template, by SAM's own translator."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from ops.tools.build.artifact import LOCKS, ROOT
from ops.tools.build.pythons import BuildError
from ops.tools.build.sam import REGION, sam

TRANSFORM = Path(__file__).with_name("transform.py")


def transform_template(template: str) -> dict[str, Any]:
    """
    What CloudFormation gets for `template`, a path in the project.

    SAM takes seconds for it, so the result is kept in build/transformed, under the hash of all that it depends on.
    """
    sources = (ROOT / template, TRANSFORM, LOCKS / "sam.lock")
    content = hashlib.sha256(b"\0".join(file.read_bytes() for file in sources)).hexdigest()
    kept = ROOT / "build" / "transformed" / f"{content}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Renamed when it is complete: tests run in several processes.
        unfinished = kept.with_suffix(f".{os.getpid()}")
        unfinished.write_text(run_sam_transform(template), encoding="utf-8")
        unfinished.rename(kept)
    result: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return result


def run_sam_transform(template: str) -> str:
    """Run SAM's translator; return the result as JSON."""
    command = [str(sam().parent / "python"), str(TRANSFORM), str(ROOT / template)]
    environment = {**os.environ, "AWS_DEFAULT_REGION": REGION}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{template} cannot be transformed: {done.stderr.strip()[-2_000:]}")
    return done.stdout
