-- migrate:up
-- What an admin may change in their organisations, by one function for each change. A client calls them by RPC, the
-- web console with the caller's claims. authenticated has no UPDATE on the tables, so there is no change without a
-- row in admin_changes: who, when, what, the old and the new value, and for an assignment the reason.
-- public.admin_... is what is called; it runs with the caller's rights. The work is done in reminder_admin, which
-- Supabase does not publish, with the owner's rights, after the caller's claims were checked.
--
-- What PostgREST answers, the same for all of them:
--   403  PT403  the caller is no admin, or not of all organisations where that is needed
--   404  PT404  it does not exist, or belongs to an organisation of which the caller is no admin: the answer is the same
--   412  PT412  it is not what the caller expected, because another admin has changed it: read it again
--   400  22023  an argument is not possible; the message says which, and what would be
-- A call that is repeated changes nothing, and answers with the change that it repeats.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

CREATE TABLE public.admin_changes (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT admin_changes_pkey PRIMARY KEY,
    what text NOT NULL CONSTRAINT change_is_known
    CHECK (what IN ('coordinator', 'status', 'thresholds', 'activity_type')),
    -- NULL: for all organisations.
    org_id uuid,
    old_value jsonb NOT NULL,
    new_value jsonb NOT NULL,
    reason text
    CONSTRAINT reason_is_a_sentence CHECK (char_length(btrim(reason)) >= 3 AND char_length(reason) <= 500),
    changed_by uuid NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT change_changes_something CHECK (old_value <> new_value)
);

-- assignment_id, of whatever type assignments.id is. CASCADE: a reason may name a person, so it must not outlive an
-- assignment that was erased.
DO $$
BEGIN
    EXECUTE format(
        'ALTER TABLE public.admin_changes ADD COLUMN assignment_id %s'
        ' CONSTRAINT admin_changes_assignment_fkey REFERENCES public.assignments (id) ON DELETE CASCADE',
        (
            SELECT format_type(t.atttypid, t.atttypmod) FROM pg_catalog.pg_attribute AS t
            WHERE t.attrelid = 'public.assignments'::regclass AND t.attname = 'id'
        )
    );
END
$$;

ALTER TABLE public.admin_changes
ADD CONSTRAINT assignments_are_changed_for_a_reason CHECK (assignment_id IS NULL OR reason IS NOT NULL);

-- What has changed in an organisation, or of an assignment, newest first.
CREATE INDEX admin_changes_org_idx ON public.admin_changes (org_id, id DESC);
CREATE INDEX admin_changes_assignment_idx ON public.admin_changes (assignment_id, id DESC);

ALTER TABLE public.admin_changes ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.admin_changes FROM anon, authenticated, service_role;
REVOKE ALL ON SEQUENCE public.admin_changes_id_seq FROM anon, authenticated, service_role;
GRANT SELECT ON public.admin_changes TO authenticated;
-- Where org_id is NULL, only '*' is left to match.
CREATE POLICY admins_read_changes ON public.admin_changes
FOR SELECT TO authenticated
USING ((SELECT public.admin_scope()) ?| ARRAY['*', org_id::text]);

-- Helpers of the functions below. No role may call them.

CREATE FUNCTION reminder_admin.require_admin() RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- A token without a person cannot sign a change.
    IF public.admin_scope() IS NULL OR auth.uid() IS NULL THEN
        RAISE EXCEPTION 'only an admin may do this' USING ERRCODE = 'PT403';
    END IF;
END
$$;

CREATE FUNCTION reminder_admin.is_admin_of(org_id uuid) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce(public.admin_scope() ?| ARRAY['*', is_admin_of.org_id::text], false) $$;

-- The assignment, locked until the transaction ends. The organisation is a condition of the query, so that an admin
-- of another one can neither lock the row nor wait for it.
CREATE FUNCTION reminder_admin.lock_assignment(assignment_id public.assignments.id%TYPE, reason text)
RETURNS public.assignments
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target public.assignments;
BEGIN
    PERFORM reminder_admin.require_admin();
    IF reason IS NULL OR char_length(btrim(reason)) < 3 OR char_length(reason) > 500 THEN
        RAISE EXCEPTION 'reason must have 3 to 500 characters' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT a.* INTO target
    FROM public.assignments AS a
    WHERE a.id = lock_assignment.assignment_id AND reminder_admin.is_admin_of(a.org_id)
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such assignment' USING ERRCODE = 'PT404';
    END IF;
    RETURN target;
END
$$;

