-- Notifications whose constraint knows no reminder: left alone as well.
-- works: evaluates 0, dispatches 0
CREATE TABLE notifications (
    id bigserial PRIMARY KEY,
    assignment_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    kind text NOT NULL CONSTRAINT kinds CHECK (kind IN ('welcome', 'news')),
    contact_anchor date,
    gap_days integer,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    read_at timestamptz,
    resolved_at timestamptz
);
