-- Things that have our names and are not ours.
-- refused: contact_activity_types exists, and is not ours
-- refused: index assignments_open_idx is not on assignments (id) where the status is open
-- refused: function hold_run(uuid) exists, and is not ours
-- refused: org_settings.org_id is not unique
-- refused: assignments.id is not unique
-- then works: evaluates 0, dispatches 0
CREATE TABLE contact_activity_types (name text);
CREATE TABLE assignments (
    id uuid DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL,
    peer_mentor_id uuid NOT NULL,
    coordinator_id uuid,
    status text NOT NULL DEFAULT 'open',
    assigned_at timestamptz NOT NULL DEFAULT now(),
    last_contact_date date
);
CREATE INDEX assignments_open_idx ON assignments (org_id) WHERE status = 'open';
CREATE TABLE org_settings (org_id uuid, reminder_days integer DEFAULT 7, escalation_days integer DEFAULT 14);
CREATE FUNCTION hold_run(id uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