-- Writes the audit row. Where nothing was changed, it answers with the row of the change that is repeated; if the
-- value was so without any change of an admin, with a row that has no id and is not stored.
CREATE FUNCTION reminder_admin.record_change(
    what text,
    org_id uuid,
    assignment_id public.assignments.id%TYPE,
    old_value jsonb,
    new_value jsonb,
    reason text
) RETURNS public.admin_changes
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    change public.admin_changes;
BEGIN
    IF old_value = new_value THEN
        SELECT c.* INTO change
        FROM public.admin_changes AS c
        WHERE
            c.what = what
            AND c.org_id IS NOT DISTINCT FROM org_id
            AND c.assignment_id IS NOT DISTINCT FROM assignment_id
            AND c.new_value = new_value
        ORDER BY c.id DESC
        LIMIT 1;
        IF NOT FOUND THEN
            change.what := what;
            change.org_id := org_id;
            change.assignment_id := assignment_id;
            change.old_value := old_value;
            change.new_value := new_value;
        END IF;
        RETURN change;
    END IF;
    INSERT INTO public.admin_changes (what, org_id, assignment_id, old_value, new_value, reason, changed_by)
    VALUES (what, org_id, assignment_id, old_value, new_value, reason, (SELECT auth.uid()))
    RETURNING * INTO change;
    RETURN change;
END
$$;

REVOKE ALL ON FUNCTION
reminder_admin.require_admin, reminder_admin.is_admin_of, reminder_admin.lock_assignment, reminder_admin.record_change
FROM PUBLIC, anon, authenticated, service_role;

-- Sets a missing coordinator, or hands over to another one. expected_coordinator_id is the coordinator that the
-- caller saw; without it, none. An escalation that was sent stays with the person to whom it was sent.
CREATE FUNCTION reminder_admin.set_coordinator(
    assignment_id public.assignments.id%TYPE,
    coordinator_id uuid,
    reason text,
    expected_coordinator_id uuid
) RETURNS public.admin_changes
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target constant public.assignments := reminder_admin.lock_assignment(assignment_id, reason);
BEGIN
    IF coordinator_id IS NULL THEN
        RAISE EXCEPTION 'coordinator_id is missing' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF target.coordinator_id IS DISTINCT FROM coordinator_id THEN
        IF target.coordinator_id IS DISTINCT FROM expected_coordinator_id THEN
            RAISE EXCEPTION 'the coordinator is not the expected one'
            USING ERRCODE = 'PT412', DETAIL = format('coordinator_id is %s', coalesce(target.coordinator_id::text, 'null'));
        END IF;
        UPDATE public.assignments AS a SET coordinator_id = set_coordinator.coordinator_id WHERE a.id = target.id;
    END IF;
    RETURN reminder_admin.record_change(
        'coordinator', target.org_id, target.id,
        jsonb_build_object('coordinator_id', target.coordinator_id),
        jsonb_build_object('coordinator_id', coordinator_id), reason
    );
END
$$;

-- Ends the reminders of an assignment: its status becomes closed_status, one of reminder_statuses that is not open, and
-- its open notifications are resolved. Without expected_status, any status that is open may be closed.
CREATE FUNCTION reminder_admin.close_assignment(
    assignment_id public.assignments.id%TYPE,
    reason text,
    closed_status text,
    expected_status text
) RETURNS public.admin_changes
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target constant public.assignments := reminder_admin.lock_assignment(assignment_id, reason);
BEGIN
    IF NOT EXISTS (SELECT FROM public.reminder_statuses AS s WHERE s.status = closed_status AND NOT s.is_open) THEN
        RAISE EXCEPTION 'closed_status must be one of reminder_statuses that is not open'
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF target.status::text <> closed_status THEN
        IF NOT EXISTS (
            SELECT FROM public.reminder_statuses AS s
            WHERE s.status = target.status::text AND coalesce(s.status = expected_status, s.is_open)
        ) THEN
            RAISE EXCEPTION 'the status is not the expected one'
            USING ERRCODE = 'PT412', DETAIL = format('status is %s', target.status);
        END IF;
        -- A literal takes the column's own type, be it text or an enum.
        EXECUTE format('UPDATE public.assignments AS a SET status = %L WHERE a.id = $1', closed_status) USING target.id;
    END IF;
    RETURN reminder_admin.record_change(
        'status', target.org_id, target.id,
        jsonb_build_object('status', target.status), jsonb_build_object('status', closed_status), reason
    );
END
$$;

