-- The best items of all users, written to a table by a job: the rows of tagrec_recommend_all(), in tables that keep what they are.
\getenv srcdir PG_ABS_SRCDIR
\set fixture :srcdir /fixture/hand_made.sql
\set large :srcdir /fixture/large.sql
\set drop_fixture :srcdir /fixture/drop_hand_made.sql
SET client_min_messages = warning;
CREATE SCHEMA fixture;
SET search_path = fixture, public;
\set ECHO none
\i :fixture
\i :large
\set ECHO all

SELECT coalesce(max(job), 0) AS earlier FROM tagrec_jobs \gset
SELECT fixture_model('by_int', 'int');
SELECT fixture_model('by_uuid', 'uuid');
SELECT fixture_model('mixed keys', 'int', 'text');
SELECT large_model('large', 'text', 5000, 700, 65, 64);
CREATE TABLE pairs AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 40 AS item_id, 't' || k AS tag
	FROM generate_series(1, 50) u, generate_series(1, 9) k;
SELECT tagrec_train('knn', 'pairs', 'item_knn') IS NOT NULL AS trained;

-- how many rows a table and tagrec_recommend_all() do not have in common
CREATE FUNCTION differences(target text, model text, n int, exclude_seen boolean, OUT rows bigint, OUT differ bigint)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT count(*), (SELECT count(*) FROM (
			(SELECT user_id::text, rank, item::text, score FROM %1$I EXCEPT ALL SELECT * FROM tagrec_recommend_all($1, $2, $3))
			UNION ALL
			(SELECT * FROM tagrec_recommend_all($1, $2, $3) EXCEPT ALL SELECT user_id::text, rank, item::text, score FROM %1$I)) x)
		FROM %1$I', target) INTO rows, differ USING model, n, exclude_seen;
END $$;

-- tables that are made
CALL tagrec_recommend_into('made', 'by_int', 4) \gset first_
SELECT * FROM differences('made', 'by_int', 4, true);
SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = 'made'::regclass AND attnum > 0 ORDER BY attnum;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'made'::regclass;
CALL tagrec_recommend_into('public."Other Made"', 'by_uuid', 100, exclude_seen => false) \gset
SELECT * FROM differences('Other Made', 'by_uuid', 100, false);
CALL tagrec_recommend_into('mixed', 'mixed keys', 3) \gset
SELECT * FROM differences('mixed', 'mixed keys', 3, true);
CALL tagrec_recommend_into('large_best', 'large', 20) \gset
SELECT * FROM differences('large_best', 'large', 20, true);
CALL tagrec_recommend_into('large_best', 'large', 5, exclude_seen => false) \gset
SELECT * FROM differences('large_best', 'large', 5, false);
CALL tagrec_recommend_into('neighbours', 'knn', 6) \gset
SELECT * FROM differences('neighbours', 'knn', 6, true);
SELECT kind, state, version, phase, options - 'n', model FROM tagrec_jobs WHERE kind = 'recommend' AND job > :earlier ORDER BY job;

-- many items: by bounds, in parts, for all users, or all scored; for one user; and in a table
SELECT large_model('wide', 'int', 33000, 100, 33, 32);
SELECT tagrec_warm('wide') > 0 AS warm;
CREATE TEMP TABLE by_bounds AS SELECT * FROM tagrec_recommend_all('wide', 12);
SET tagrec.fast_scan = off;
CREATE TEMP TABLE all_scored AS SELECT * FROM tagrec_recommend_all('wide', 12);
RESET tagrec.fast_scan;
CREATE TEMP TABLE one_by_one AS SELECT u.user_id::text, r.* FROM wide_user_v1 u, LATERAL tagrec_recommend('wide', u.user_id, 12) r;
SELECT count(*), (SELECT count(*) FROM (SELECT * FROM by_bounds EXCEPT ALL SELECT * FROM all_scored) x) AS differ,
	(SELECT count(*) FROM (SELECT * FROM by_bounds EXCEPT ALL SELECT * FROM one_by_one) x) AS differ FROM by_bounds;
SELECT by_bounds >= 100 AS by_bounds FROM tagrec_searches;
CALL tagrec_recommend_into('large_best', 'wide', 12) \gset
SELECT * FROM differences('large_best', 'wide', 12, true);

-- a table that was there keeps its privileges, what depends on it, its other columns; ids become the columns' types
CREATE TABLE kept (made_at timestamptz DEFAULT now(), score float8, item text, rank bigint, user_id text, note text DEFAULT 'new');
CREATE INDEX ON kept (item);
CREATE VIEW firsts AS SELECT * FROM kept WHERE rank = 1;
GRANT SELECT ON kept TO PUBLIC;
INSERT INTO kept (note) VALUES ('old');
CALL tagrec_recommend_into('kept', 'by_int', 2) \gset
SELECT * FROM differences('kept', 'by_int', 2, true);
SELECT count(*), min(note) FROM firsts;
SELECT relacl IS NOT NULL AS granted FROM pg_class WHERE oid = 'kept'::regclass;
CALL tagrec_recommend_into('kept', 'by_int', 0) \gset
SELECT count(*) FROM kept;
SELECT options FROM tagrec_jobs WHERE kind = 'recommend' ORDER BY job DESC LIMIT 1;

