-- Activities that belong to a person and not to an assignment.
-- refused: activities.assignment_id is missing
-- refused: activities.activity_type is missing, and type may be the same
-- refused: activities.recorded_date is missing
-- then works: evaluates 0, dispatches 0
CREATE TABLE activities (id bigserial PRIMARY KEY, user_id uuid NOT NULL, type text NOT NULL DEFAULT 'meeting');
