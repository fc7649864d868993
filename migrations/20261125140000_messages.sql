-- migrate:up
-- A notification helps only the person who opens the app. The courier brings it by e-mail and push, and these tables are
-- what it knows: which message a person gets on which day, and what became of it.
--
--   notifications ── compose ──▶ messages (one for each organisation, person, channel and local day) ── send ──▶ provider
--
-- A message is a committed row before anything is sent, so that a courier that dies leaves it behind. No address, no
-- name and no id of a contact is stored here: the courier looks an address up when it sends.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

-- Hours and language of an organisation. An organisation without a row gets these defaults.
ALTER TABLE public.org_settings
    ADD COLUMN IF NOT EXISTS time_zone text NOT NULL DEFAULT 'UTC',
    ADD COLUMN IF NOT EXISTS send_from time NOT NULL DEFAULT '08:00',
    ADD COLUMN IF NOT EXISTS send_until time NOT NULL DEFAULT '20:00',
    ADD COLUMN IF NOT EXISTS locale text NOT NULL DEFAULT 'en',
    ADD COLUMN IF NOT EXISTS display_name text;

-- What a person chose for themselves; without a row: both channels, the organisation's language and time zone.
CREATE TABLE public.recipient_settings (
    person_id uuid CONSTRAINT recipient_settings_pkey PRIMARY KEY DEFAULT auth.uid(),
    email_enabled boolean NOT NULL DEFAULT true,
    push_enabled boolean NOT NULL DEFAULT true,
    locale text CONSTRAINT locale_is_a_language_tag CHECK (locale ~ '^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$'),
    time_zone text
);

