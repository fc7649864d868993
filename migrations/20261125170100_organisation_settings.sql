-- migrate:up
-- What an admin may change of an organisation besides the thresholds: its name, language, time zone and hours. As in
-- admin_changes: checked, locked, and with a row that says who, when, the old and the new values.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- Widened in the next statement of the same transaction.
-- squawk-ignore ban-drop-constraint
ALTER TABLE public.admin_changes DROP CONSTRAINT change_is_known;
-- The table holds what people did by hand.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE public.admin_changes ADD CONSTRAINT change_is_known
CHECK (what IN ('coordinator', 'status', 'thresholds', 'activity_type', 'organisation'));

-- The organisations of the caller with all their settings. to_jsonb, because an existing project's columns may have other
-- types. An organisation without a row has the defaults. Only the console calls it.
-- squawk-ignore ban-drop-function
DROP FUNCTION reminder_admin.organisations();
CREATE FUNCTION reminder_admin.organisations()
RETURNS TABLE (
    org_id uuid,
    name text,
    time_zone text,
    locale text,
    reminder_days integer,
    escalation_days integer,
    send_from text,
    send_until text
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT
        o.org_id,
        to_jsonb(s) ->> 'display_name',
        coalesce(to_jsonb(s) ->> 'time_zone', 'UTC'),
        coalesce(to_jsonb(s) ->> 'locale', 'en'),
        coalesce(s.reminder_days, 10),
        coalesce(s.escalation_days, 20),
        left(coalesce(to_jsonb(s) ->> 'send_from', '08:00'), 5),
        left(coalesce(to_jsonb(s) ->> 'send_until', '20:00'), 5)
    FROM unnest(reminder_admin.org_ids()) AS o (org_id)
    LEFT JOIN public.org_settings AS s ON s.org_id = o.org_id
    ORDER BY to_jsonb(s) ->> 'display_name', o.org_id
$$;

-- expected: the values that the admin saw, as this function records them. display_name NULL: no name.
CREATE FUNCTION reminder_admin.set_organisation(
    org_id uuid,
    display_name text,
    locale text,
    time_zone text,
    send_from time,
    send_until time,
    expected jsonb
) RETURNS public.admin_changes
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    present jsonb;
    wanted constant jsonb := jsonb_build_object(
        'display_name', display_name, 'locale', locale, 'time_zone', time_zone,
        'send_from', to_char(send_from, 'HH24:MI'), 'send_until', to_char(send_until, 'HH24:MI')
    );
BEGIN
    PERFORM reminder_admin.require_admin();
    IF NOT reminder_admin.is_admin_of(org_id) THEN
        RAISE EXCEPTION 'there is no such organisation' USING ERRCODE = 'PT404';
    END IF;
    -- Hours that begin when they end would be none: every message would wait for ever.
    IF (
        send_from <> send_until
        AND locale ~ '^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$'
        AND time_zone IS NOT NULL
        AND coalesce(display_name !~ '[[:cntrl:]]' AND char_length(display_name) BETWEEN 1 AND 80, true)
    ) IS NOT TRUE THEN
        RAISE EXCEPTION 'the hours, the language, the time zone or the name is not possible'
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- As in set_thresholds: a row to lock, so that two admins at once come one after the other.
    INSERT INTO public.org_settings (org_id, reminder_days, escalation_days)
    VALUES (set_organisation.org_id, 10, 20) ON CONFLICT DO NOTHING;
    SELECT jsonb_build_object(
        'display_name', s.display_name, 'locale', s.locale, 'time_zone', s.time_zone,
        'send_from', to_char(s.send_from, 'HH24:MI'), 'send_until', to_char(s.send_until, 'HH24:MI')
    ) INTO STRICT present
    FROM public.org_settings AS s WHERE s.org_id = set_organisation.org_id
    FOR NO KEY UPDATE;
    IF present <> wanted THEN
        IF present <> expected THEN
            RAISE EXCEPTION 'the settings are not the expected ones' USING ERRCODE = 'PT412', DETAIL = present::text;
        END IF;
        -- An unknown time zone is refused by the trigger time_zone_is_known.
        UPDATE public.org_settings AS s
        SET
            display_name = set_organisation.display_name,
            locale = set_organisation.locale,
            time_zone = set_organisation.time_zone,
            send_from = set_organisation.send_from,
            send_until = set_organisation.send_until
        WHERE s.org_id = set_organisation.org_id;
    END IF;
    RETURN reminder_admin.record_change('organisation', org_id, NULL, present, wanted, NULL);
END
$$;

-- As in console, and of one organisation where that is given.
-- squawk-ignore ban-drop-function
DROP FUNCTION reminder_admin.settings_changes(integer);
CREATE FUNCTION reminder_admin.settings_changes(of_org uuid, at_most integer)
RETURNS TABLE (at timestamptz, what text, org_id uuid, person text, old_value jsonb, new_value jsonb)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT h.changed_at, h.what, h.org_id, coalesce(p.name, h.changed_by::text), h.old_value, h.new_value
    FROM public.admin_changes AS h
    LEFT JOIN reminder_admin.people AS p ON p.person_id = h.changed_by
    WHERE
        h.assignment_id IS NULL
        AND h.org_id = ANY ((SELECT reminder_admin.org_ids())::uuid [])
        AND (of_org IS NULL OR h.org_id = of_org)
    ORDER BY h.id DESC
    LIMIT at_most
$$;

REVOKE ALL ON FUNCTION reminder_admin.organisations, reminder_admin.settings_changes, reminder_admin.set_organisation
FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION reminder_admin.organisations, reminder_admin.settings_changes, reminder_admin.set_organisation
TO authenticated;

-- migrate:down
