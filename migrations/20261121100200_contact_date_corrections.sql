-- migrate:up
-- An admin corrects a contact date only by an INSERT into this table. The row is the record, and its trigger changes the
-- date. So every correction has who, when and why, in whichever way it is made, and
-- authenticated needs no UPDATE on assignments.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

CREATE TABLE public.contact_date_corrections (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT contact_date_corrections_pkey PRIMARY KEY,
    assignment_id uuid NOT NULL,
    old_date date,
    new_date date NOT NULL,
    reason text NOT NULL
        CONSTRAINT reason_is_a_sentence CHECK (char_length(btrim(reason)) >= 3 AND char_length(reason) <= 500),
    -- These columns are not granted, so a caller cannot write another name or another time.
    corrected_by uuid NOT NULL DEFAULT auth.uid(),
    corrected_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT correction_changes_the_date CHECK (new_date IS DISTINCT FROM old_date)
);

DO $$
DECLARE
    id_type constant text := (
        SELECT format_type(a.atttypid, NULL)
        FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = 'public.assignments'::regclass AND a.attname = 'id'
    );
BEGIN
    IF id_type <> 'uuid' THEN
        EXECUTE format('ALTER TABLE public.contact_date_corrections ALTER COLUMN assignment_id TYPE %s USING NULL', id_type);
    END IF;
END
$$;
-- CASCADE: a reason may name a person, so it must not outlive an assignment that was erased.
ALTER TABLE public.contact_date_corrections
    ADD CONSTRAINT corrections_assignment_fkey FOREIGN KEY (assignment_id) REFERENCES public.assignments (id) ON DELETE CASCADE;

-- "Who set this date?", newest first.
CREATE INDEX corrections_assignment_idx ON public.contact_date_corrections (assignment_id, id DESC);

ALTER TABLE public.contact_date_corrections ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.contact_date_corrections FROM anon, authenticated, service_role;
REVOKE ALL ON SEQUENCE public.contact_date_corrections_id_seq FROM anon, authenticated, service_role;
GRANT SELECT ON public.contact_date_corrections TO authenticated;
GRANT INSERT (assignment_id, old_date, new_date, reason) ON public.contact_date_corrections TO authenticated;

-- The organisation is asked for again, not only whether the assignment can be seen: an admin of one
-- organisation may be a mentor in another, and sees that assignment as a mentor.
CREATE POLICY admins_read_corrections ON public.contact_date_corrections
FOR SELECT TO authenticated
USING (
    EXISTS (
        SELECT FROM public.assignments AS a
        WHERE a.id = assignment_id AND (SELECT public.admin_scope()) ?| ARRAY['*', a.org_id::text]
    )
);
CREATE POLICY admins_correct ON public.contact_date_corrections
FOR INSERT TO authenticated
WITH CHECK (
    corrected_by = (SELECT auth.uid())
    AND EXISTS (
        SELECT FROM public.assignments AS a
        WHERE a.id = assignment_id AND (SELECT public.admin_scope()) ?| ARRAY['*', a.org_id::text]
    )
);

-- AFTER, so that the policy above has allowed the row before anything is locked or changed. old_date is the date that the
-- admin expects. If it is not the present date, another admin has changed it, and this one must read it again (with PT412,
-- PostgREST returns 412). SECURITY DEFINER, because authenticated must not update assignments.
CREATE FUNCTION public.apply_correction() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ''
AS $$
DECLARE
    target record;
BEGIN
    SELECT a.last_contact_date, (a.assigned_at AT TIME ZONE 'UTC')::date AS began
    INTO STRICT target
    FROM public.assignments AS a
    WHERE a.id = NEW.assignment_id
    FOR NO KEY UPDATE;

    IF target.last_contact_date IS DISTINCT FROM NEW.old_date THEN
        RAISE EXCEPTION 'the contact date has changed meanwhile' USING ERRCODE = 'PT412';
    END IF;
    IF NEW.new_date NOT BETWEEN target.began AND (clock_timestamp() AT TIME ZONE 'UTC')::date THEN
        RAISE EXCEPTION 'the contact date is in the future, or before the assignment' USING ERRCODE = 'check_violation';
    END IF;

    UPDATE public.assignments AS a SET last_contact_date = NEW.new_date WHERE a.id = NEW.assignment_id;
    RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION public.apply_correction() FROM PUBLIC, anon, authenticated, service_role;

CREATE TRIGGER corrections_are_applied
AFTER INSERT ON public.contact_date_corrections
FOR EACH ROW EXECUTE FUNCTION public.apply_correction();

-- migrate:down
