-- Enums for status and kind, and serial numbers as ids of everything.
-- works: evaluates 2, dispatches 4
CREATE TYPE assignment_status AS ENUM ('open', 'ended');
CREATE TYPE notification_kind AS ENUM ('reminder', 'escalation', 'welcome');
CREATE TABLE assignments (
    id serial PRIMARY KEY,
    org_id uuid NOT NULL,
    peer_mentor_id uuid NOT NULL,
    coordinator_id uuid,
    status assignment_status NOT NULL DEFAULT 'open',
    assigned_at timestamptz NOT NULL DEFAULT now(),
    last_contact_date date
);
CREATE TABLE notifications (
    id serial PRIMARY KEY,
    assignment_id integer NOT NULL REFERENCES assignments (id),
    recipient_id uuid NOT NULL,
    kind notification_kind NOT NULL,
    contact_anchor date,
    gap_days smallint,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    read_at timestamptz,
    resolved_at timestamptz
);
INSERT INTO assignments (org_id, peer_mentor_id, coordinator_id, status, assigned_at)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), s, '2025-01-01' FROM unnest('{open,open,ended}'::assignment_status []) AS s;
