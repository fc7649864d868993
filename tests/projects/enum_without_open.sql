-- An enum of the app's own words.
-- refused: assignments.status is an enum without 'open'
CREATE TYPE assignment_status AS ENUM ('active', 'paused', 'done');
CREATE TABLE assignments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL,
    peer_mentor_id uuid NOT NULL,
    coordinator_id uuid,
    status assignment_status NOT NULL DEFAULT 'active',
    assigned_at timestamptz NOT NULL DEFAULT now(),
    last_contact_date date
);
INSERT INTO assignments (org_id, peer_mentor_id) VALUES (gen_random_uuid(), gen_random_uuid());
