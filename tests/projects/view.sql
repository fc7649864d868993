-- assignments is a view on another table.
-- refused: assignments is a view and not a table: it can have no trigger and no foreign key of ours
CREATE TABLE pairs (id uuid PRIMARY KEY, org_id uuid, mentor uuid, since timestamptz);
CREATE VIEW assignments AS
SELECT id, org_id, mentor AS peer_mentor_id, NULL::uuid AS coordinator_id, 'open' AS status, since AS assigned_at, NULL::date AS last_contact_date
FROM pairs;
