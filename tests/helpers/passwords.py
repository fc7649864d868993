"""Passwords of the local server's roles that are quick to check."""

from __future__ import annotations

from psycopg import sql

from ops.local.server import ExistingServer, Server, admin
from ops.schema import OUR_ROLES


def hash_passwords_once(server: Server) -> None:
    """
    Set the roles' passwords again with one SCRAM iteration, because the tests connect very often.

    By default a password is hashed 4,096 times at each connection, which takes 2 ms. The password of `postgres` stays
    as it is, because dbmate refuses fewer iterations. PostgreSQL 15 does not have this setting.
    """
    if isinstance(server, ExistingServer) or int(server.version.split(".")[0]) < 16:
        return
    with admin(server) as connection:
        connection.execute("SET scram_iterations = 1")
        for role in (server.superuser, *OUR_ROLES):
            password = sql.Literal(server.password(role))
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), password))
