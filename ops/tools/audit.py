"""
Known vulnerabilities in the locked versions: `make audit`.

    0   every locked version was looked up, and no advisory names one
    1   advisories name at least one of them
    3   could not look: the advisory service did not answer for each of them

pip-audit alone does not distinguish these: it exits with 1 for a finding and without a network, and with 0 when the
service knows none of the packages. So its JSON is read, and must have an entry for each pin.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ops.tools.build.artifact import LOCKS, ROOT
from ops.tools.build.environments import environment
from ops.tools.build.pythons import BuildError

CLEAN, FOUND, COULD_NOT_LOOK = 0, 1, 3
# Every lock of the project: a new one is audited without being named here.
AUDITED = [*sorted(ROOT.glob("requirements*.lock")), *sorted(LOCKS.glob("*.lock"))]
PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+)", re.MULTILINE)


class CouldNotLook(Exception):
    """The versions could not be checked; the message says why."""


def main(locks: Sequence[Path] = AUDITED) -> int:
    try:
        found = advisories(pins(locks))
    except CouldNotLook as error:
        print(f"The advisory check could not run: {error}. Nothing is known about the versions.", file=sys.stderr)
        return COULD_NOT_LOOK
    print(*found, f"{len(found)} advisories for the locked versions", sep="\n")
    return FOUND if found else CLEAN


def pins(locks: Iterable[Path]) -> list[str]:
    """ "name==version" of every lock, each once, for every platform."""
    return sorted({f"{name}=={version}" for lock in locks for name, version in PIN.findall(lock.read_text())})


def advisories(wanted: Sequence[str]) -> list[str]:
    """The advisories about the pins, one line each; raise `CouldNotLook` unless the service answered for each pin."""
    # Two locks may pin two versions of a package, and pip-audit takes one version of each at a time.
    groups: list[dict[str, str]] = [{}]
    for pin in wanted:
        name = pin.partition("==")[0]
        if all(name in group for group in groups):
            groups.append({})
        next(group for group in groups if name not in group)[name] = pin
    answers = [answer for group in groups for answer in _query_pip_audit(list(group.values()))]
    if missing := set(wanted) - {f"{a['name']}=={a['version']}" for a in answers if "vulns" in a}:
        raise CouldNotLook(f"the service did not answer for {len(missing)} of {len(wanted)} packages")
    return [
        f"{a['name']} {a['version']}: {known['id']}, fixed in {', '.join(known['fix_versions']) or 'no version yet'}"
        for a in answers
        for known in a["vulns"]
    ]


def _query_pip_audit(group: Sequence[str]) -> list[dict[str, Any]]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write("\n".join(group) + "\n")
        requirements.flush()
        # OSV, because a mirror of PyPI may not have PyPI's advisories.
        options = ["--disable-pip", "--no-deps", "--progress-spinner", "off"]
        options += ["--vulnerability-service", "osv", "--format", "json"]
        done = subprocess.run(
            [str(_pip_audit()), "--requirement", requirements.name, *options],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["pip-audit printed nothing"])[-1]
        raise CouldNotLook(last[:300]) from None
    return dependencies


def _pip_audit() -> Path:
    try:
        return environment("audit") / "bin" / "pip-audit"
    except BuildError as error:
        raise CouldNotLook(f"pip-audit could not be installed: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
