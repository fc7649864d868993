"""The words of a message: counts, days, an organisation's name, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest

from reminders.messages import templates
from reminders.messages.templates import language_of, languages, layout, page, words
from tests.helpers.cases import table
from tests.nasty_names import NASTY_NAMES
from tests.unit.messages.examples import message

COUNTS = [(r, e) for r in (0, 1, 2, 99) for e in (0, 1, 2, 99) if r + e]


@table("locale", sorted(languages()))
@table(("reminders", "escalations"), COUNTS)
def test_every_template_renders(locale: str, reminders: int, escalations: int) -> None:
    """In every language, for one, two and ninety-nine contacts of either kind: no gap, no leftover of a template."""
    found = words(message(locale=locale, reminders=reminders, escalations=escalations, escalation_gap=25))
    texts = [found.subject, *found.lines, found.button, found.footer, found.unsubscribe]
    assert all(texts)
    assert [] == [text for text in texts if re.search(r"[{}]|  | [.,]", text)]
    assert len(found.lines) == 1 + bool(reminders) + bool(escalations)
    for name in ("mail.txt", "mail.html"):
        rendered = layout(name, found, app_url="https://app.example", unsubscribe_url="https://u.example")
        assert "https://app.example" in rendered and "https://u.example" in rendered


@table(
    ("locale", "reminders", "gap", "subject", "line"),
    [
        ("en", 1, 1, "Friends: one contact is waiting", "One of your contacts has not heard from you for 1 day."),
        ("en", 1, 12, "Friends: one contact is waiting", "for 12 days."),
        ("en", 2, 34, "Friends: 2 contacts are waiting", "2 of your contacts have not heard from you"),
        ("nb", 1, 1, "Friends: én kontakt venter", "på 1 dag."),
        ("nb", 2, 34, "Friends: 2 kontakter venter", "er 34 dager."),
    ],
)
def test_plural_forms(locale: str, reminders: int, gap: int, subject: str, line: str) -> None:
    """One is not many, in each language."""
    found = words(message(locale=locale, reminders=reminders, reminder_gap=gap))
    assert found.subject.startswith(subject)
    assert line in found.lines[0]


def test_subject_without_an_organisation_s_name() -> None:
    """It begins with a capital letter all the same."""
    assert "One contact is waiting to hear from you" == words(message(organisation=None)).subject


@table("name", NASTY_NAMES)
def test_nasty_organisation_name(name: str) -> None:
    """Whatever it holds, it stays on one line of the subject and is text in the HTML."""
    found = words(message(organisation=name))
    assert "\n" not in found.subject and "\r" not in found.subject
    html = layout("mail.html", found, app_url="https://app.example", unsubscribe_url=None)
    assert html.count("<script") == 0
    assert html.count("<a ") == 1


@table(
    ("locale", "language"),
    [("nb-NO", "nb"), ("nb_NO", "nb"), ("NO", "nb"), ("nn", "nb"), ("en-GB", "en"), ("xx", "en"), ("", "en")],
)
def test_language_of(locale: str, language: str) -> None:
    """A language that there are no templates for is English."""
    assert language == language_of(locale)


@pytest.mark.parametrize("locale", sorted(languages()))
def test_unsubscribe_page(locale: str) -> None:
    """Asks with a button; the other states have none."""
    assert 'method="post"' in page(locale, "ask").html
    assert "<form" not in page(locale, "done").html + page(locale, "invalid").html
    assert f'lang="{locale}"' in page(locale, "ask").html


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Templates as the build makes them, in place of the sources."""
    templates.compile_templates(tmp_path)
    loaded = templates.environment(jinja2.ModuleLoader(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(templates, "_environment", lambda: loaded)
        yield tmp_path


def everything(locale: str) -> list[str]:
    """All that the templates of a language make."""
    found = words(message(locale=locale, organisation="A & <b>", reminders=2, escalations=1, reminder_gap=12))
    mails = [
        layout(name, found, app_url="https://a", unsubscribe_url="https://u") for name in ("mail.txt", "mail.html")
    ]
    return [*mails, page(locale, "ask").html, words(message(locale=locale), test=True).subject]


def test_text_mail_is_laid_out() -> None:
    """An empty line between paragraphs, none at the top, and the footer's lines together."""
    found = words(message(reminders=1, reminder_gap=12))
    text = layout("mail.txt", found, app_url="https://a", unsubscribe_url="https://u")
    footer = f"--\n{found.footer}\n{found.unsubscribe}: https://u"
    assert "\n\n".join([*found.lines, f"{found.button}: https://a", footer]) == text.rstrip()


BY_SOURCE = {locale: everything(locale) for locale in languages()}


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("locale", sorted(languages()))
def test_compiled_templates_give_the_same(locale: str) -> None:
    """What the build makes renders as the source does; HTML is escaped, text is not."""
    assert BY_SOURCE[locale] == everything(locale)
    assert "A & <b>" in everything(locale)[0] and "A &amp; &lt;b&gt;" in everything(locale)[1]


def test_every_template_is_compiled(compiled: Path) -> None:
    """None is left to be parsed at a cold start."""
    sources = [path for path in templates.FOLDER.rglob("*") if path.is_file()]
    assert len(sources) == len(list(compiled.glob("tmpl_*.py")))