-- The devices that a person gets push messages on. endpoint_arn is made by the courier when it first sends.
CREATE TABLE public.devices (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT devices_pkey PRIMARY KEY,
    person_id uuid NOT NULL DEFAULT auth.uid(),
    platform text NOT NULL CONSTRAINT platform_is_known CHECK (platform IN ('fcm', 'apns')),
    token text NOT NULL CONSTRAINT devices_token_key UNIQUE
        CONSTRAINT token_has_a_length CHECK (char_length(token) BETWEEN 1 AND 4096),
    endpoint_arn text,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX devices_person_idx ON public.devices (person_id);

-- Addresses that bounced, complained or unsubscribed, as SHA-256 of the lower-case address: enough to recognise one.
-- A changed address is another one, and is used again.
CREATE TABLE public.email_suppressions (
    address_sha256 bytea CONSTRAINT email_suppressions_pkey PRIMARY KEY
        CONSTRAINT address_is_a_sha256 CHECK (octet_length(address_sha256) = 32),
    reason text NOT NULL
        CONSTRAINT suppression_reason_is_known CHECK (reason IN ('bounce', 'complaint', 'rejected')),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.messages (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT messages_pkey PRIMARY KEY,
    org_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    channel text NOT NULL CONSTRAINT message_channel_is_known CHECK (channel IN ('email', 'push')),
    local_date date NOT NULL,
    status text NOT NULL DEFAULT 'pending' CONSTRAINT message_status_is_known
        CHECK (status IN ('pending', 'sending', 'sent', 'delivered', 'cancelled', 'expired', 'failed')),
    send_after timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0 CONSTRAINT message_attempts_are_not_negative CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL,
    lease_until timestamptz,
    sent_at timestamptz,
    provider_message_id text,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),

    -- What one person gets from one organisation by one channel on one local day.
    CONSTRAINT messages_once_a_day UNIQUE (org_id, recipient_id, channel, local_date),
    CONSTRAINT sending_messages_have_a_lease CHECK ((status = 'sending') = (lease_until IS NOT NULL)),
    CONSTRAINT sent_messages_have_a_time CHECK (status NOT IN ('sent', 'delivered') OR sent_at IS NOT NULL),
    CONSTRAINT failed_messages_have_an_error CHECK (status NOT IN ('failed', 'expired') OR last_error IS NOT NULL),
    CONSTRAINT messages_expire_after_they_are_due CHECK (expires_at > send_after)
);

-- What is due now, and leases that have ended: the courier's only question, every five minutes.
CREATE INDEX messages_due_idx ON public.messages (next_attempt_at) WHERE status = 'pending';
CREATE INDEX messages_leased_idx ON public.messages (lease_until) WHERE status = 'sending';
-- "Which message was it that bounced?"
CREATE UNIQUE INDEX messages_provider_idx ON public.messages (provider_message_id)
    WHERE provider_message_id IS NOT NULL;
-- Retention goes by age.
CREATE INDEX messages_created_idx ON public.messages (created_at);

-- Which notifications a message speaks of. No foreign keys: they took more than half of the time of composing a million
-- notifications. The courier looks at what is open before it sends, so an item whose notification was deleted is harmless;
-- it leaves with its message. The type of a notification's id is the application's choice.
--
-- Composing looks at young notifications only; without the index, it would read years of them every five minutes. BRIN,
-- because rows arrive in this order, and dispatch then pays nothing for it.
DO $$
DECLARE
    target constant text := (SELECT p.notifications FROM reminder_private.project AS p);
    id_type constant text := (
        SELECT format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = to_regclass('public.' || target) AND a.attname = 'id'
    );
BEGIN
    EXECUTE format(
        'CREATE INDEX IF NOT EXISTS notifications_created_idx ON public.%I USING brin (created_at) WITH (autosummarize = on)',
        target
    );
    EXECUTE format(
        $sql$
        CREATE TABLE public.message_items (
            notification_id %s NOT NULL,
            channel text NOT NULL CONSTRAINT item_channel_is_known CHECK (channel IN ('email', 'push')),
            message_id bigint NOT NULL,
            CONSTRAINT message_items_pkey PRIMARY KEY (notification_id, channel)
        )
        $sql$,
        id_type
    );
END
$$;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX message_items_message_idx ON public.message_items (message_id);

-- How far the courier has planned sending, by channel, so that two couriers at once share one rate.
CREATE TABLE public.message_rates (
    channel text CONSTRAINT message_rates_pkey PRIMARY KEY
        CONSTRAINT rate_channel_is_known CHECK (channel IN ('email', 'push')),
    next_slot timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO public.message_rates (channel) VALUES ('email'), ('push');

ALTER TABLE public.recipient_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.email_suppressions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.message_items ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.message_rates ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.recipient_settings, public.devices, public.email_suppressions, public.messages,
public.message_items, public.message_rates FROM anon, authenticated, service_role;
REVOKE ALL ON SEQUENCE public.messages_id_seq, public.devices_id_seq FROM anon, authenticated, service_role;

-- An unknown time zone is refused when it is set. The list of PostgreSQL counts, because PostgreSQL computes the hours.
CREATE FUNCTION public.check_time_zone() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.time_zone IS NOT NULL
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_timezone_names AS z WHERE z.name = NEW.time_zone)
    THEN
        RAISE EXCEPTION 'unknown time zone: use a name such as Europe/Oslo' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION public.check_time_zone() FROM PUBLIC, anon, authenticated, service_role;

CREATE TRIGGER time_zone_is_known BEFORE INSERT OR UPDATE OF time_zone ON public.recipient_settings
FOR EACH ROW EXECUTE FUNCTION public.check_time_zone();
CREATE TRIGGER time_zone_is_known BEFORE INSERT OR UPDATE OF time_zone ON public.org_settings
FOR EACH ROW EXECUTE FUNCTION public.check_time_zone();

-- Each person reads and writes their own row, and their own devices; never the courier's columns.
GRANT SELECT, DELETE ON public.recipient_settings TO authenticated;
GRANT INSERT (email_enabled, push_enabled, locale, time_zone), UPDATE (email_enabled, push_enabled, locale, time_zone)
ON public.recipient_settings TO authenticated;
CREATE POLICY people_manage_their_settings ON public.recipient_settings
FOR ALL TO authenticated USING (person_id = (SELECT auth.uid())) WITH CHECK (person_id = (SELECT auth.uid()));

GRANT SELECT (id, person_id, platform, token, disabled_at, created_at), DELETE ON public.devices TO authenticated;
GRANT INSERT (platform, token) ON public.devices TO authenticated;
CREATE POLICY people_manage_their_devices ON public.devices
FOR ALL TO authenticated USING (person_id = (SELECT auth.uid())) WITH CHECK (person_id = (SELECT auth.uid()));

-- migrate:down
