-- Run once by a superuser in a new database: a schema for each service, owned by a role that only migrations
-- use, and a role for the running service that may do what the migrations grant it and nothing else.
-- psql variables: auth_password, directory_password, mailer_password, owner_password.
-- Running it again changes nothing but the passwords.
\set ON_ERROR_STOP on
SELECT format('CREATE ROLE %I LOGIN NOINHERIT CONNECTION LIMIT 80', name)
  FROM unnest(ARRAY['busi_auth', 'busi_directory', 'busi_mailer',
                    'busi_auth_owner', 'busi_directory_owner', 'busi_mailer_owner']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE busi_auth PASSWORD :'auth_password';
ALTER ROLE busi_directory PASSWORD :'directory_password';
ALTER ROLE busi_mailer PASSWORD :'mailer_password';
ALTER ROLE busi_auth_owner PASSWORD :'owner_password';
ALTER ROLE busi_directory_owner PASSWORD :'owner_password';
ALTER ROLE busi_mailer_owner PASSWORD :'owner_password';

SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name)
  FROM unnest(ARRAY['busi_auth', 'busi_directory', 'busi_mailer',
                    'busi_auth_owner', 'busi_directory_owner', 'busi_mailer_owner']) AS name \gexec
REVOKE ALL ON SCHEMA public FROM PUBLIC;

CREATE SCHEMA IF NOT EXISTS auth AUTHORIZATION busi_auth_owner;
CREATE SCHEMA IF NOT EXISTS directory AUTHORIZATION busi_directory_owner;
CREATE SCHEMA IF NOT EXISTS mailer AUTHORIZATION busi_mailer_owner;
