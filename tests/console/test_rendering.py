"""Templates: compiled as in Lambda they give the same pages, each is escaped, and none holds logic or scripts."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, ModuleLoader, StrictUndefined

from reminders.console import rendering
from reminders.console.rendering import Frame, compile_templates, environment
from tests.helpers.cases import table

TEMPLATES = sorted(path.name for path in rendering.FOLDER.glob("*.html"))


def test_compiled_templates_give_the_same_page(tmp_path: Path) -> None:
    """What the build makes renders as the source does, with everything escaped."""
    compile_templates(tmp_path)
    compiled = Environment(loader=ModuleLoader(tmp_path), autoescape=True, undefined=StrictUndefined)
    page = {"title": "<b>", "text": "&", "link": None, "request_id": "1", "reload": False}
    by_source = environment().get_template("problem.html").render(page=page, frame=Frame("/style"))
    assert by_source == compiled.get_template("problem.html").render(page=page, frame=Frame("/style"))
    assert "<h1>&lt;b&gt;</h1>" in by_source


def test_every_template_is_compiled(tmp_path: Path) -> None:
    """None is left to be parsed at a cold start."""
    compile_templates(tmp_path)
    assert len(TEMPLATES) == len(list(tmp_path.glob("tmpl_*.py")))


@table("name", TEMPLATES)
def test_template_turns_escaping_nowhere_off(name: str) -> None:
    """No `safe` filter, no script, no style of its own, nothing from elsewhere."""
    text = (rendering.FOLDER / name).read_text()
    assert [] == re.findall(r"\|\s*safe|autoescape|<script|<style|\bstyle=|\bon\w+=|https?://", text)


def test_each_form_carries_the_token() -> None:
    """A form without one could never be sent."""
    text = "".join((rendering.FOLDER / name).read_text() for name in TEMPLATES)
    forms = re.findall(r"<form\b.*?</form>", text, re.DOTALL)
    assert forms
    assert [] == [form[:80] for form in forms if "form_token" not in form and "m.token(frame)" not in form]
