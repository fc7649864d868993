-- migrate:up
-- An attacker with the password of cron_runner must not be able to stop reminders without an alert. Before, they could
-- write rows of success for future days, which made later runs duplicates, choose start dates, and write alerts under
-- any key. Now the database sets the times of a row and the key of an alert.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- Assignments that failed by an error are counted separately from those whose escalation has no coordinator.
ALTER TABLE public.cron_execution_logs
    ADD COLUMN assignments_without_recipient integer NOT NULL DEFAULT 0
    CONSTRAINT without_recipient_is_a_count CHECK (
        assignments_without_recipient >= 0 AND (status <> 'skipped' OR assignments_without_recipient = 0)
    );
COMMENT ON COLUMN public.cron_execution_logs.assignments_without_recipient
IS 'Escalations that were due for an assignment without a coordinator';

-- Rows from before this migration may claim to have been written in the future. Such a row would be believed as
-- soon as its time has come, so it is moved to the present, where it can only speak of the past.
UPDATE public.cron_execution_logs
SET started_at = least(started_at, now()), completed_at = least(completed_at, now())
WHERE started_at > now() OR completed_at > now();

-- id, started_at, created_at, the counts and the failure count are the database's when a row is written.
REVOKE INSERT ON public.cron_execution_logs FROM cron_runner;
GRANT INSERT (job_name, trigger_source, event_id, scheduled_for, status, note, completed_at)
    ON public.cron_execution_logs TO cron_runner;
GRANT UPDATE (assignments_without_recipient) ON public.cron_execution_logs TO cron_runner;

-- A row stands for a scheduled time of now. The function refuses what is older than 7 days first; the 5 minutes are
-- for the time between its look at the clock and this one.
ALTER POLICY runner_opens_runs ON public.cron_execution_logs
    WITH CHECK (
        scheduled_for BETWEEN now() - interval '7 days 5 minutes' AND now() + interval '5 minutes'
        AND (status = 'running' OR (status = 'skipped' AND completed_at = now()))
    );
ALTER POLICY runner_settles_running_rows ON public.cron_execution_logs
    USING (status = 'running')
    WITH CHECK (
        status IN ('success', 'failed') AND completed_at BETWEEN now() AND clock_timestamp() + interval '1 minute'
    );

-- Alerts are written by the function below alone. A delivery can be put off for a day, which is the longest that a
-- channel may ask for, and not for ever.
REVOKE INSERT ON public.cron_alerts FROM cron_runner;
REVOKE INSERT (alert_id, channel) ON public.cron_alert_deliveries FROM cron_runner;
DROP POLICY runner_writes_alerts ON public.cron_alerts;
DROP POLICY runner_plans_deliveries ON public.cron_alert_deliveries;
ALTER POLICY runner_marks_deliveries ON public.cron_alert_deliveries
    USING (delivered_at IS NULL)
    WITH CHECK (next_attempt_at <= clock_timestamp() + interval '25 hours');

-- Writes an alert once for its run or its scheduled time, with a delivery for each channel. Returns whether it is new.
-- The function computes the key, so that no caller can use the key of a future alert: the run must exist and have the
-- status that the kind of alert requires, and a missed scheduled time must be in the past.
CREATE FUNCTION public.write_alert(
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
    written uuid;
BEGIN
    IF alert_kind = 'missed_run' THEN
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

REVOKE ALL ON FUNCTION public.write_alert(text, uuid, timestamptz, jsonb, text [])
FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.write_alert(text, uuid, timestamptz, jsonb, text []) TO cron_runner;

-- Who holds the run lock. Any login of the database may take an advisory lock, so the operators get the name of the session; pg_stat_activity hides the times of others' sessions from cron_runner, hence SECURITY DEFINER. It returns
-- this one lock only: the number is reminders.runs.lock.LOCK_KEY.
CREATE FUNCTION public.run_lock_holder()
RETURNS TABLE (pid integer, role text, application_name text, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT l.pid, a.usename::text, a.application_name, coalesce(a.xact_start, a.backend_start)
    FROM pg_catalog.pg_locks AS l
    LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
    WHERE
        l.locktype = 'advisory'
        AND l.granted
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
        AND l.objsubid = 1
        AND (l.classid::bigint << 32 | l.objid::bigint) = -3038934413323462162
    LIMIT 1
$$;

REVOKE ALL ON FUNCTION public.run_lock_holder() FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.run_lock_holder() TO cron_runner;

-- The ledger is evidence, and cron_runner may call this at any time. So it always keeps 90 days, and the
-- newest success of each job, which alerts and `reminders status` show.
CREATE OR REPLACE FUNCTION public.prune_runs(older_than_days integer, at_most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    pruned integer;
BEGIN
    IF older_than_days IS NULL OR older_than_days < 90 THEN
        RAISE EXCEPTION 'the ledger is kept for 90 days at least, not %', older_than_days
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- SKIP LOCKED: two watchdogs at once take different rows.
    WITH old AS (
        SELECT log.id
        FROM public.cron_execution_logs AS log
        WHERE log.started_at < now() - make_interval(days => older_than_days)
          AND log.status <> 'running'
          AND log.id IS DISTINCT FROM (
              SELECT success.id FROM public.cron_execution_logs AS success
              WHERE success.job_name = log.job_name AND success.status = 'success'
              ORDER BY success.started_at DESC LIMIT 1
          )
        ORDER BY log.started_at
        LIMIT at_most
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM public.cron_execution_logs AS log USING old WHERE log.id = old.id;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END
$$;

-- migrate:down
