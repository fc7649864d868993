"""
Supabase's database lints, in our own words (lints.sql): the dashboard of a project must show no finding of ours.

Each lint is shown to find what it is for.
"""

from __future__ import annotations

import re
from pathlib import Path

from reminders.database import Connection

TEXT = Path(__file__).with_name("lints.sql").read_text()
LINTS = dict(re.findall(r"^-- name: (\w+)\n(.*?)(?=^-- name:|\Z)", TEXT, flags=re.MULTILINE | re.DOTALL))
# What each of them is for.
FAULTS = {
    "auth_rls_initplan": "CREATE POLICY x ON org_settings FOR SELECT TO authenticated USING (org_id = auth.uid())",
    "multiple_permissive_policies": "CREATE POLICY x ON assignments FOR ALL TO authenticated USING (status = 'x')",
    "rls_policy_always_true": "CREATE POLICY x ON org_settings FOR UPDATE TO authenticated USING (true)",
    "rls_references_user_metadata": "CREATE POLICY x ON org_settings FOR SELECT TO authenticated "
    "USING ((SELECT auth.jwt()) ->> 'user_metadata' = 'x')",
    "rls_disabled_in_public": "CREATE TABLE x ()",
    "policy_exists_rls_disabled": "ALTER TABLE assignments DISABLE ROW LEVEL SECURITY",
    "security_definer_view": "CREATE VIEW x AS SELECT 1",
    "auth_users_exposed": "CREATE TABLE IF NOT EXISTS auth.users (id uuid); CREATE VIEW x AS SELECT id FROM auth.users",
    "materialized_view_or_foreign_table_in_api": "CREATE MATERIALIZED VIEW x AS SELECT 1",
    "function_search_path_mutable": "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "security_definer_function_executable": "CREATE FUNCTION x() RETURNS int LANGUAGE sql "
    "SECURITY DEFINER AS 'SELECT 1'",
    "duplicate_index": "CREATE INDEX x ON assignments (peer_mentor_id)",
    "unindexed_foreign_keys": "CREATE TABLE x (id uuid REFERENCES assignments)",
    "unsupported_reg_types": "CREATE TABLE x (id regproc)",
}


def findings(connection: Connection, lint: str) -> list[str]:
    return [row[0] for row in connection.execute(LINTS[lint].encode()).fetchall()]


def test_nothing_is_found(superuser: Connection) -> None:
    """The migrated schema gives no finding."""
    assert [] == [finding for lint in LINTS for finding in findings(superuser, lint)]


def test_each_fault_is_found(superuser: Connection) -> None:
    """A schema with the fault that a lint is for gives a finding of it."""
    for lint in LINTS:
        with superuser.transaction(force_rollback=True):
            superuser.execute(FAULTS[lint].encode())
            assert findings(superuser, lint), lint
