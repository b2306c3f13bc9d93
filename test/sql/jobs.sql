--
-- jobs: submitting, waiting, cancelling; the extension's objects
--
SET client_min_messages = warning;
CREATE SCHEMA jobs;
SET search_path = jobs, public;
\getenv srcdir PG_ABS_SRCDIR
\set assignments :srcdir /fixture/assignments.sql
\i :assignments

SELECT tagrec_train('m', 'a', 'popularity', wait => false) AS job \gset
CALL tagrec_wait(:job, '60 s');
SELECT state, version FROM tagrec_jobs WHERE job = :job;
CALL tagrec_wait(:job);
CALL tagrec_wait(job => :job, timeout => '0');
SELECT tagrec_cancel(:job);

-- a failed job raises its own error
CREATE VIEW broken AS SELECT user_id, item_id, 1 / (user_id - user_id) AS tag FROM a;
SELECT tagrec_train('broken', 'broken', 'popularity', wait => false) AS job \gset
\set VERBOSITY sqlstate
CALL tagrec_wait(:job, '60 s');
\set VERBOSITY default
SELECT state, sqlstate, message FROM tagrec_jobs WHERE job = :job;

-- a job of this very transaction cannot be waited for
BEGIN;
SELECT tagrec_train('m', 'a', 'popularity', wait => false) AS job \gset
SELECT state FROM tagrec_jobs WHERE job = :job;
SAVEPOINT s;
\set VERBOSITY sqlstate
CALL tagrec_wait(:job);
\set VERBOSITY default
ROLLBACK TO s;
SELECT tagrec_cancel(:job);
SELECT state FROM tagrec_jobs WHERE job = :job;
COMMIT;
SELECT state FROM tagrec_jobs WHERE job = :job;

CALL tagrec_wait(-1);
CALL tagrec_wait(NULL);
SELECT tagrec_cancel(-1);
SELECT tagrec_cancel(NULL);

-- settings
\set VERBOSITY sqlstate
SET tagrec.threads = 0;
SET tagrec.max_memory = -2;
SET tagrec.unknown = 1;
\set VERBOSITY default
SHOW tagrec.max_memory;

-- everything that the extension makes is described, and every function says how parallel it may be
SELECT p.proname FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
	WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
		AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'tagrec')
		AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT c.relname FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
	WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass
		AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'tagrec')
		AND c.relkind <> 'S' AND obj_description(c.oid, 'pg_class') IS NULL;
-- none of them runs with its owner's rights
SELECT p.proname FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
	WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
		AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'tagrec') AND p.prosecdef;

-- models stand in the way of dropping the extension, by name
\set VERBOSITY terse
DROP EXTENSION tagrec;
\set VERBOSITY default

SELECT tagrec_drop('m');
SET client_min_messages = error;
DROP SCHEMA jobs CASCADE;
