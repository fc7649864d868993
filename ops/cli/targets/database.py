"""A database as the only target: DATABASE_URL or --database, and no stack."""

from __future__ import annotations

from ops.cli.targets.base import Target, TargetOptions

TRANSACTION_POOLER = 6543  # the port of Supabase's transaction pooler


class BareDatabase(Target):
    """A target without AWS."""

    def __init__(self, options: TargetOptions) -> None:
        super().__init__(options)
        self.title = f"database {place_of(self.database_url())}"


def place_of(url: str) -> str:
    """Database, host and port of a libpq URI: "postgres at db.example.org:5432"."""
    import psycopg
    from psycopg import conninfo

    try:
        found = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "of a URI that cannot be read"
    if "@" in f"{found.get('host', '')}{found.get('dbname', '')}":
        return "of a URI that cannot be read"  # part of the password is there
    host = found.get("host") or found.get("hostaddr") or "the local socket"
    return f"{found.get('dbname') or 'postgres'} at {host}:{found.get('port') or 5432}"
