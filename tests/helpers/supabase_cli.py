"""The real Supabase CLI, from npm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = "supabase@3.1.0"


def installed(folder: Path) -> str:
    """The command's path: on PATH, or installed in `folder` by npm without its scripts; else the test is skipped."""
    if found := shutil.which("supabase"):
        return found
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("neither the supabase command nor npm is installed")
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    programs = list(folder.glob("node_modules/@supabase/cli-*/bin/supabase"))
    if done.returncode or not programs:
        pytest.skip(f"npm could not install {PACKAGE} for this machine")
    return str(programs[0])
