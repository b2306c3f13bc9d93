--
-- relations of a model that their owner has altered: said, and never taken for what they are not
--
SET client_min_messages = warning;
CREATE SCHEMA altered;
SET search_path = altered, public;
\getenv srcdir PG_ABS_SRCDIR
\set assignments :srcdir /fixture/assignments.sql
\i :assignments
SELECT tagrec_train('m', 'a', 'hdlpr_ns', '{"layers": [4], "epochs": 1}') > 0 AS trained;

-- a column of another type, a missing one, one that is read under another name
ALTER TABLE m_user_versions ALTER seen TYPE text;
SELECT tagrec_recommend('m', 1);
SELECT count(*) FROM tagrec_recommend_all('m', 1);
SELECT tagrec_train('m', 'a', 'popularity');
ALTER TABLE m_user_versions ALTER seen TYPE int[] USING seen::int[];
ALTER TABLE m_item_versions DROP COLUMN posts;
SELECT tagrec_similar_items('m', 'item 1');
SELECT tagrec_train('m', 'a', 'popularity');
ALTER TABLE m_item_versions ADD COLUMN posts text;
SELECT tagrec_train('m', 'a', 'popularity');
ALTER TABLE m_item_versions DROP COLUMN posts, ADD COLUMN posts int;
ALTER TABLE m_tag_versions RENAME tag TO label;
SELECT tagrec_embed('m', '{tag 1}');
SELECT tagrec_refresh('m');
ALTER TABLE m_tag_versions RENAME label TO tag;
ALTER TABLE m_weight_versions ALTER value TYPE float8[];
SELECT tagrec_embed('m', '{tag 1}');
ALTER TABLE m_weight_versions ALTER value TYPE real[];
SELECT count(*) FROM tagrec_recommend('m', 1, 3);
SELECT cardinality(tagrec_embed('m', '{tag 1}'));

-- rows are written in the order of the columns
ALTER TABLE m_tag_versions ADD COLUMN "position again" int;
UPDATE m_tag_versions SET "position again" = position;
ALTER TABLE m_tag_versions DROP COLUMN position;
ALTER TABLE m_tag_versions RENAME "position again" TO position;
SELECT tagrec_train('m', 'a', 'popularity');
SELECT tagrec_drop('m');

-- a column of the owner's own must do without a value
SELECT tagrec_train('m', 'a', 'popularity') > 0 AS trained;
ALTER TABLE m_user_versions ADD COLUMN note text NOT NULL DEFAULT '';
SELECT tagrec_train('m', 'a', 'popularity');
ALTER TABLE m_user_versions ALTER note DROP NOT NULL;
SELECT tagrec_train('m', 'a', 'popularity') > 0 AS trained;
SELECT count(*), count(note) AS notes FROM m_user_v2;
SELECT tagrec_drop('m');

-- rows and relations of a version
SELECT tagrec_train('m', 'a', 'hdlpr_ns', '{"layers": [4], "epochs": 1}') > 0 AS trained;
BEGIN;
DELETE FROM m_tag_versions WHERE position = 3;
SELECT tagrec_embed('m', '{tag 1}');
ROLLBACK;
BEGIN;
UPDATE m_weight_versions SET value = value[1:2] WHERE part = 0 AND cardinality(value) > 2;
SELECT tagrec_embed('m', '{tag 1}');
ROLLBACK;
BEGIN;
UPDATE m_weight_versions SET value = value || value WHERE part = 0;
SELECT tagrec_embed('m', '{tag 1}');
ROLLBACK;
BEGIN;
DROP TABLE m_weight_v1;
SELECT tagrec_embed('m', '{tag 1}');
ROLLBACK;
BEGIN;
DROP TABLE m_item_v1;
SELECT tagrec_recommend('m', 1);
ROLLBACK;
DELETE FROM m_tag_versions WHERE position = 3;
SELECT tagrec_refresh('m');
DROP TABLE m_tag_v1;
SELECT tagrec_refresh('m');
SELECT tagrec_train('m', 'a', 'popularity') > 0 AS trained;
SELECT count(*) FROM tagrec_recommend('m', 1, 3);

-- a row of the registry that does not fit the network
SELECT tagrec_train('both', 'a', 'blend', '{"members": "ease_tags; hybrid layers=4 epochs=1", "weights": "1 1"}') > 0 AS trained;
UPDATE tagrec_version SET features = 0 WHERE model_id = (SELECT model_id FROM tagrec_model WHERE model = 'both');
SELECT tagrec_refresh('both');
SELECT tagrec_drop('both');

-- an old version that something holds on to does not keep older and newer ones from going
CREATE VIEW holding AS SELECT count(*) FROM m_item_v1;
SELECT tagrec_train('m', 'a', 'popularity', '{"keep_versions": 0}') > 0 AS trained;
SELECT version, deployed FROM tagrec_versions WHERE model = 'm' ORDER BY version;
DROP VIEW holding;
SELECT tagrec_train('m', 'a', 'popularity', '{"keep_versions": 0}') > 0 AS trained;
SELECT version, deployed FROM tagrec_versions WHERE model = 'm' ORDER BY version;

-- one statement, and one snapshot, may train a model twice
SELECT tagrec_train('once', 'a', 'popularity') < tagrec_train('once', 'a', 'popularity') AS in_order;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT 1 AS snapshot;
SELECT tagrec_train('again', 'a', 'popularity') > 0 AS trained;
SELECT tagrec_train('again', 'a', 'popularity') > 0 AS trained;
COMMIT;

-- but neither sees a model that it has made itself
WITH t AS MATERIALIZED (SELECT tagrec_train('later', 'a', 'popularity') AS job)
SELECT r.* FROM t, LATERAL tagrec_recommend('later', t.job) r;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT 1 AS snapshot;
SELECT tagrec_train('latest', 'a', 'popularity') > 0 AS trained;
SELECT * FROM tagrec_recommend('latest', 1);
ROLLBACK;
SELECT count(*) FROM tagrec_recommend('later', 1, 3) r, tagrec_recommend('latest', 1, 3) s;

SELECT tagrec_drop(model) FROM tagrec_models WHERE schema = 'altered';
SET client_min_messages = error;
DROP SCHEMA altered CASCADE;
