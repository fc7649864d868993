"""`python -m ops.tools.shapes`: write shapes.json anew, from a freshly migrated database."""

from __future__ import annotations

import json
from dataclasses import asdict

import psycopg

from ops.local.database import prepare_template
from ops.local.server import MIGRATOR, any_server
from ops.schema import shapes


def main() -> None:
    with (
        any_server() as server,
        psycopg.connect(server.dsn(MIGRATOR, prepare_template(server)), autocommit=True) as connection,
    ):
        found = [json.dumps(asdict(shape)) for shape in sorted(shapes.of(connection))]
    shapes.FILE.write_text("[\n" + ",\n".join(found) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
