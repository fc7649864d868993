"""A person's terminal: one interactive bash into which the blocks of a page are pasted, one after the other."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

PATIENCE = 50.0  # seconds for one block
ENDED = "\x1e"
# The first thing that fails ends the shell.
STRICT = "PS1= PS2=; set -euo pipefail"


class PasteError(AssertionError):
    """A block failed or waits; the message is what the terminal showed."""


class Terminal:
    """Use it in a `with`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._keeper, terminal = pty.openpty()
        _without_echo(terminal)
        termios.tcsetwinsize(terminal, (50, 120))
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "--noediting", "-i"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=folder,
            env={**environment, "HISTFILE": os.devnull, "TERM": "dumb"},
            start_new_session=True,
        )
        os.close(terminal)
        self.paste(STRICT)

    def paste(self, text: str, *answers: tuple[str, str]) -> str:
        """What it shows until it is done. `answers`: what is typed once a question has appeared, in this order."""
        self._type(text)
        shown = ""
        for question, answer in answers:
            shown += self._until(question)
            self._type(answer)
        self._type(f"printf '\\{ord(ENDED):03o}'")
        return (shown + self._until(ENDED)).removesuffix(ENDED)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bash.kill()
        self._bash.wait()
        os.close(self._keeper)

    def _type(self, text: str) -> None:
        os.write(self._keeper, f"{text}\n".encode())

    def _until(self, end: str) -> str:
        shown, deadline = "", time.monotonic() + PATIENCE
        while end not in shown:
            ready, _, _ = select.select([self._keeper], [], [], max(0.0, deadline - time.monotonic()))
            piece = self._read() if ready else ""
            if not piece:
                raise PasteError(f"{'it failed' if ready else 'it still waits'}; the terminal shows:\n{shown}")
            shown += piece
        return shown

    def _read(self) -> str:
        """Nothing when the shell has ended."""
        try:
            return os.read(self._keeper, 65536).decode(errors="replace").replace("\r\n", "\n")
        except OSError:
            return ""


def _without_echo(terminal: int) -> None:
    attributes = termios.tcgetattr(terminal)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
