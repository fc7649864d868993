-- Tables as ours, with more columns, an enum for the type of an activity, uuid keys, and policies of their own.
-- works: evaluates 2, dispatches 4
CREATE TYPE activity_kind AS ENUM ('meeting', 'letter');
CREATE TABLE assignments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL,
    peer_mentor_id uuid NOT NULL,
    coordinator_id uuid,
    status text NOT NULL DEFAULT 'open',
    assigned_at timestamptz NOT NULL DEFAULT now(),
    last_contact_date date,
    contact_name text
);
ALTER TABLE assignments ENABLE ROW LEVEL SECURITY;
CREATE TABLE activities (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    assignment_id uuid NOT NULL REFERENCES assignments (id),
    activity_type activity_kind NOT NULL,
    recorded_date date NOT NULL
);
CREATE TABLE notifications (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    assignment_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('reminder', 'escalation', 'news')),
    contact_anchor date,
    gap_days integer,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    read_at timestamptz,
    resolved_at timestamptz
);
INSERT INTO assignments (org_id, peer_mentor_id, coordinator_id, status, assigned_at)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), s, '2025-01-01' FROM unnest('{open,open,closed}'::text []) AS s;
