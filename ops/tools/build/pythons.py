"""
Finding the Python that Lambda runs.

Byte code belongs to one minor version, so an artifact is compiled by the version it will run under. uv finds
it in PATH and among its own. pyenv's shims are in PATH but may fail, so pyenv's versions come before them.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

LAMBDA_PYTHON = "3.13"

MISSING = (
    "Python {version} was not found, and byte code for Lambda must be compiled by it. Install it (uv python "
    "install {version}, pyenv install {version}, or your system's package python{version}), or name it: "
    "make build LAMBDA_PYTHON=/path/to/python{version}"
)


class BuildError(Exception):
    """The build failed; the message says why."""


def lambda_python(version: str = LAMBDA_PYTHON) -> Path:
    """A working interpreter of `version`; raise `BuildError` with a hint how to install one."""
    found = find_python(version)
    if found is None:
        raise BuildError(MISSING.format(version=version))
    return found


@cache
def find_python(version: str) -> Path | None:
    """The interpreter that LAMBDA_PYTHON names, else the first that uv finds; None if it is not `version` ("3.13")."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = sorted(pyenv.glob(f"versions/{version}.*/bin"), reverse=True)
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    find = [".venv/bin/uv", "python", "find", "--no-python-downloads", "--no-project"]
    found = _printed([*find, os.environ.get("LAMBDA_PYTHON") or version], path)
    says = "import sys; print('%d.%d' % sys.version_info[:2])"
    return Path(found) if found and _printed([found, "-I", "-c", says], path) == version else None


def _printed(command: list[str], path: str) -> str:
    """What the command prints; empty when it fails."""
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else ""