-- Sets the days after which an organisation's mentors are reminded and its coordinators alerted. What is expected is
-- checked where it is given. An organisation without a row has 10 and 20, as everywhere.
CREATE FUNCTION reminder_admin.set_thresholds(
    org_id uuid,
    reminder_days integer,
    escalation_days integer,
    expected_reminder_days integer,
    expected_escalation_days integer
) RETURNS public.admin_changes
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target record;
BEGIN
    PERFORM reminder_admin.require_admin();
    IF NOT reminder_admin.is_admin_of(org_id) THEN
        RAISE EXCEPTION 'there is no such organisation' USING ERRCODE = 'PT404';
    END IF;
    IF (0 < reminder_days AND reminder_days < escalation_days) IS NOT TRUE THEN
        RAISE EXCEPTION 'reminder_days must be 1 or more, and escalation_days more than that'
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- The row is made first, so that there is one to lock: two admins at once then come one after the other.
    INSERT INTO public.org_settings (org_id, reminder_days, escalation_days)
    VALUES (set_thresholds.org_id, 10, 20) ON CONFLICT DO NOTHING;
    SELECT s.reminder_days, s.escalation_days INTO STRICT target
    FROM public.org_settings AS s WHERE s.org_id = set_thresholds.org_id
    FOR NO KEY UPDATE;
    IF (target.reminder_days, target.escalation_days) <> (reminder_days, escalation_days) THEN
        IF (target.reminder_days, target.escalation_days) <> (
            coalesce(expected_reminder_days, target.reminder_days),
            coalesce(expected_escalation_days, target.escalation_days)
        ) THEN
            RAISE EXCEPTION 'the thresholds are not the expected ones'
            USING
                ERRCODE = 'PT412',
                DETAIL = format('they are %s and %s days', target.reminder_days, target.escalation_days);
        END IF;
        UPDATE public.org_settings AS s
        SET
            reminder_days = set_thresholds.reminder_days,
            escalation_days = set_thresholds.escalation_days
        WHERE s.org_id = set_thresholds.org_id;
    END IF;
    RETURN reminder_admin.record_change(
        'thresholds', org_id, NULL,
        jsonb_build_object('reminder_days', target.reminder_days, 'escalation_days', target.escalation_days),
        jsonb_build_object('reminder_days', reminder_days, 'escalation_days', escalation_days), NULL
    );
END
$$;

-- Says whether activities of this type count as contact from now on. Activities that were logged before keep their
-- effect. The types are the same for all organisations, hence only an admin without a limit may change them.
CREATE FUNCTION reminder_admin.set_activity_type(code text, counts boolean) RETURNS public.admin_changes
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    counted boolean;
BEGIN
    PERFORM reminder_admin.require_admin();
    IF NOT public.admin_scope() ? '*' THEN
        RAISE EXCEPTION 'only an admin of all organisations may change activity types' USING ERRCODE = 'PT403';
    END IF;
    IF code IS NULL OR code <> btrim(code) OR code ~ '[[:cntrl:]]' OR char_length(code) NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION 'code must have 1 to 100 characters, without spaces around them or control characters'
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF counts THEN
        INSERT INTO public.contact_activity_types (code) VALUES (set_activity_type.code) ON CONFLICT DO NOTHING;
        counted := NOT FOUND;
    ELSIF NOT counts THEN
        DELETE FROM public.contact_activity_types AS t WHERE t.code = set_activity_type.code;
        counted := FOUND;
    ELSE
        RAISE EXCEPTION 'counts must be true or false' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN reminder_admin.record_change(
        'activity_type', NULL, NULL,
        jsonb_build_object('code', code, 'counts', counted), jsonb_build_object('code', code, 'counts', counts), NULL
    );
END
$$;

-- What clients call.

CREATE FUNCTION public.admin_set_coordinator(
    assignment_id public.assignments.id%TYPE,
    coordinator_id uuid,
    reason text,
    expected_coordinator_id uuid DEFAULT NULL
) RETURNS public.admin_changes
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT reminder_admin.set_coordinator(assignment_id, coordinator_id, reason, expected_coordinator_id) $$;

CREATE FUNCTION public.admin_close_assignment(
    assignment_id public.assignments.id%TYPE,
    reason text,
    closed_status text DEFAULT 'closed',
    expected_status text DEFAULT NULL
) RETURNS public.admin_changes
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT reminder_admin.close_assignment(assignment_id, reason, closed_status, expected_status) $$;

CREATE FUNCTION public.admin_set_thresholds(
    org_id uuid,
    reminder_days integer,
    escalation_days integer,
    expected_reminder_days integer DEFAULT NULL,
    expected_escalation_days integer DEFAULT NULL
) RETURNS public.admin_changes
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT reminder_admin.set_thresholds(
        org_id, reminder_days, escalation_days, expected_reminder_days, expected_escalation_days
    )
$$;

CREATE FUNCTION public.admin_set_activity_type(code text, counts boolean) RETURNS public.admin_changes
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT reminder_admin.set_activity_type(code, counts) $$;

REVOKE ALL ON FUNCTION
reminder_admin.set_coordinator, reminder_admin.close_assignment, reminder_admin.set_thresholds, reminder_admin.set_activity_type,
public.admin_set_coordinator, public.admin_close_assignment, public.admin_set_thresholds, public.admin_set_activity_type
FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION
reminder_admin.set_coordinator, reminder_admin.close_assignment, reminder_admin.set_thresholds, reminder_admin.set_activity_type,
public.admin_set_coordinator, public.admin_close_assignment, public.admin_set_thresholds, public.admin_set_activity_type
TO authenticated;

-- migrate:down
