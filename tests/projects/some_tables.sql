-- Activities of their own with uuid ids, and nothing else.
-- works: evaluates 0, dispatches 0
CREATE TABLE assignments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL,
    peer_mentor_id uuid NOT NULL,
    coordinator_id uuid,
    status text NOT NULL DEFAULT 'open',
    assigned_at timestamptz NOT NULL DEFAULT now(),
    last_contact_date date
);
CREATE TABLE activities (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    assignment_id uuid NOT NULL,
    activity_type text NOT NULL,
    recorded_date date NOT NULL
);
