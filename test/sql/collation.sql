--
-- keys of a collation that ignores case; collation_1.out is what a server without ICU makes of it
--
SELECT NOT EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu') AS no_icu \gset
\if :no_icu
\quit
\endif
SET client_min_messages = warning;
CREATE SCHEMA any_case;
SET search_path = any_case, public;
CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
	FROM generate_series(1, 100) u, generate_series(1, 10) k;
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE VIEW folded AS SELECT user_id, CASE WHEN user_id % 3 = 0 THEN upper(item_id) ELSE item_id END COLLATE any_case AS item_id, tag FROM a;
SELECT tagrec_train('m', 'folded', 'hdlpr_ns', '{"layers": [4], "epochs": 1}') > 0 AS trained;
SELECT items FROM tagrec_versions WHERE model = 'm';
SELECT tagrec_score('m', 1, 'i1') = tagrec_score('m', 1, 'I1') AS alike;
SELECT tagrec_drop('m');
SET client_min_messages = error;
DROP SCHEMA any_case CASCADE;
