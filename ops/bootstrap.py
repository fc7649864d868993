"""
From a bare checkout to a working `.venv`: what `make setup` runs.

    lock ──▶ stamp fits? ──yes──▶ done, in a blink
                 │no
       venv ──▶ uv (by pip) ──▶ packages (by uv, else by pip) ──▶ this project ──▶ stamp

The stamp is written last and removed first, so a set-up that was cut off is never mistaken for a
finished one. It runs with the system's Python before anything is installed: the standard library
only. The story of what can go wrong, and what to do then, is in `bootstrap_advice.py`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".setup-stamp"
DEV_LOCK = ROOT / "requirements-dev.lock"
SETUP_LOCK = ROOT / "requirements-setup.lock"
KEYED_BY = (DEV_LOCK, SETUP_LOCK, ROOT / "requirements.lock", ROOT / "pyproject.toml")
STEPS = 4


def main(arguments: list[str]) -> int:
    """Set up what is not yet; with `--check` only say whether it is. Returns the exit status."""
    if "--check" in arguments:
        return 0 if finished() else 1
    leave_own_venv()
    # Imported here: the check above has to end in a blink.
    from ops.bootstrap_advice import SetupError, python_problem

    try:
        if problem := python_problem():
            raise SetupError(problem)
        with only_one_setup():
            if not finished():
                set_up()
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The next `make setup` starts over.", file=sys.stderr)
        return 130
    return 0


def fingerprint() -> str:
    """What a finished set-up depends on; the folder too, for a moved venv has dead scripts."""
    digest = hashlib.sha256(f"{platform.python_version()}\0{ROOT}".encode())
    for file in KEYED_BY:
        digest.update(b"\0" + file.read_bytes())
    return digest.hexdigest()


def finished() -> bool:
    try:
        return STAMP.read_text() == fingerprint()
    except OSError:
        return False


def leave_own_venv() -> None:
    """Inside an activated .venv, go on with the Python it was made from: it may be removed."""
    base = getattr(sys, "_base_executable", sys.executable)
    if Path(sys.prefix) == VENV and base != sys.executable:
        os.execv(base, [base, "-m", "ops.bootstrap", *sys.argv[1:]])


@contextmanager
def only_one_setup() -> Iterator[None]:
    """Hold the set-up's file lock; the kernel frees it however this process ends."""
    import fcntl

    with (ROOT / ".setup.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up is at work here, waiting for it ...", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def set_up() -> None:
    from ops.bootstrap_steps import install_packages, install_project, install_uv, make_venv, step

    reusable = STAMP.exists()
    STAMP.unlink(missing_ok=True)
    with step(1, STEPS, "virtual environment"):
        make_venv(VENV, reusable)
    with step(2, STEPS, "uv, the installer"):
        uv = install_uv(VENV, SETUP_LOCK)
    with step(3, STEPS, "packages, each checked by its hash"):
        install_packages(VENV, DEV_LOCK, uv)
    with step(4, STEPS, "this project, in place"):
        install_project(VENV, ROOT, uv)
    STAMP.write_text(fingerprint())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
