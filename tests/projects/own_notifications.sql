-- Notifications of quite another kind: left alone, the reminders get a table of their own.
-- works: evaluates 2, dispatches 4
CREATE TABLE assignments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL,
    peer_mentor_id uuid NOT NULL,
    coordinator_id uuid,
    status text NOT NULL,
    assigned_at timestamptz NOT NULL DEFAULT now(),
    last_contact_date date
);
CREATE TABLE notifications (id bigserial PRIMARY KEY, user_id uuid NOT NULL, title text NOT NULL);
INSERT INTO assignments (org_id, peer_mentor_id, coordinator_id, status, assigned_at)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), s, '2025-01-01' FROM unnest('{open,open,closed}'::text []) AS s;
