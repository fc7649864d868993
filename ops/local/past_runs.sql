-- One run for each 06:00 UTC of the last days, so that `reminders history` has something to show. Every 17 days two runs
-- in a row fail, and the run of the next day sends more. Deterministic, except for the date.
INSERT INTO public.cron_execution_logs (
    job_name, trigger_source, event_id, scheduled_for, started_at, completed_at, duration_ms, assignments_evaluated,
    reminders_dispatched, status, http_status, error_message, consecutive_failure_count, created_at
)
SELECT
    'assignment-reminder-cron',
    'schedule',
    'generated-' || back,
    tick,
    tick + interval '1 s',
    tick + interval '1 s' + ms * interval '1 ms',
    ms,
    CASE WHEN failures = 0 THEN %(assignments)s * 19 / 20 ELSE 0 END,
    CASE WHEN failures = 0 THEN %(assignments)s * (3 + back * 7 %% 4 + 9 * is_late) / 100 ELSE 0 END,
    CASE WHEN failures = 0 THEN 'success' ELSE 'failed' END,
    CASE WHEN failures > 0 THEN 503 END,
    CASE WHEN failures > 0 THEN 'SchedulerError: the scheduler answered 503' END,
    failures,
    tick + interval '1 s'
FROM generate_series(0, %(days)s - 1) AS back,
    LATERAL (SELECT (back %% 17 = 8)::int AS is_late) AS late,
    LATERAL (
        SELECT
            date_bin('1 day', now() - interval '6 h', '2000-01-01 00:00Z') + interval '6 h' - back * interval '1 day'
                AS tick,
            CASE back %% 17 WHEN 9 THEN 2 WHEN 10 THEN 1 ELSE 0 END AS failures,
            180 + back * 37 %% 90 + 60 * is_late AS ms
    ) AS run
