"""
HTML from templates, by Jinja2: autoescape is on, and an unknown name is an error.

In Lambda the templates are Python modules (`compiled`, made by the build), so that a cold start does not parse them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import BaseLoader, Environment, FileSystemLoader, ModuleLoader, StrictUndefined

from reminders.console.pages import Link

FOLDER = Path(str(resources.files(__package__))) / "templates"
COMPILED = FOLDER.parent / "compiled"
_NAVIGATION = (
    ("Overview", "/console"),
    ("Needs contact", "/console/needs-contact"),
    ("Runs", "/console/runs"),
    ("Settings", "/console/settings"),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame around each page. `navigation` and `user_name` are empty when no user is signed in."""

    style: str
    form_token: str = ""
    navigation: Sequence[Link] = field(default_factory=tuple)
    user_name: str = ""


@cache
def environment() -> Environment:
    """Uses the compiled templates if the build has made them."""
    loader: BaseLoader = ModuleLoader(COMPILED) if COMPILED.is_dir() else FileSystemLoader(FOLDER)
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def compile_templates(target: Path) -> None:
    """Write each template as a Python module into `target`."""
    environment().compile_templates(target, zip=None, extensions=["html"])


def render(template: str, page: object, frame: Frame) -> str:
    """The HTML of one page."""
    return environment().get_template(template).render(page=page, frame=frame)


@cache
def style() -> str:
    """The style sheet."""
    return (FOLDER / "console.css").read_text(encoding="utf-8")


@cache
def icon() -> str:
    """The icon of the browser's tab."""
    return (FOLDER / "icon.svg").read_text(encoding="utf-8")


@cache
def style_address() -> str:
    """The address contains a hash of the content, so that browsers can cache it for ever."""
    return f"/console/console.css?v={hashlib.sha256(style().encode()).hexdigest()[:12]}"


def navigation(path: str) -> list[Link]:
    """The entries, with the one of the present page, or of the page above it, marked."""
    return [Link(text, href, _is_below(path, href)) for text, href in _NAVIGATION]


def _is_below(path: str, href: str) -> bool:
    if href == "/console":
        return path == href
    beside = ("/console/assignments/",) if href == "/console/needs-contact" else ()
    return path == href or path.startswith((f"{href}/", *beside))
