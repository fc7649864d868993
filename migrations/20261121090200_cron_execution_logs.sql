-- migrate:up
-- The ledger: one row for each invocation of the cron function.
-- Runs are evidence. The row is written before the work starts, and it gets its final status once. After that only the
-- retention function may delete it. The ledger shows whether yesterday's reminders were sent, even if the
-- process of that run has ended.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

CREATE TABLE public.cron_execution_logs (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT cron_execution_logs_pkey PRIMARY KEY,
    job_name text NOT NULL,
    trigger_source text NOT NULL
        CONSTRAINT trigger_source_is_known CHECK (trigger_source IN ('schedule', 'manual')),
    event_id text,
    scheduled_for timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    duration_ms integer CONSTRAINT duration_is_not_negative CHECK (duration_ms >= 0),
    assignments_evaluated integer NOT NULL DEFAULT 0,
    reminders_dispatched integer NOT NULL DEFAULT 0,
    assignments_failed integer NOT NULL DEFAULT 0,
    status text NOT NULL
        CONSTRAINT status_is_known CHECK (status IN ('running', 'success', 'failed', 'skipped')),
    http_status integer CONSTRAINT http_status_is_a_status CHECK (http_status BETWEEN 100 AND 599),
    error_message text,
    note text,
    consecutive_failure_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT counts_are_not_negative CHECK (
        assignments_evaluated >= 0
        AND reminders_dispatched >= 0
        AND assignments_failed >= 0
        AND consecutive_failure_count >= 0
    ),
    CONSTRAINT settled_rows_are_complete CHECK ((status = 'running') = (completed_at IS NULL)),
    CONSTRAINT failed_rows_have_an_error CHECK ((status = 'failed') = (error_message IS NOT NULL)),
    CONSTRAINT running_rows_have_no_result CHECK (
        status <> 'running' OR (duration_ms IS NULL AND http_status IS NULL)
    ),
    CONSTRAINT skipped_rows_did_nothing CHECK (
        status <> 'skipped'
        OR (
            duration_ms IS NULL
            AND http_status IS NULL
            AND assignments_evaluated = 0
            AND reminders_dispatched = 0
            AND assignments_failed = 0
            AND consecutive_failure_count = 0
        )
    ),
    CONSTRAINT success_ends_the_count CHECK (status <> 'success' OR consecutive_failure_count = 0)
);

COMMENT ON COLUMN public.cron_execution_logs.scheduled_for IS 'The tick that this run stands for';
COMMENT ON COLUMN public.cron_execution_logs.http_status IS 'What the scheduler answered, when it was not 2xx';

-- Newest rows first: the run history, the last settled run, `reminders logs`.
CREATE INDEX cron_execution_logs_started_at_idx ON public.cron_execution_logs (started_at DESC);
-- Abandoned rows, to be settled: at most one or two, even in a very long ledger.
CREATE INDEX cron_execution_logs_running_idx ON public.cron_execution_logs (started_at) WHERE status = 'running';
-- The last success, even after years of failures.
CREATE INDEX cron_execution_logs_success_idx ON public.cron_execution_logs (started_at DESC) WHERE status = 'success';
-- Was the work of this scheduled time done already?
CREATE INDEX cron_execution_logs_tick_idx ON public.cron_execution_logs (scheduled_for);

ALTER TABLE public.cron_execution_logs ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.cron_execution_logs FROM anon, authenticated, service_role;

-- cron_runner reads the columns that it needs to count failures. Messages are for people, so it cannot read them.
GRANT SELECT (id, job_name, trigger_source, scheduled_for, started_at, completed_at, status, consecutive_failure_count)
    ON public.cron_execution_logs TO cron_runner;
GRANT INSERT ON public.cron_execution_logs TO cron_runner;
GRANT UPDATE (
    completed_at, duration_ms, assignments_evaluated, reminders_dispatched, assignments_failed,
    status, http_status, error_message, note, consecutive_failure_count
) ON public.cron_execution_logs TO cron_runner;

CREATE POLICY runner_reads_runs ON public.cron_execution_logs
    FOR SELECT TO cron_runner USING (true);
CREATE POLICY runner_opens_runs ON public.cron_execution_logs
    FOR INSERT TO cron_runner WITH CHECK (status IN ('running', 'skipped'));
-- A settled row must not change: the policy hides it from every UPDATE.
CREATE POLICY runner_settles_running_rows ON public.cron_execution_logs
    FOR UPDATE TO cron_runner USING (status = 'running') WITH CHECK (true);

-- Admins read the history. The claim is app_metadata, which users cannot write themselves; the sub-select
-- makes PostgreSQL read the claims once per query, not once per row.
GRANT SELECT ON public.cron_execution_logs TO authenticated, service_role;
CREATE POLICY admins_read_runs ON public.cron_execution_logs
    FOR SELECT TO authenticated
    USING ((SELECT auth.jwt() -> 'app_metadata' ->> 'role') = 'admin');

-- What an admin's page shows. security_invoker: the reader's own rights and policies apply.
CREATE VIEW public.cron_execution_log WITH (security_invoker = true) AS
SELECT
    id,
    job_name,
    started_at AS triggered_at,
    status,
    error_message
FROM public.cron_execution_logs;

REVOKE ALL ON public.cron_execution_log FROM anon, authenticated, service_role;
GRANT SELECT ON public.cron_execution_log TO authenticated, service_role;

-- migrate:down
