-- The algorithms that learn no tower: trained, queried and refused like any other.
SET client_min_messages = warning;
CREATE SCHEMA baselines;
SET search_path = baselines, public;
\set SHOW_CONTEXT never
-- two groups of users, items and tags that never meet; every user has two thirds of his group's items
CREATE TABLE posts AS SELECT g * 100 + u AS user_id, g * 100 + i AS item_id, 'g' || g || 't' || i % 4 AS tag
	FROM generate_series(0, 1) g, generate_series(1, 12) u, generate_series(1, 15) i WHERE (u + i) % 3 > 0;

SELECT a, tagrec_train('m_' || a, 'posts', a) > 0 AS trained
	FROM unnest('{ials,tag_cosine,tag_bm25,popularity}'::text[]) a;
SELECT model, algorithm, task, width > 0 AS arrays, unit_width <= width AS unit FROM tagrec_versions WHERE model LIKE 'm\_%' ORDER BY model COLLATE "C";

-- the third that a user does not have comes first, and all of it; popularity alone cannot tell the groups apart
SELECT m, count(*) AS offered, count(*) FILTER (WHERE r.item::int / 100 = u / 100) AS of_the_group
	FROM unnest('{m_ials,m_tag_cosine,m_tag_bm25}'::text[]) m, unnest('{3,107}'::int[]) u, tagrec_recommend(m, u, 5) r
	GROUP BY m ORDER BY m COLLATE "C";
-- the score is the inner product of the stored arrays
SELECT m, bool_and(abs(tagrec_score(m, 3, 4) - s.score) < 1e-5) AS inner_product
	FROM (SELECT 'm_ials' AS m, sum(x * y) AS score FROM m_ials_user_embedding u, m_ials_item_embedding i,
			unnest(u.embedding, i.embedding) AS e(x, y) WHERE user_id = 3 AND item_id = 4
		UNION ALL SELECT 'm_tag_bm25', sum(x * y) FROM m_tag_bm25_user_embedding u, m_tag_bm25_item_embedding i,
			unnest(u.embedding, i.embedding) AS e(x, y) WHERE user_id = 3 AND item_id = 4) s
	GROUP BY m ORDER BY m COLLATE "C";
SELECT m, count(*) AS similar, count(*) FILTER (WHERE r.item::int / 100 = 1) AS of_the_group
	FROM unnest('{m_ials,m_tag_cosine,m_tag_bm25}'::text[]) m, tagrec_similar_items(m, 105, 2) r GROUP BY m ORDER BY m COLLATE "C";

-- tags alone do for the tag models; ials knows none
SELECT m, count(*) AS offered, count(*) FILTER (WHERE r.item::int / 100 = 1) AS of_the_group
	FROM unnest('{m_tag_cosine,m_tag_bm25}'::text[]) m, tagrec_recommend_for_tags(m, '{g1t0,g1t2}', n => 6) r
	GROUP BY m ORDER BY m COLLATE "C";
-- more tags than arrays should have numbers: the same answers, by lists
SELECT tagrec_train('lists', 'posts', 'tag_bm25', '{"max_tags": 3}') > 0 AS trained;
SELECT bool_and(abs(a.score - l.score) < 1e-5) AS same, count(*)
	FROM tagrec_recommend_for_tags('m_tag_bm25', '{g1t0,g1t2}', n => 6) a
	FULL JOIN tagrec_recommend_for_tags('lists', '{g1t0,g1t2}', n => 6) l USING (rank, item);
SELECT bool_and(abs(a.score - l.score) < 1e-5) AS same, count(*)
	FROM tagrec_recommend('m_tag_bm25', 105, 6) a FULL JOIN tagrec_recommend('lists', 105, 6) l USING (rank, item);
\set VERBOSITY terse
SELECT tagrec_refresh('lists');
SELECT * FROM tagrec_recommend_for_tags('m_ials', '{g1t0}');
SELECT tagrec_train('x', 'posts', 'ials', '{"layers": [8]}');
\set VERBOSITY default
SELECT count(*) AS left_behind FROM pg_class WHERE relnamespace = 'baselines'::regnamespace AND relname LIKE 'x\_%';

SET client_min_messages = error;
DROP SCHEMA baselines CASCADE;
SELECT count(tagrec_drop(model)::text) AS dropped FROM tagrec_models WHERE schema = 'baselines';
