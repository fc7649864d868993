"""
What can go wrong while setting up, and the one paragraph that says what to do about it.

pip and uv word the same trouble differently; the patterns below were read off both. The advice
never repeats an address with a password in it.
"""

from __future__ import annotations

import importlib.util
import re
import sys

OLDEST = (3, 11)

DISK_FULL = re.compile(r"no space left|disk quota exceeded|errno 28", re.I)
TROUBLES = (
    (
        DISK_FULL,
        "The disk is full. Free about 1 GB here and in the temp folder, then `make setup`.",
    ),
    (
        re.compile(r"hash mismatch|do not match the hashes|hashes are required", re.I),
        "A downloaded file is not the one the lock names, so nothing was installed. If a mirror is "
        "configured for pip, compare it with another one; do not loosen the lock.",
    ),
    (
        re.compile(r"certificate|\bssl\b|\btls\b", re.I),
        "The package registry's certificate was not trusted. Behind a company's proxy, show pip "
        "its certificate (`pip config set global.cert FILE`), then `make setup`.",
    ),
    (
        re.compile(
            r"resolution|resolve host|dns error|lookup address|timed? ?out|unreachable|refused"
            r"|error sending request|failed to fetch|newconnectionerror|proxyerror|reset by peer",
            re.I,
        ),
        "The package registry cannot be reached. Check the network and any proxy (HTTPS_PROXY), or "
        "name a mirror (`pip config set global.index-url URL`; uv is told too), then `make setup`.",
    ),
    (
        re.compile(r"no matching distribution|no version of|not found in the package registry", re.I),
        "The registry lacks a package that the lock names: a mirror may be behind, or this "
        "platform has no build of it. Try another one, or Python 3.11 to 3.14 on Linux or macOS.",
    ),
    (
        re.compile(r"permission denied|errno 13|read-only file system|errno 30", re.I),
        "A file here cannot be written. Own this folder (or remove a `.venv` that another user "
        "made), then `make setup`.",
    ),
)


class SetupError(Exception):
    """A paragraph for the user. `worth_another_way`: another installer might still manage."""

    def __init__(self, message: str, worth_another_way: bool = False) -> None:
        super().__init__(message)
        self.worth_another_way = worth_another_way


def python_problem() -> str | None:
    """Why this Python cannot be used, or None."""
    version = "{}.{}".format(*sys.version_info)
    if sys.version_info[:2] < OLDEST:
        return (
            f"Python {version} is too old: 3.11 or newer is needed. Install one (Debian: "
            "`apt install python3`), or name it: `make setup PYTHON=/path/to/python3`."
        )
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        return (
            f"Python {version} lacks its venv module. Debian and Ubuntu pack it apart: "
            f"`apt install python{version}-venv`, then `make setup`."
        )
    return None


def advice(said: str) -> str:
    """Turn an installer's output into one paragraph: what to do, then its last words."""
    hint = next((hint for pattern, hint in TROUBLES if pattern.search(said)), None)
    hint = hint or "The set-up failed; nothing half-done will be used. `make setup` tries again."
    return f"{hint} Last words: {_last_words(said)}"


def is_disk_full(said: str) -> bool:
    return bool(DISK_FULL.search(said))


def _last_words(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    without_passwords = re.sub(r"//[^/@\s]+@", "//***@", " | ".join(lines[-4:]))
    return without_passwords[-600:] or "none."
