-- What a Supabase database has before the first migration, as far as our migrations rely on it.
--
-- Run by the superuser in each new database. Roles belong to the whole cluster, so those may exist
-- already; grants and default privileges can be repeated. The last statement group says who gets ALL on
-- every new table, and that is the trap the migrations must disarm: row level security and a revoke.

-- The four roles of the API. They never log in themselves: the authenticator becomes one of them,
-- per request, and must inherit nothing until it does.
DO $$
BEGIN
  IF to_regrole('anon') IS NULL THEN
    CREATE ROLE anon NOLOGIN NOINHERIT;
  END IF;
  IF to_regrole('authenticated') IS NULL THEN
    CREATE ROLE authenticated NOLOGIN NOINHERIT;
  END IF;
  IF to_regrole('service_role') IS NULL THEN
    CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
  END IF;
  IF to_regrole('authenticator') IS NULL THEN
    CREATE ROLE authenticator LOGIN NOINHERIT;
  END IF;
  -- Migrations run as this one. It is no superuser: what fails there in production must fail here.
  -- One that is there already is left alone: it may be the only superuser of an existing server.
  IF to_regrole('postgres') IS NULL THEN
    CREATE ROLE postgres LOGIN NOSUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS;
  END IF;
END $$;

GRANT anon, authenticated, service_role TO authenticator;

-- postgres can become each of them, as in Supabase's SQL editor. Since 16, CREATEROLE alone no longer lets it
-- grant roles that it did not make.
DO $$
BEGIN
  IF session_user <> 'postgres' THEN
    GRANT anon, authenticated, service_role TO postgres;
    IF current_setting('server_version_num')::int >= 160000 THEN
      GRANT anon, authenticated, service_role TO postgres WITH ADMIN OPTION;
    END IF;
  END IF;
END $$;

-- The migration tool keeps its table in a schema that it makes itself.
DO $$
BEGIN
  EXECUTE format('GRANT ALL ON DATABASE %I TO postgres', current_database());
END $$;

-- Who is asking? PostgREST sets the claims for the transaction: since version 9 all in one JSON
-- setting, before that one setting a claim, which still wins where it is set.
CREATE SCHEMA IF NOT EXISTS auth;

CREATE OR REPLACE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT coalesce(
    nullif(current_setting('request.jwt.claim', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')
  )::jsonb
$$;

CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT coalesce(
    nullif(current_setting('request.jwt.claim.sub', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
  )::uuid
$$;

CREATE OR REPLACE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(
    nullif(current_setting('request.jwt.claim.role', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
  )
$$;

-- The columns of Supabase Auth's table that we read. `postgres` may read it, the API roles may not.
CREATE TABLE IF NOT EXISTS auth.users (
  id uuid PRIMARY KEY,
  email varchar(255),
  raw_user_meta_data jsonb,
  created_at timestamptz DEFAULT now()
);
GRANT ALL ON auth.users TO postgres;

GRANT USAGE ON SCHEMA auth TO postgres, anon, authenticated, service_role;

-- postgres makes things in public and passes rights on it on; the API roles may only enter.
GRANT ALL ON SCHEMA public TO postgres WITH GRANT OPTION;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;

-- The trap: whatever postgres (or the superuser, in the second group) makes in public is open to all.
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public
  GRANT ALL ON TABLES TO postgres, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public
  GRANT ALL ON FUNCTIONS TO postgres, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public
  GRANT ALL ON SEQUENCES TO postgres, anon, authenticated, service_role;

ALTER DEFAULT PRIVILEGES IN SCHEMA public
  GRANT ALL ON TABLES TO postgres, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
  GRANT ALL ON FUNCTIONS TO postgres, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
  GRANT ALL ON SEQUENCES TO postgres, anon, authenticated, service_role;
