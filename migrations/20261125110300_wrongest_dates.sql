-- migrate:up
-- An admin may correct any date, so the limits of a correction must also work for infinite dates and dates far away.
-- A start date in the future cannot be right, so it limits nothing: otherwise no date could replace a wrong one.
-- An infinite date is never a correction.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

CREATE OR REPLACE FUNCTION public.apply_correction() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target record;
    today constant pg_catalog.date := (pg_catalog.clock_timestamp() AT TIME ZONE 'UTC')::pg_catalog.date;
BEGIN
    SELECT a.last_contact_date, (a.assigned_at AT TIME ZONE 'UTC')::pg_catalog.date AS began
    INTO STRICT target
    FROM public.assignments AS a
    WHERE a.id = NEW.assignment_id
    FOR NO KEY UPDATE;

    IF target.last_contact_date IS DISTINCT FROM NEW.old_date THEN
        RAISE EXCEPTION 'the contact date has changed meanwhile' USING ERRCODE = 'PT412';
    END IF;
    IF NEW.new_date > today OR (NEW.new_date < target.began AND target.began <= today) OR NOT isfinite(NEW.new_date) THEN
        RAISE EXCEPTION 'the contact date is in the future, or before the assignment' USING ERRCODE = 'check_violation';
    END IF;

    UPDATE public.assignments AS a SET last_contact_date = NEW.new_date WHERE a.id = NEW.assignment_id;
    RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION public.apply_correction() FROM PUBLIC, anon, authenticated, service_role;

-- migrate:down
