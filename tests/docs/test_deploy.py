"""docs/deploy.md: what can be checked of the blocks that need AWS or containers."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from ops.tools.build.sam import sam
from tests.cli.operated import say
from tests.docs.blocks import ROOT, Block, blocks_of
from tests.helpers.cases import first

PAGE = ROOT / "docs" / "deploy.md"
BLOCKS = blocks_of(PAGE.name, PAGE.read_text())
EVENTS = list((ROOT / "infra" / "events").glob("*.json"))
SHELL = [block for block in BLOCKS if block.language == "sh"]
SAM = [
    (str(block), line.partition("#")[0].strip())
    for block in SHELL
    for line in block.text.replace("\\\n", " ").splitlines()
    if line.startswith("build/sam/bin/sam ")
]


@pytest.mark.parametrize(("block", "line"), first(1, SAM), ids=[line for _, line in SAM])
def test_sam_has_the_options(block: str, line: str) -> None:
    """Each option stands in SAM CLI's own help, for the version that is locked."""
    words = line.removeprefix("build/sam/bin/sam ").split(" --")[0].split()[:2]
    command = [word for word in words if word.isalpha() and word.islower()]
    helped = subprocess.run([str(sam()), *command, "--help"], capture_output=True, text=True, check=True).stdout
    options = re.findall(r"(--[a-z-]+)", line)
    assert [] == [option for option in options if not re.search(rf"{option}\b", helped)], block


def test_sam_environments_are_in_samconfig() -> None:
    """`--config-env NAME` of a name that is not there is taken for an empty configuration."""
    known = tomllib.loads((ROOT / "samconfig.toml").read_text())
    named = {name for _, line in SAM for name in re.findall(r"--config-env (\S+)", line)}
    assert named
    assert named <= set(known)


def test_sam_finds_the_region() -> None:
    """SAM CLI reads AWS_DEFAULT_REGION; with AWS_REGION alone it is unable to resolve a region."""
    assert "AWS_DEFAULT_REGION=" in SHELL[0].text


def test_parameters_are_the_templates() -> None:
    """What stands in code type as a parameter, or is overridden, is one."""
    template = (ROOT / "template.yaml").read_text()
    overridden = [name for _, line in SAM for name in re.findall(r"\b([A-Z]\w+)=", line)]
    tables = re.findall(r"^\| ((?:`[A-Z]\w+`(?:, )?)+) \|", PAGE.read_text(), re.M)
    named = [*overridden, *re.findall(r"`(\w+)`", " ".join(tables))]
    assert named
    assert [] == [name for name in named if not re.search(rf"^  {name}:$", template, re.M)]


def test_reminders_has_the_commands() -> None:
    """For each function and each sample event that exists, and with options that exist."""
    invoked = [line.removeprefix("local invoke ").split() for line in _lines("reminders") if "invoke" in line]
    assert sorted(str(path.relative_to(ROOT)) for path in EVENTS) == sorted(event for _, event in invoked)
    assert [] == [pair for pair in invoked if not Path(pair[1]).name.startswith(f"{pair[0]}-")]
    (up,) = [line for line in _lines("reminders") if "local up" in line]
    assert up.split()[-1] in say("local", "up", "--help").out


def _lines(program: str) -> list[str]:
    """The arguments of `program` in the blocks that are only checked, without comments."""
    text = "\n".join(block.text for block in SHELL if (block.marker or "").startswith("check: "))
    return [line.partition("#")[0].strip() for line in re.findall(rf"^{program} (.+)$", text, re.M)]


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "json"], ids=str)
def test_json_is_json(block: Block) -> None:
    """A key's policy can be pasted."""
    assert json.loads(block.text)
