"""
Finding the Python that Lambda runs.

Byte code belongs to one minor version, so an artifact is compiled by the version it will run under. uv finds
it in PATH and among its own; pyenv's shims stand in PATH but fail, so its versions are looked at as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

LAMBDA_PYTHON = "3.13"

MISSING = (
    "Python {version} was not found, and byte code for Lambda must be compiled by it. Install it (uv python "
    "install {version}, pyenv install {version}, or your system's package python{version}), or name it: "
    "make build LAMBDA_PYTHON=/path/to/python{version}"
)


class BuildError(Exception):
    """What failed, as a sentence."""


def lambda_python(version: str = LAMBDA_PYTHON) -> Path:
    """A working interpreter of `version`; raise `BuildError` with a hint how to install one."""
    found = find_python(version)
    if found is None:
        raise BuildError(MISSING.format(version=version))
    return found


@cache
def find_python(version: str) -> Path | None:
    """The first interpreter that reports `version` ("3.13"), or None."""
    return next((path for path in _candidates(version) if _says(path) == version), None)


def _candidates(version: str) -> Iterator[Path]:
    if named := os.environ.get("LAMBDA_PYTHON"):
        # A name that does not fit is an error, not a reason to take another one.
        yield Path(named)
        return
    if in_path := shutil.which(f"python{version}"):
        yield Path(in_path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)
    if uv := shutil.which("uv") or shutil.which("uv", path=".venv/bin"):
        command = [uv, "python", "find", "--no-python-downloads", "--no-project", version]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            yield Path(done.stdout.strip())


def _says(python: Path) -> str | None:
    command = [str(python), "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
