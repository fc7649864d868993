"""
The words of a message, by language.

    templates/<language>/    subject, lines (one paragraph a line), button, footer, ...: what a translator writes
    templates/mail.*         the layouts, the same for every language

A message contains the number of contacts, the number of days, the organisation's name and a link, and nothing else. In
Lambda the templates are Python modules (`compiled`, made by the build), so that a cold start parses none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal

import jinja2
from markupsafe import Markup

from reminders.messages.message import Message
from reminders.text import printable

FOLDER = Path(str(resources.files(__package__))) / "templates"
COMPILED = FOLDER.parent / "compiled"
DEFAULT = "en"
# Norwegian without its form, and Nynorsk until it has templates of its own.
_ALIASES = {"no": "nb", "nn": "nb"}
LONGEST_NAME = 80  # characters of an organisation's name


@dataclass(frozen=True, slots=True)
class Words:
    """A message in one language: plain text throughout, each on one line."""

    language: str
    subject: str
    lines: tuple[str, ...]  #: paragraphs
    button: str
    footer: str
    unsubscribe: str


def words(message: Message, *, test: bool = False) -> Words:
    """What `message` says. `test`: an operator's test message, which says so."""
    return _words(
        language_of(message.locale),
        test,
        organisation=_name(message.organisation),
        reminders=message.reminders,
        escalations=message.escalations,
        reminder_gap=message.reminder_gap,
        escalation_gap=message.escalation_gap,
    )


# On one morning, many people of one organisation get the same words.
@lru_cache(maxsize=1_000)
def _words(language: str, test: bool, **values: str | int) -> Words:
    lines = _paragraphs(language, "test" if test else "lines", values)
    return Words(
        language=language,
        subject=f"[test] {lines[0]}" if test else _capitalized(_line(language, "subject", values)),
        lines=tuple(lines),
        button=_line(language, "button", values),
        footer=_line(language, "footer", values),
        unsubscribe=_line(language, "unsubscribe", values),
    )


def layout(name: str, words_: Words, *, app_url: str, unsubscribe_url: str | None) -> str:
    """The layout `name` (mail.txt, mail.html) with `words_` in it."""
    fields = {
        field: getattr(words_, field) for field in ("language", "subject", "lines", "button", "footer", "unsubscribe")
    }
    return _environment().get_template(name).render(**fields, app_url=app_url, unsubscribe_url=unsubscribe_url)


def language_of(locale: str) -> str:
    """The language of `locale` ("nb-NO") that there are templates for, else English."""
    language = locale.replace("_", "-").partition("-")[0].lower()
    language = _ALIASES.get(language, language)
    return language if language in languages() else DEFAULT


@cache
def languages() -> frozenset[str]:
    """The languages that there are templates for."""
    return frozenset(path.name for path in FOLDER.iterdir() if path.is_dir())


@dataclass(frozen=True, slots=True)
class Page:
    """The unsubscribe page in one of its states."""

    html: str
    style: str  #: for the Content-Security-Policy, which names its hash


def page(locale: str, state: Literal["ask", "done", "invalid"]) -> Page:
    """The unsubscribe page: the question with its button, or what became of it."""
    language = language_of(locale)
    question, explanation, button, done, invalid = _paragraphs(language, "unsubscribe_page", {})
    words_ = {"ask": (question, explanation, button), "done": (done, None, None), "invalid": (invalid, None, None)}
    title, text, label = words_[state]
    environment = _environment()
    style = environment.get_template("page.css").render()
    # Ours, and not to be escaped: it stands in a style element.
    html = environment.get_template("page.html").render(
        language=language, title=title, text=text, button=label, style=Markup(style)
    )
    return Page(html, style)


def _line(language: str, name: str, values: Mapping[str, object]) -> str:
    return " ".join(_render(language, name, values).split())


def _capitalized(text: str) -> str:
    """`str.capitalize` would lower the rest."""
    return text[:1].upper() + text[1:]


def _paragraphs(language: str, name: str, values: Mapping[str, object]) -> list[str]:
    return [" ".join(line.split()) for line in _render(language, name, values).splitlines() if line.strip()]


def _render(language: str, name: str, values: Mapping[str, object]) -> str:
    return _environment().get_template(f"{language}/{name}.txt").render(**values)


def _name(organisation: str | None) -> str:
    """A name is foreign text: one line, no control characters, not too long for a subject."""
    name = " ".join(printable(organisation or "").split())
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def compile_templates(target: Path) -> None:
    """Write each template as a Python module into `target`."""
    environment(jinja2.FileSystemLoader(FOLDER)).compile_templates(target, zip=None)


def environment(loader: jinja2.BaseLoader) -> jinja2.Environment:
    """HTML is escaped, text is not; an undefined name raises an error."""
    return jinja2.Environment(
        loader=loader,
        autoescape=lambda name: bool(name) and str(name).endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        auto_reload=False,
    )


@cache
def _environment() -> jinja2.Environment:
    return environment(jinja2.ModuleLoader(COMPILED) if COMPILED.is_dir() else jinja2.FileSystemLoader(FOLDER))
