-- migrate:up
-- Why: two watchdogs in the same moment could report one backlog twice. The second one read the backlog before the first
-- had committed its alert, and the key of its own alert, which is the alert before it, afterwards.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- As in message_alerts, but the backlog and the alert before it are read in one statement, which sees one moment.
CREATE OR REPLACE FUNCTION public.write_alert(
    alert_kind text, run uuid, tick timestamptz, alert_payload jsonb, alert_channels text []
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted text := CASE alert_kind
        WHEN 'failure' THEN 'failed' WHEN 'repeat' THEN 'failed' WHEN 'recovery' THEN 'success' WHEN 'overrun' THEN 'running'
    END;
    key text := alert_kind || ':' || run;
    backlog record;
BEGIN
    IF alert_kind IN ('message_backlog', 'message_recovery') THEN
        -- One statement: another watchdog may commit its alert between two.
        SELECT
            b.waiting,
            b.reported,
            (
                SELECT newest.id FROM public.cron_alerts AS newest
                WHERE newest.kind IN ('message_backlog', 'message_recovery')
                ORDER BY newest.created_at DESC
                LIMIT 1
            ) AS alert_before
        INTO backlog
        FROM reminder_private.message_backlog() AS b;
        IF alert_kind <> (CASE
            WHEN backlog.waiting > 0 AND backlog.reported IS NULL THEN 'message_backlog'
            WHEN backlog.waiting = 0 AND backlog.reported IS NOT NULL THEN 'message_recovery'
            ELSE 'none'
        END) THEN
            RETURN false; -- it has changed a moment ago
        END IF;
        run := NULL;
        key := alert_kind || ':' || coalesce(backlog.alert_before::text, 'first');
    ELSIF alert_kind = 'missed_run' THEN
        IF tick IS NULL OR tick > clock_timestamp() THEN
            RAISE EXCEPTION 'a scheduled time was missed only when it has passed'
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        run := NULL;
        key := 'missed_run:' || to_char(tick AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
    ELSE
        PERFORM FROM public.cron_execution_logs AS log WHERE log.id = run AND log.status = wanted;
        IF NOT FOUND AND alert_kind = 'overrun' THEN
            RETURN false; -- it has ended a moment ago
        ELSIF NOT FOUND THEN
            RAISE EXCEPTION 'there is no run that an alert of this kind could be about'
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
    END IF;
    RETURN reminder_private.put_alert(alert_kind, key, run, alert_payload, alert_channels);
END
$$;

-- migrate:down
