-- Names for the people of the generated assignments, as Supabase Auth has them, and one logged contact for each assignment
-- that had any, so that a page has something to show. Deterministic. The first 5,000 assignments are enough to look at.
WITH few AS MATERIALIZED (
    SELECT * FROM public.assignments ORDER BY id LIMIT 5000
),

people AS (
    SELECT peer_mentor_id AS id FROM few
    UNION
    SELECT coordinator_id FROM few WHERE coordinator_id IS NOT NULL
),

named AS (
    SELECT
        id,
        (ARRAY['Aisha', 'Ben', 'Chidi', 'Dagny', 'Elif', 'Finn', 'Grace', 'Hamid', 'Ines', 'Jonas', 'Kari', 'Leo', 'Maya',
            'Nils', 'Olga', 'Priya'])[1 + get_byte(uuid_send(id), 0) % 16] AS given,
        (ARRAY['Andersen', 'Bakke', 'Clarke', 'Diallo', 'Eriksen', 'Farah', 'Garcia', 'Haugen', 'Ivanova', 'Jensen', 'Khan',
            'Lund', 'Moreau', 'Nguyen', 'Okafor', 'Patel'])[1 + get_byte(uuid_send(id), 1) % 16] AS family
    FROM people
),

accounts AS (
    INSERT INTO auth.users (id, email, raw_user_meta_data)
    SELECT
        id,
        lower(given || '.' || family || '.' || left(id::text, 4) || '@example.org'),
        jsonb_build_object('full_name', given || ' ' || family)
    FROM named
)

INSERT INTO public.activities
(assignment_id, activity_type, recorded_date, registered_by, registration_path, created_at)
SELECT
    id,
    (ARRAY['meeting', 'phone_call', 'video_call', 'message'])[1 + get_byte(uuid_send(id), 2) % 4],
    last_contact_date,
    peer_mentor_id,
    'direct',
    least(last_contact_date + time '17:20', now())
FROM few
WHERE last_contact_date >= (assigned_at AT TIME ZONE 'UTC')::date
