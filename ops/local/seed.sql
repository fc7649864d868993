-- Six organisations with different thresholds (the last one has no settings, so it gets the defaults), and
-- assignments among them whose last contact was 0 to 29 days ago: some never contacted, some closed,
-- some without a coordinator. Deterministic: the same numbers every time.
WITH orgs AS (
    INSERT INTO org_settings (org_id, reminder_days, escalation_days)
    SELECT md5('org ' || n)::uuid, 5 + 3 * n, 12 + 4 * n
    FROM generate_series(0, 4) AS n
    RETURNING org_id
)

INSERT INTO assignments (id, org_id, peer_mentor_id, coordinator_id, status, assigned_at, last_contact_date)
SELECT
    md5('assignment ' || n)::uuid,
    md5('org ' || n %% 6)::uuid,
    md5('mentor ' || n / 4)::uuid,
    CASE WHEN n %% 499 <> 0 THEN md5('coordinator ' || n %% 6 || n / 200)::uuid END,
    CASE WHEN n %% 20 = 0 THEN 'closed' ELSE 'open' END,
    (%(today)s::date - (30 + n %% 60))::timestamp AT TIME ZONE 'UTC',
    CASE WHEN n %% 50 <> 1 THEN %(today)s::date - n * 7 %% 30 END
FROM generate_series(1, %(assignments)s) AS n
