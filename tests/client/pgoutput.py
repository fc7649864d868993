"""
What a publication sends, read from PostgreSQL's own output plugin by SQL: "Logical Replication Message Formats".

Realtime reads the same stream. Only what the tests need: inserts and updates, their new row as text by column.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from reminders.database import Connection

# Messages by their first byte; the others (begin, commit, type, origin) carry no row.
RELATION, INSERT, UPDATE, DELETE = b"R", b"I", b"U", b"D"


@dataclass(frozen=True, slots=True)
class Change:
    kind: bytes  #: INSERT, UPDATE or DELETE
    table: str
    row: dict[str, str | None]  #: the new row; of a DELETE, what identifies the old one


class _Reader:
    """Takes values off the front of a message."""

    def __init__(self, message: bytes) -> None:
        self._message, self._at = message, 0

    def take(self, count: int) -> bytes:
        self._at += count
        return self._message[self._at - count : self._at]

    def number(self, size: int) -> int:
        return int(struct.unpack(">" + {1: "B", 2: "H", 4: "I"}[size], self.take(size))[0])

    def text(self) -> str:
        end = self._message.index(b"\0", self._at)
        return self.take(end + 1 - self._at)[:-1].decode()

    def row(self, columns: list[str]) -> dict[str, str | None]:
        return {column: self._value() for column in columns[: self.number(2)]}

    def _value(self) -> str | None:
        return self.take(self.number(4)).decode() if self.take(1) == b"t" else None


def changes(connection: Connection, slot: str, publication: str) -> Iterator[Change]:
    """Since the slot was made, or since they were last asked for; `connection` is a superuser's."""
    messages = connection.execute(
        "SELECT data FROM pg_logical_slot_get_binary_changes(%s, NULL, NULL,"
        " 'proto_version', '1', 'publication_names', %s)",
        [slot, publication],
    ).fetchall()
    tables: dict[int, tuple[str, list[str]]] = {}
    for (message,) in messages:
        reader = _Reader(bytes(message))
        kind = reader.take(1)
        if kind == RELATION:
            number = reader.number(4)
            tables[number] = _relation(reader)
        elif kind in {INSERT, UPDATE, DELETE}:
            table, columns = tables[reader.number(4)]
            if reader.take(1) in b"KO" and kind == UPDATE:  # the old key or row comes first, where it is sent
                reader.row(columns)
                reader.take(1)
            yield Change(kind, table, reader.row(columns))


def _relation(reader: _Reader) -> tuple[str, list[str]]:
    schema, name = reader.text(), reader.text()
    reader.take(1)  # the replica identity
    columns = []
    for _ in range(reader.number(2)):
        reader.take(1)
        columns.append(reader.text())
        reader.take(8)
    return f"{schema}.{name}", columns
