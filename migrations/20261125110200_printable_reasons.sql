-- migrate:up
-- A reason is read on screens and in logs. Controls, bidirectional overrides and line separators act on them, so no new
-- reason may have one. NOT VALID: reasons that stand already are evidence and stay as they are.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5min';

ALTER TABLE public.contact_date_corrections
ADD CONSTRAINT reason_is_printable CHECK (
    reason !~ '[\u0001-\u001F\u007F-\u009F\u061C\u200B\u200E\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]'
) NOT VALID;

-- migrate:down
