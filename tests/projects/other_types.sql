-- Columns of the right names and other types.
-- refused: assignments.org_id is text, needed is uuid
-- refused: assignments.assigned_at is date, needed is timestamp with time zone
-- refused: assignments.last_contact_date is timestamp with time zone, needed is date
-- then works: evaluates 2, dispatches 4
CREATE TABLE assignments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id text NOT NULL,
    peer_mentor_id uuid NOT NULL,
    coordinator_id uuid,
    status varchar(20) NOT NULL,
    assigned_at date NOT NULL,
    last_contact_date timestamptz
);
INSERT INTO assignments (org_id, peer_mentor_id, coordinator_id, status, assigned_at, last_contact_date)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), s, '2025-01-01', '2025-02-01 12:00+00'
FROM unnest('{open,open,closed}'::text []) AS s;