-- rows stay as they are when something is wrong with the new ones
CALL tagrec_recommend_into('kept', 'by_int', 1) \gset
\set VERBOSITY terse
ALTER TABLE kept ADD CHECK (rank < 2);
CALL tagrec_recommend_into('kept', 'by_int', 2);
SELECT count(*), max(rank) FROM kept;
DROP VIEW firsts;
ALTER TABLE kept ALTER item TYPE date USING NULL;
CALL tagrec_recommend_into('kept', 'by_int', 1);
SELECT count(*) FROM kept;
\set VERBOSITY default

-- without waiting, the job sees what the transaction has done
BEGIN;
CREATE TABLE mine (user_id int, rank int, item int, score real);
CALL tagrec_recommend_into('mine', 'by_int', 2, wait => false) \gset
COMMIT;
CALL tagrec_wait(:job);
SELECT * FROM differences('mine', 'by_int', 2, true);

-- arguments
\set VERBOSITY terse
CALL tagrec_recommend_into(NULL, 'by_int');
CALL tagrec_recommend_into('made', NULL);
CALL tagrec_recommend_into('made', 'by_int', NULL);
CALL tagrec_recommend_into('made', 'by_int', -1);
CALL tagrec_recommend_into('made', 'by_int', exclude_seen => NULL);
CALL tagrec_recommend_into('made', 'by_int', device => 'abacus');
CALL tagrec_recommend_into('made', 'nobody');
CALL tagrec_recommend_into('', 'by_int');
CALL tagrec_recommend_into('nowhere.made', 'by_int');
CALL tagrec_recommend_into('pg_catalog.made', 'by_int');
CALL tagrec_recommend_into('pg_temp.made', 'by_int');
CALL tagrec_recommend_into('by_int_item_embedding', 'by_int');
CALL tagrec_recommend_into('pg_class', 'by_int');
CALL tagrec_recommend_into('pairs', 'by_int');
CREATE TEMP TABLE passing (user_id int, rank int, item int, score real);
CALL tagrec_recommend_into('passing', 'by_int');
SET tagrec.max_memory = 1;
CALL tagrec_recommend_into('large_best', 'large', 1000);
RESET tagrec.max_memory;

-- a worker would wait for this transaction
BEGIN;
SELECT count(*) > 0 AS used FROM made;
CALL tagrec_recommend_into('made', 'by_int');
ROLLBACK;
BEGIN;
CREATE TABLE written ();
CALL tagrec_recommend_into('made', 'by_int');
ROLLBACK;
SET default_transaction_read_only = on;
CALL tagrec_recommend_into('made', 'by_int');
RESET default_transaction_read_only;
\set VERBOSITY default

-- who may: the owner of the table who may use the model. The table's code runs as its owner.
CREATE ROLE regress_tagrec_writer LOGIN;
CREATE ROLE regress_tagrec_owner LOGIN;
GRANT CREATE, USAGE ON SCHEMA fixture TO regress_tagrec_writer, regress_tagrec_owner;
SET ROLE regress_tagrec_writer;
\set VERBOSITY terse
CALL tagrec_recommend_into('writers', 'by_int');
RESET ROLE;
GRANT SELECT ON by_int_item_embedding TO regress_tagrec_writer, regress_tagrec_owner;
SET ROLE regress_tagrec_writer;
CALL tagrec_recommend_into('made', 'by_int');
CALL tagrec_recommend_into('writers', 'by_int', 3) \gset
SELECT tableowner FROM pg_tables WHERE tablename = 'writers';
SELECT * FROM differences('writers', 'by_int', 3, true);
RESET ROLE;
SET ROLE regress_tagrec_owner;
CREATE TABLE theirs (user_id int, rank int, item int, score real, who name DEFAULT current_user);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.who = current_user || ' ' || has_table_privilege('pg_authid', 'SELECT')::text;
	RETURN NEW;
END $$;
CREATE TRIGGER note BEFORE INSERT ON theirs FOR EACH ROW EXECUTE FUNCTION note();
RESET ROLE;
CALL tagrec_recommend_into('theirs', 'by_int', 1) \gset
SELECT DISTINCT who FROM theirs;
DROP TABLE made, "Other Made", mixed, large_best, neighbours, kept, mine, writers, theirs, passing CASCADE;
DROP FUNCTION note();
REVOKE ALL ON SCHEMA fixture FROM regress_tagrec_writer, regress_tagrec_owner;
REVOKE ALL ON by_int_item_embedding FROM regress_tagrec_writer, regress_tagrec_owner;
DROP ROLE regress_tagrec_writer, regress_tagrec_owner;
SELECT tagrec_drop('knn');
\set ECHO none
\i :drop_fixture
