-- migrate:up
-- What the operators must hear of the messages, through the same outbox as the alerts about runs.
--
--   message_backlog    messages wait an hour after they were due: once, until none does
--   message_recovery   none does any more
--   message_failure    a channel refuses every message (no permission, an unverified sender): once a day and channel

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- Widened in the next statement of the same transaction.
-- squawk-ignore ban-drop-constraint
ALTER TABLE public.cron_alerts DROP CONSTRAINT alert_kind_is_known;
-- The table holds a handful of rows.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE public.cron_alerts ADD CONSTRAINT alert_kind_is_known CHECK (
    kind IN (
        'failure', 'repeat', 'recovery', 'missed_run', 'overrun', 'message_backlog', 'message_recovery', 'message_failure'
    )
);

-- How many messages should have been sent more than an hour ago, since when the oldest waits, and the alert that has
-- reported it and has no recovery yet. Messages that have expired are counted until a courier has said so: when no
-- courier works any more, nobody does.
CREATE FUNCTION reminder_private.message_backlog()
RETURNS TABLE (waiting bigint, since timestamptz, reported uuid)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT
        late.waiting,
        late.since,
        (
            SELECT CASE newest.kind WHEN 'message_backlog' THEN newest.id END
            FROM public.cron_alerts AS newest
            WHERE newest.kind IN ('message_backlog', 'message_recovery')
            ORDER BY newest.created_at DESC
            LIMIT 1
        )
    FROM (
        SELECT count(*) AS waiting, min(m.send_after) AS since
        FROM public.messages AS m
        WHERE m.status IN ('pending', 'sending') AND m.send_after < now() - interval '1 hour'
    ) AS late
$$;

-- Puts an alert into the outbox once for its key, with a delivery for each channel; says whether it is new. Not
-- granted to anybody: the functions that call it compute the key.
CREATE FUNCTION reminder_private.put_alert(
    alert_kind text, key text, run uuid, alert_payload jsonb, alert_channels text []
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    written uuid;
BEGIN
    -- clock_timestamp(): alerts are sent in the order in which they were written, not in which transactions began.
    INSERT INTO public.cron_alerts (kind, dedupe_key, run_id, payload, created_at)
    VALUES (alert_kind, key, run, alert_payload, clock_timestamp())
    ON CONFLICT (dedupe_key) DO NOTHING
    RETURNING id INTO written;
    INSERT INTO public.cron_alert_deliveries (alert_id, channel)
    SELECT written, channel FROM unnest(alert_channels) AS channel WHERE written IS NOT NULL;
    RETURN written IS NOT NULL;
END
$$;

-- As before, and for the backlog: its key is the alert before it, so that two watchdogs write it once, and one that
-- nobody has seen an end of is not written again.
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
        SELECT b.* INTO backlog FROM reminder_private.message_backlog() AS b;
        IF alert_kind <> (CASE
            WHEN backlog.waiting > 0 AND backlog.reported IS NULL THEN 'message_backlog'
            WHEN backlog.waiting = 0 AND backlog.reported IS NOT NULL THEN 'message_recovery'
            ELSE 'none'
        END) THEN
            RETURN false; -- it has changed a moment ago
        END IF;
        run := NULL;
        key := alert_kind || ':' || coalesce(
            (
                SELECT newest.id::text FROM public.cron_alerts AS newest
                WHERE newest.kind IN ('message_backlog', 'message_recovery')
                ORDER BY newest.created_at DESC
                LIMIT 1
            ),
            'first'
        );
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

-- For the courier: a channel refuses every message alike. Once a day and channel. The words are computed here, from the
-- provider's code alone, so that a leaked password cannot write to the operators what it likes.
CREATE FUNCTION reminder_private.report_channel_failure(channel text, reason text, alert_channels text [])
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    told text := CASE WHEN reason ~ '^[a-z]{1,8}: [A-Za-z]{1,64}$' THEN reason ELSE 'the log of the courier says why' END;
BEGIN
    IF channel IS NULL OR channel NOT IN ('email', 'push') THEN
        RAISE EXCEPTION 'there is no such channel' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN reminder_private.put_alert(
        'message_failure',
        format('message_failure:%s:%s', channel, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD')),
        NULL,
        jsonb_build_object(
            'kind', 'message_failure', 'job_name', 'message-courier', 'error_message', format('%s, %s', channel, told)
        ),
        alert_channels
    );
END
$$;

REVOKE ALL ON FUNCTION
reminder_private.message_backlog(),
reminder_private.put_alert(text, text, uuid, jsonb, text []),
reminder_private.report_channel_failure(text, text, text [])
FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION reminder_private.message_backlog() TO cron_runner;
GRANT EXECUTE ON FUNCTION reminder_private.report_channel_failure(text, text, text []) TO reminder_courier;

-- migrate:down
