-- The baselines of the DSPR paper, and BPR: trained, queried and refused like any other.
SET client_min_messages = warning;
CREATE SCHEMA baselines_dspr;
SET search_path = baselines_dspr, public;
\set SHOW_CONTEXT never
-- two groups of users, items and tags that never meet; every user has two thirds of his group's items
CREATE TABLE posts AS SELECT g * 100 + u AS user_id, g * 100 + i AS item_id, 'g' || g || 't' || i % 4 AS tag
	FROM generate_series(0, 1) g, generate_series(1, 12) u, generate_series(1, 15) i WHERE (u + i) % 3 > 0;

SELECT a, tagrec_train('m_' || a, 'posts', a) > 0 AS trained FROM unnest('{acf,bpr,ccf,ccs}'::text[]) a;
SELECT model, algorithm, task, width > 0 AS arrays FROM tagrec_versions WHERE model LIKE 'm\_%' ORDER BY model COLLATE "C";

-- the third that a user does not have comes first
SELECT m, count(*) AS offered, count(*) FILTER (WHERE r.item::int / 100 = u / 100) AS of_the_group
	FROM unnest('{m_acf,m_bpr,m_ccf,m_ccs}'::text[]) m, unnest('{3,107}'::int[]) u, tagrec_recommend(m, u, 4) r
	GROUP BY m ORDER BY m COLLATE "C";
-- bpr's score is the inner product of the stored arrays, the item's bias at their end
SELECT bool_and(abs(tagrec_score('m_bpr', 3, 4) - s.score) < 1e-5) AS inner_product, min(width) AS width
	FROM (SELECT sum(x * y) AS score, max(cardinality(u.embedding)) AS width FROM m_bpr_user_embedding u, m_bpr_item_embedding i,
			unnest(u.embedding, i.embedding) AS e(x, y) WHERE user_id = 3 AND item_id = 4) s;
-- ccs: unit vectors over clusters
SELECT bool_and(abs(length - 1) < 1e-5) AS unit
	FROM (SELECT (SELECT sum(x * x) FROM unnest(embedding) x) AS length FROM m_ccs_user_embedding) u;

-- tags alone do for all that read them
SELECT m, count(*) AS offered, count(*) FILTER (WHERE r.item::int / 100 = 1) AS of_the_group
	FROM unnest('{m_acf,m_ccf,m_ccs}'::text[]) m, tagrec_recommend_for_tags(m, '{g1t0,g1t2}', n => 6) r
	GROUP BY m ORDER BY m COLLATE "C";
SELECT tagrec_refresh('m_ccs') > 0 AS refreshed;

-- one cluster for all tags: nothing can be told apart, every cosine is 1
SELECT tagrec_train('one', 'posts', 'ccs', '{"clusters": 1, "similarity": 0}') > 0 AS trained;
SELECT DISTINCT tagrec_score('one', 3, i.item_id::int)::numeric(8, 5) AS score, cardinality(i.embedding) AS clusters
	FROM one_item_embedding i;

\set VERBOSITY terse
SELECT * FROM tagrec_recommend_for_tags('m_bpr', '{g1t0}');
SELECT tagrec_refresh('m_ccf');
SELECT tagrec_train('x', 'posts', 'ccs', '{"max_tags": 7}');
SELECT tagrec_train('x', 'posts', 'ccf', '{"max_tags": 7}');
SELECT tagrec_train('x', 'posts', 'bpr', '{"sampling": "all"}');
SELECT tagrec_train('x', 'posts', 'acf', '{"layers": [0]}');
CREATE TABLE everything AS SELECT u AS user_id, i AS item_id, 't' AS tag FROM generate_series(1, 3) u, generate_series(1, 3) i;
SELECT tagrec_train('x', 'everything', 'bpr');
\set VERBOSITY default
SELECT count(*) AS left_behind FROM pg_class WHERE relnamespace = 'baselines_dspr'::regnamespace AND relname LIKE 'x\_%';

SET client_min_messages = error;
DROP SCHEMA baselines_dspr CASCADE;
SELECT count(tagrec_drop(model)::text) AS dropped FROM tagrec_models WHERE schema = 'baselines_dspr';
