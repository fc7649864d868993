"""
A stand-in for AWS' image of Python 3.13, for machines that reach no registry.

Made of what is here already: the Python 3.13 that compiled the artifacts, AWS' runtime client and boto3 from their
hashed lock, a shell, and the libraries that these are linked to. Paths and variables are those of AWS' image.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from ops.tools.build.artifact import LOCKS, PLATFORMS, install
from ops.tools.build.pythons import LAMBDA_PYTHON, lambda_python

# What SAM CLI's Dockerfile calls, and the bootstrap below.
PROGRAMS = ("sh", "mv", "cp", "rm", "chmod")
NEEDLESS = shutil.ignore_patterns("__pycache__", "test", "idlelib", "tkinter", "_tkinter*", "site-packages", "config-*")
# Of the C library, what wheels may be linked to and the programs above are not (PEP 600).
C_LIBRARY = ("libdl.so.2", "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libutil.so.1")
VARIABLES = {
    "LANG": "en_US.UTF-8",
    "TZ": ":/etc/localtime",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/task:/opt/lib",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
}
BOOTSTRAP = """#!/bin/sh
export PYTHONPATH=/var/task:/opt/python:/var/runtime PYTHONHOME=/var/lang PYTHONDONTWRITEBYTECODE=1
exec /var/lang/bin/python3.13 -m awslambdaric "$_HANDLER"
"""


def build(root: Path, architecture: str) -> None:
    """Fill the empty folder `root` with the image's files."""
    python = lambda_python()
    for folder in ("bin", "dev", "etc", "opt", "proc", "sys", "tmp", "var/rapid", "var/task"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    _copy_python(python, root / "var/lang")
    install(LOCKS / "runtime.lock", root / "var/runtime", python, LAMBDA_PYTHON, PLATFORMS[architecture], compiled=True)
    bootstrap = root / "var/runtime/bootstrap"
    bootstrap.write_text(BOOTSTRAP)
    bootstrap.chmod(0o755)
    for name in PROGRAMS:
        shutil.copy(shutil.which(name, path="/usr/bin:/bin") or "", root / "bin" / name)
    _copy_libraries(root)


def _copy_python(python: Path, home: Path) -> None:
    where = "import sys; print(sys.base_prefix)"
    prefix = Path(
        subprocess.run([python, "-I", "-c", where], capture_output=True, text=True, check=True).stdout.strip()
    )
    (home / "bin").mkdir(parents=True)
    shutil.copy(prefix / "bin" / f"python{LAMBDA_PYTHON}", home / "bin")
    library = prefix / "lib" / f"python{LAMBDA_PYTHON}"
    shutil.copytree(library, home / "lib" / library.name, ignore=NEEDLESS)
    for shared in (prefix / "lib").glob(f"libpython{LAMBDA_PYTHON}.so*"):
        shutil.copy(shared, home / "lib")


def _copy_libraries(root: Path) -> None:
    """What the programs and modules in `root` are linked to, at its own path."""
    linked = [*(root / "bin").iterdir(), *(root / "var").rglob("*.so*"), *(root / "var/lang/bin").iterdir()]
    listed = subprocess.run(["ldd", *linked], capture_output=True, text=True, check=False).stdout
    found = set(map(Path, re.findall(r"(/\S+\.so\S*) \(0x", listed)))
    (libc,) = {path for path in found if path.name == "libc.so.6"}
    for library in found | {libc.with_name(name) for name in C_LIBRARY}:
        copy = root / library.relative_to("/")
        if library.exists() and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, copy)
