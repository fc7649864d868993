-- The project says which of its words are open, in a migration of its own that comes before ours.
-- works: evaluates 3, dispatches 6
CREATE TYPE assignment_status AS ENUM ('active', 'trial', 'paused', 'done');
CREATE TABLE assignments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid NOT NULL,
    peer_mentor_id uuid NOT NULL,
    coordinator_id uuid,
    status assignment_status NOT NULL DEFAULT 'active',
    assigned_at timestamptz NOT NULL DEFAULT now(),
    last_contact_date date
);
INSERT INTO assignments (org_id, peer_mentor_id, coordinator_id, status, assigned_at)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), s, '2025-01-01'
FROM unnest('{active,active,trial,paused,done}'::assignment_status []) AS s;
CREATE TABLE reminder_statuses (status text PRIMARY KEY, is_open boolean NOT NULL);
INSERT INTO reminder_statuses VALUES ('active', true), ('trial', true), ('paused', false), ('done', false);
