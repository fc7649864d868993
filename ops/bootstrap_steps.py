"""
The four steps of the set-up, each a child process whose failure becomes one paragraph of advice.

uv installs in seconds what takes pip a minute, but is a convenience: where it cannot run, pip does
the same work from the same hashed lock. uv does not read pip's configuration, so a mirror or a
certificate that a user has told pip about is passed on by environment.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.bootstrap_advice import SetupError, advice, is_disk_full

UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}


@contextmanager
def step(number: int, of: int, what: str) -> Iterator[None]:
    print(f"[{number}/{of}] {what} ...", end="", flush=True)
    started = time.monotonic()
    yield
    print(f" {time.monotonic() - started:.1f} s", flush=True)


def make_venv(venv: Path, reusable: bool) -> None:
    """Keep a once finished venv of this very Python; anything else is made afresh."""
    if reusable and _version_of(venv) == sys.version:
        return
    try:
        if venv.exists():
            shutil.rmtree(venv)
    except OSError as error:
        raise SetupError(advice(f"removing the old .venv: {error}")) from None
    _run([sys.executable, "-I", "-m", "venv", str(venv)])


def install_uv(venv: Path, lock: Path) -> Path | None:
    """The path of uv, or None where pip has to do its work (no uv for this platform, say)."""
    uv = venv / "bin" / "uv"
    try:
        _pip(venv, "install", "--require-hashes", "-r", str(lock))
        _run([str(uv), "--version"])
    except SetupError as error:
        if not error.worth_another_way:
            raise
        return None
    return uv


def install_packages(venv: Path, lock: Path, uv: Path | None) -> None:
    if uv:
        try:
            _uv(venv, uv, "sync", "--require-hashes", str(lock))
            return
        except SetupError as error:
            if not error.worth_another_way:
                raise
            print(" by pip, as uv could not", end="", flush=True)
    _pip(venv, "install", "--require-hashes", "-r", str(lock))


def install_project(venv: Path, root: Path, uv: Path | None) -> None:
    """In place, with the locked build backend: without isolation nothing is fetched."""
    arguments = ("install", "--no-deps", "--no-build-isolation", "-e", str(root))
    if uv:
        try:
            return _uv(venv, uv, *arguments)
        except SetupError as error:
            if not error.worth_another_way:
                raise
    _pip(venv, *arguments)


def pip_settings(listing: str) -> dict[str, str]:
    """
    Read `pip config list` into uv's variables.

    A later line wins, as it does for pip: files by rising precedence, then the environment. Several
    values are parted by newlines or blanks there; uv wants blanks, and commas for find-links.
    """
    found: dict[str, str] = {}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if key in UV_NAMES and section in ("global", "install", ":env:"):
            values = str(ast.literal_eval(value)).split()
            found[UV_NAMES[key]] = ("," if key == "find-links" else " ").join(values)
    return found


def _uv(venv: Path, uv: Path, *arguments: str) -> None:
    listing = _output([*_pip_command(venv), "config", "list"])
    # Hashes are required, so no index can slip in another file: the best match of all is safe.
    settings = {"UV_INDEX_STRATEGY": "unsafe-best-match", **pip_settings(listing)}
    _run([str(uv), "pip", *arguments, "--python", str(venv / "bin" / "python")], settings)


def _pip(venv: Path, *arguments: str) -> None:
    # Its constraints are moot beside a hashed lock, and unhashed ones are refused by pip; user
    # installs are refused in a venv.
    overrides = {"PIP_CONSTRAINT": os.devnull, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    quiet = ("--disable-pip-version-check", "--no-input", "--retries", "2")
    _run([*_pip_command(venv), *arguments, *quiet], overrides)


def _pip_command(venv: Path) -> list[str]:
    return [str(venv / "bin" / "python"), "-I", "-m", "pip"]


def _version_of(venv: Path) -> str:
    return _output([str(venv / "bin" / "python"), "-I", "-c", "import sys; print(sys.version)"])


def _output(command: list[str]) -> str:
    """What it prints, or nothing when it cannot run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _run(command: list[str], settings: dict[str, str] | None = None) -> None:
    """Run it silently; what it said becomes advice when it fails. The user's own settings win."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    chosen = settings or {}
    ours = {name: value for name, value in chosen.items() if not name.startswith("UV_")}
    environment = {**chosen, **given, **ours}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    except OSError as error:
        raise SetupError(advice(f"{command[0]}: {error}"), worth_another_way=True) from None
    if done.returncode:
        said = done.stdout + done.stderr
        raise SetupError(advice(said), worth_another_way=not is_disk_full(said))
