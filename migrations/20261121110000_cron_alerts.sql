-- migrate:up
-- The outbox of alerts. The transaction that settles the run also writes its alert, so the alert
-- cannot be lost between settling and sending: the next run or the watchdog sends it.
-- There is one row for each alert, and one for each of its channels, so that a channel that works does not get the alert
-- twice because another channel was down.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- run_id is not a foreign key, because an alert may still be undelivered when its run is pruned from the ledger.
CREATE TABLE public.cron_alerts (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT cron_alerts_pkey PRIMARY KEY,
    kind text NOT NULL CONSTRAINT alert_kind_is_known
    CHECK (kind IN ('failure', 'repeat', 'recovery', 'missed_run', 'overrun')),
    -- The kind with its run or its scheduled time, so that the same thing is alerted once.
    dedupe_key text NOT NULL CONSTRAINT cron_alerts_once UNIQUE,
    run_id uuid,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.cron_alert_deliveries (
    alert_id uuid NOT NULL
    CONSTRAINT cron_alert_deliveries_alert_fkey REFERENCES public.cron_alerts (id) ON DELETE CASCADE,
    channel text NOT NULL CONSTRAINT channel_is_known CHECK (channel IN ('sns', 'slack')),
    attempts integer NOT NULL DEFAULT 0 CONSTRAINT attempts_are_not_negative CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    last_error text,
    CONSTRAINT cron_alert_deliveries_pkey PRIMARY KEY (alert_id, channel),
    CONSTRAINT delivered_rows_were_attempted CHECK (delivered_at IS NULL OR attempts > 0)
);

-- Alerts that are not delivered yet; usually empty.
CREATE INDEX cron_alert_deliveries_undelivered_idx
    ON public.cron_alert_deliveries (next_attempt_at) WHERE delivered_at IS NULL;

ALTER TABLE public.cron_alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.cron_alert_deliveries ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.cron_alerts, public.cron_alert_deliveries FROM anon, authenticated, service_role;

-- Alerts are written once and never changed; of a delivery only its progress changes.
GRANT SELECT, INSERT ON public.cron_alerts TO cron_runner;
GRANT SELECT ON public.cron_alert_deliveries TO cron_runner;
GRANT INSERT (alert_id, channel) ON public.cron_alert_deliveries TO cron_runner;
GRANT UPDATE (attempts, next_attempt_at, delivered_at, last_error) ON public.cron_alert_deliveries TO cron_runner;

CREATE POLICY runner_reads_alerts ON public.cron_alerts FOR SELECT TO cron_runner USING (true);
CREATE POLICY runner_writes_alerts ON public.cron_alerts FOR INSERT TO cron_runner WITH CHECK (true);
CREATE POLICY runner_reads_deliveries ON public.cron_alert_deliveries FOR SELECT TO cron_runner USING (true);
CREATE POLICY runner_plans_deliveries ON public.cron_alert_deliveries FOR INSERT TO cron_runner WITH CHECK (true);
-- A delivered row must not change.
CREATE POLICY runner_marks_deliveries ON public.cron_alert_deliveries
    FOR UPDATE TO cron_runner USING (delivered_at IS NULL) WITH CHECK (true);

-- migrate:down
