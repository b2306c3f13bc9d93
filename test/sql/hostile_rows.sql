--
-- rows, columns and types that a model's owner has changed: a clear error, or the answer as before
--
SET client_min_messages = error;
CREATE SCHEMA hostile_rows;
SET search_path = hostile_rows, public;
\getenv srcdir PG_ABS_SRCDIR
\set fixture :srcdir /fixture/hostile_rows.sql
\ir ../fixture/hostile_rows.sql
