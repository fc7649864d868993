"""
Text from outside, made safe to store and to show.

A problem document, an error message, an admin's reason or the name of a session is written by others. PostgreSQL cannot
store NUL or half a surrogate pair, and a terminal, a log or a browser obeys control characters, line separators and
bidirectional overrides. Text is made printable where it enters, and once more where it leaves for a reader.
"""

from __future__ import annotations

import unicodedata

# Unicode, "General Category": control, format, surrogate, line separator, paragraph separator.
_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Format characters that words need: the joiners of Persian, Indic scripts and emoji, and the soft hyphen.
_NEEDED = {"\u200c", "\u200d", "\u00ad"}


def is_printable(text: str) -> bool:
    """Whether `text` has no character that acts on a reader's screen or that PostgreSQL cannot store."""
    return not any(map(_is_unsafe, text))


def printable(text: str) -> str:
    """`text` on one line: line breaks and tabs as spaces, every other unsafe character as its escape (`\\x1b`)."""
    return "".join(_escaped(character) if _is_unsafe(character) else character for character in text)


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE and character not in _NEEDED


def _escaped(character: str) -> str:
    return " " if character in "\t\n\r" else character.encode("unicode_escape").decode()
