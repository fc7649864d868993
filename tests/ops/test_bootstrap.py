"""The set-up, run on a small project of its own that needs no registry; and its advice."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from ops import bootstrap
from ops.bootstrap_advice import SetupError, advice, python_problem
from ops.bootstrap_steps import install_packages, pip_settings

BACKEND = """
import base64, hashlib, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\n"
                       "Version: 1\\n")
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
                       "Tag: py3-none-any\\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "1"
"""
NEEDY_LOCK = f"no-such-package==1 --hash=sha256:{'0' * 64}\n"


def make_project(folder: Path) -> Path:
    """A project with empty locks: no uv to be had, so pip does all the work, and finds none."""
    ops = Path(bootstrap.__file__).parent
    (folder / "ops").mkdir()
    for file in ("__init__.py", *(path.name for path in ops.glob("bootstrap*.py"))):
        shutil.copy(ops / file, folder / "ops" / file)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(PROJECT)
    for lock in ("requirements.lock", "requirements-dev.lock", "requirements-setup.lock"):
        (folder / lock).write_text("")
    return folder


def start(project: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [getattr(sys, "_base_executable", sys.executable), "-m", "ops.bootstrap", *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(project: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(project, *arguments)
    out, err = process.communicate()
    return process.returncode, out, err


def installed(project: Path) -> bool:
    found = subprocess.run(
        [project / ".venv" / "bin" / "python", "-m", "pip", "show", "tiny"],
        capture_output=True,
        check=False,
    )
    return found.returncode == 0


def test_setup_tells_its_steps_and_is_then_a_blink(tmp_path: Path) -> None:
    """Each step with its seconds; a second call is silent and quick; a changed lock asks again."""
    project = make_project(tmp_path)
    status, out, err = run(project)
    assert (0, "") == (status, err)
    assert ["[1/4]", "[2/4]", "[3/4]", "[4/4]"] == [line.split()[0] for line in out.splitlines()]
    assert installed(project)
    began = time.monotonic()
    assert (0, "", "") == run(project)
    assert time.monotonic() - began < 1
    (project / "requirements-dev.lock").write_text("# newer\n")
    assert (1, "", "") == run(project, "--check")


def test_two_setups_at_once_redo_one_that_was_cut_off(tmp_path: Path) -> None:
    """One works, from an empty .venv as there is no stamp; the other waits and finds it done."""
    project = make_project(tmp_path)
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "leftover").write_text("")
    both = [start(project), start(project)]
    outputs = [process.communicate() for process in both]
    assert [0, 0] == [process.returncode for process in both]
    assert 1 == sum("[4/4]" in out for out, _ in outputs)
    assert installed(project) and not (project / ".venv" / "leftover").exists()


def test_unreachable_registry_is_one_paragraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to do, with neither a trace nor the password of the mirror."""
    (tmp_path / "lock").write_text(NEEDY_LOCK)
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:hush@127.0.0.1:1/simple")
    with pytest.raises(SetupError) as caught:
        install_packages(Path(sys.prefix), tmp_path / "lock", uv=None)
    told = str(caught.value)
    assert 1 == len(told.splitlines())
    assert "registry" in told
    assert "Traceback" not in told and "hush" not in told


def test_failed_setup_exits_with_its_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1 and the paragraph on standard error; an interrupt is no trace either."""
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")  # else it would leave ours, and us
    for failure, status in ((SetupError("Do this."), 1), (KeyboardInterrupt(), 130)):
        monkeypatch.setattr(bootstrap, "set_up", Mock(side_effect=failure))
        assert status == bootstrap.main([])
    assert "\nDo this.\n\nStopped." in capsys.readouterr().err


def test_pip_settings_become_uvs() -> None:
    """Later lines win, as for pip; several values are parted by blanks; the rest is left alone."""
    listing = "\n".join(
        (
            "global.index-url='https://first/simple'",
            "global.timeout='60'",
            "global.extra-index-url='https://a/simple\\nhttps://b/simple'",
            "download.index-url='https://other/simple'",
            ":env:.index-url='https://second/simple'",
            "global.find-links='one two'",
        )
    )
    assert {
        "UV_DEFAULT_INDEX": "https://second/simple",
        "UV_INDEX": "https://a/simple https://b/simple",
        "UV_FIND_LINKS": "one,two",
    } == pip_settings(listing)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("error: No space left on device (os error 28)", "disk is full"),
        ("Failed to fetch: dns error: failed to lookup address", "cannot be reached"),
        ("Hash mismatch for `click==8`", "not the one the lock names"),
        ("invalid peer certificate: UnknownIssuer", "certificate was not trusted"),
        ("ERROR: No matching distribution found for click", "lacks a package"),
        ("error: Permission denied (os error 13)", "cannot be written"),
        ("something unheard of", "tries again"),
    ],
)
def test_trouble_becomes_advice(said: str, hint: str) -> None:
    """Each known trouble has its own advice; the last words follow."""
    assert hint in advice(said)
    assert said in advice(said)


def test_advice_hides_passwords() -> None:
    """An index address may hold one."""
    assert "hush" not in advice("could not open https://me:hush@mirror/simple/click")


def test_old_python_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that is too old, the one that is needed, and how to name another."""
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    problem = python_problem()
    assert problem and "3.9 is too old: 3.11 or newer" in problem and "PYTHON=" in problem


def test_missing_venv_module_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian packs it apart."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    problem = python_problem()
    assert problem and f"python3.{sys.version_info[1]}-venv" in problem
