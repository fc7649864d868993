"""
One function's or layer's directory, as Lambda will unpack it: `python -m ops.tools.build.artifact NAME DIRECTORY`.

    hashed lock ─▶ uv, for Lambda's platform ─▶ our code ─▶ prune ─▶ byte code

The same sources give the same bytes: versions and hashes come from a lock, byte code is made in a fixed order
and does not depend on time stamps or on where it was built.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ops.tools.build.pythons import LAMBDA_PYTHON, BuildError, lambda_python
from reminders.console import rendering
from reminders.messages import templates

ROOT = Path(__file__).resolve().parents[3]
LOCKS = Path(__file__).resolve().parent / "locks"
FUNCTIONS = ROOT / "functions"
UV = str(ROOT / ".venv" / "bin" / "uv")
# Amazon Linux 2023, under Lambda's python3.13, has glibc 2.34.
PLATFORMS = {"arm64": "aarch64-manylinux_2_34", "x86_64": "x86_64-manylinux_2_34"}
# Lambda's names of processors, by those of `uname -m`.
MACHINES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
# Notes of the installer, files for type checkers and compilers, and the web page of Powertools' Swagger UI.
NEEDLESS = (
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "**/*.pyi",
    "**/*.pxd",
    "**/*.c",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.min.*",
)
# Half of Powertools' bytes are utilities. These are used, and they import none of the others.
UTILITIES = {"data_classes", "jmespath_utils", "parameters", "typing"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """`mount` is where Lambda unpacks it; `code`: whether it has our code, and not only libraries."""

    lock: str
    code: bool = True

    @property
    def mount(self) -> str:
        return "/var/task" if self.code else "/opt/python"

    def site(self, directory: Path) -> Path:
        """The folder in `directory` that is on Lambda's import path."""
        return directory if self.code else directory / "python"


# By logical id in template.yaml.
ARTIFACTS = {
    **{
        f"{name.title()}Function": Artifact(name)
        for name in ("cron", "scheduler", "watchdog", "admin", "courier", "feedback", "unsubscribe")
    },
    "PostgresLayer": Artifact("postgres-layer", code=False),
    "TokensLayer": Artifact("tokens-layer", code=False),
}


def this_architecture() -> str:
    """This machine's processor, by the name that Lambda gives it."""
    return MACHINES[platform.machine()]


# Templates are compiled, so that a cold start does not parse them.
TEMPLATES = {
    "AdminFunction": (rendering.compile_templates, "console"),
    "CourierFunction": (templates.compile_templates, "messages"),
    "UnsubscribeFunction": (templates.compile_templates, "messages"),
}


def build(name: str, directory: Path, architecture: str, version: str = LAMBDA_PYTHON) -> None:
    """Fill the empty or missing `directory`. Raise `BuildError` with what failed."""
    artifact, python = ARTIFACTS[name], lambda_python(version)
    site = artifact.site(directory)
    site.mkdir(parents=True, exist_ok=True)
    install(LOCKS / f"{artifact.lock}.lock", site, python, version, PLATFORMS[architecture])
    if artifact.code:
        _copy_code(site)
    if name in TEMPLATES:
        compile_templates, package = TEMPLATES[name]
        compile_templates(site / "reminders" / package / "compiled")
    _prune(site)
    _compile(site, artifact.mount, python)


def install(lock: Path, site: Path, python: Path, version: str, platform: str, *, compiled: bool = False) -> None:
    """Install exactly the versions of `lock`, wheels only, each checked by its hash."""
    where = ["--target", str(site), "--python", str(python), "--python-version", version, "--python-platform", platform]
    # Copied: hard links would let the compiler below write into uv's cache.
    how = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--link-mode", "copy", "--quiet"]
    if compiled:
        how.append("--compile-bytecode")
    _run([UV, "pip", "install", *where, *how, "-r", str(lock)])


def install_into(venv: Path, lock: Path) -> None:
    """Make the virtual environment `venv`, with this Python, with exactly the versions of `lock`."""
    _run([UV, "venv", "--quiet", "--python", sys.executable, str(venv)])
    how = ["--require-hashes", "--no-deps", "--quiet"]
    _run([UV, "pip", "install", *how, "--python", str(venv / "bin" / "python"), "-r", str(lock)])


def _copy_code(site: Path) -> None:
    for package in ("handlers", "reminders"):
        shutil.copytree(FUNCTIONS / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))


def _prune(site: Path) -> None:
    for pattern in NEEDLESS:
        for file in site.glob(pattern):
            file.unlink()
    for utility in site.glob("aws_lambda_powertools/utilities/*"):
        if utility.is_dir() and utility.name not in UTILITIES:
            shutil.rmtree(utility)
    for needless in (site / "bin", *site.glob("*/tests")):
        shutil.rmtree(needless, ignore_errors=True)
    (site / ".lock").unlink(missing_ok=True)


def _compile(site: Path, mount: str, python: Path) -> None:
    """
    Byte code beside the sources, which stay for tracebacks.

    Unchecked, because unpacking rewrites the sources' times, and byte code that is checked against those would
    be thrown away at every cold start. A constant hash seed, because sets of constants are written in its order.
    """
    mode = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(site), "-p", mount]
    # -s -P and not -I, which would ignore the seed: nothing is imported from the user's folders or from here.
    _run([str(python), "-s", "-P", "-m", "compileall", *mode, str(site)], PYTHONHASHSEED="0")


def _run(command: list[str], **environment: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        output = " | ".join((done.stdout + done.stderr).strip().splitlines()[-4:])
        raise BuildError(f"{Path(command[0]).name} {command[1]} {command[2]} failed: {output[-1_000:]}")


def main(name: str, directory: str) -> None:
    try:
        build(name, Path(directory), os.environ.get("ARCHITECTURE", "arm64"))
    except BuildError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
