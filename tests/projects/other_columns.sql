-- The same things by other names, and one organisation that no column speaks of.
-- refused: assignments.org_id is missing
-- refused: assignments.peer_mentor_id is missing, and mentor_id may be the same
-- refused: assignments.coordinator_id is missing, and supervisor_id may be the same
-- refused: assignments.status is missing, and state may be the same
-- refused: assignments.assigned_at is missing, and started_on may be the same
-- refused: assignments.last_contact_date is missing, and last_contact_at may be the same
-- refused: activities.activity_type is missing, and type may be the same
-- refused: activities.recorded_date is missing, and occurred_at may be the same
-- then works: evaluates 2, dispatches 4
CREATE TABLE assignments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    mentor_id uuid NOT NULL,
    supervisor_id uuid,
    state text NOT NULL,
    started_on date NOT NULL,
    last_contact_at timestamptz
);
CREATE TABLE activities (
    id bigserial PRIMARY KEY,
    assignment_id uuid NOT NULL REFERENCES assignments (id),
    type text NOT NULL DEFAULT 'meeting',
    occurred_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO assignments (mentor_id, supervisor_id, state, started_on, last_contact_at)
SELECT gen_random_uuid(), gen_random_uuid(), s, '2025-01-01', '2025-02-01 12:00+00' FROM unnest('{open,open,closed}'::text []) AS s;
