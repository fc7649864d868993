"""How each command that has a target is called in the tests."""

from __future__ import annotations

from tests.nasty import NASTY

ALL = " ".join(NASTY.values()).replace("\x00", "")
# Of each command that shows what others wrote, how it is called here. The rest takes no target.
LINES = {
    "status": ["status"],
    "logs": ["logs"],
    "logs, the functions'": ["logs", "--functions"],
    "history": ["history"],
    "plan": ["plan"],
    "doctor": ["doctor"],
    "run": ["run", "--dry-run"],
    "pause": ["pause", "--reason", ALL],
    "resume": ["resume"],
    "unlock": ["unlock"],
    "alert-test": ["alert-test"],
    "migrate": ["migrate", "--check"],
    "roles": ["roles", "--from-secrets"],
}
WITHOUT_TARGET = {"demo", "local"}
