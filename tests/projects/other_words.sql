-- Text, and other words: everything would migrate, and no user would ever be reminded.
-- refused: assignments.status is never 'open', but 'active' (2), 'done' (1)
CREATE TABLE assignments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL,
    peer_mentor_id uuid NOT NULL,
    coordinator_id uuid,
    status text NOT NULL,
    assigned_at timestamptz NOT NULL DEFAULT now(),
    last_contact_date date
);
INSERT INTO assignments (org_id, peer_mentor_id, status)
SELECT gen_random_uuid(), gen_random_uuid(), s FROM unnest('{active,active,done}'::text []) AS s;
