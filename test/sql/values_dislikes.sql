--
-- dislikes: rows whose values are below like_from
--
SET client_min_messages = warning;
CREATE SCHEMA dislike;
SET search_path = dislike, public;
\set SHOW_CONTEXT never
CREATE TABLE ratings (user_id int, item_id text, stars int);
INSERT INTO ratings SELECT u, 'item ' || i, 1 + (u * 3 + i * 7 + u * i) % 5 FROM generate_series(1, 60) u, generate_series(1, 30) i
	WHERE (u * 7 + i * 3) % 4 > 0;
-- what nobody likes is not there; a pair with a row of either kind is liked
INSERT INTO ratings VALUES (1, 'bad', 1), (2, 'bad', 2), (3, 'item 3', 5), (3, 'item 3', 1), (1000, 'item 1', 1);
CREATE VIEW disliked AS SELECT user_id, item_id FROM ratings GROUP BY 1, 2 HAVING max(stars) < 4;
CREATE VIEW liked AS SELECT user_id, item_id FROM ratings WHERE stars >= 4;

-- said, counted, and as if those rows were not there, but for what is recommended
SET client_min_messages = notice;
SELECT tagrec_train('m', 'ratings', 'ials', '{"like_from": 4, "core": 1000}', tag_column => NULL, value_column => 'stars');
SET client_min_messages = warning;
SELECT tagrec_train('m', 'ratings', 'ials', '{"like_from": 4, "factors": 8}', tag_column => NULL, value_column => 'stars') > 0 AS trained;
CREATE VIEW liked_stars AS SELECT * FROM ratings WHERE stars >= 4;
SELECT tagrec_train('l', 'liked_stars', 'ials', '{"factors": 8}', tag_column => NULL, value_column => 'stars') > 0 AS trained;
SELECT users, items, pairs, (users, items, pairs) = (SELECT users, items, pairs FROM tagrec_versions WHERE model = 'l') AS same FROM tagrec_versions WHERE model = 'm';
SELECT count(*) AS differences FROM (SELECT item_id, embedding FROM m_item_embedding EXCEPT SELECT item_id, embedding FROM l_item_embedding) d;

-- never recommended, by any query, even among what the user has; a user's other scores are those of the model without
CREATE FUNCTION lists() RETURNS TABLE (how text, user_id int, item text) LANGUAGE sql AS $$
	SELECT 'recommend', u, item FROM generate_series(1, 60) u, tagrec_recommend('m', u, 100)
	UNION ALL SELECT 'with seen', u, item FROM generate_series(1, 60) u, tagrec_recommend('m', u, 100, exclude_seen => false)
	UNION ALL SELECT 'fresh', u, item FROM generate_series(1, 60) u, tagrec_recommend('m', u, 100, fresh => true)
	UNION ALL SELECT 'all', user_id::int, item FROM tagrec_recommend_all('m', 100)
	UNION ALL SELECT 'all with seen', user_id::int, item FROM tagrec_recommend_all('m', 100, exclude_seen => false)
	UNION ALL SELECT 'users', user_id::int, i FROM (SELECT DISTINCT item_id AS i FROM liked) i, tagrec_recommend_users('m', i, 100)
	UNION ALL SELECT 'users with seen', user_id::int, i FROM (SELECT DISTINCT item_id AS i FROM liked) i, tagrec_recommend_users('m', i, 100, exclude_seen => false)
$$;
SELECT tagrec_recommend('m', 1, 1) IS NOT NULL AS warm;
CALL tagrec_recommend_into('written', 'm', 100) \gset
SELECT how, count(*) AS rows, count(*) FILTER (WHERE (user_id, item) IN (SELECT user_id, item_id FROM disliked)) AS disliked,
		count(*) FILTER (WHERE (user_id, item) IN (SELECT user_id, item_id FROM liked)) > 0 AS liked
	FROM (SELECT * FROM lists() UNION ALL SELECT 'into', user_id, item FROM written) l GROUP BY 1 ORDER BY 1;
SELECT count(*) AS rows FROM generate_series(1, 60) u, tagrec_recommend('l', u, 100);
SELECT count(*) AS differences FROM generate_series(1, 60) u, LATERAL (SELECT item, score FROM tagrec_recommend('l', u, 100)
	WHERE (u, item) NOT IN (SELECT user_id, item_id FROM disliked) EXCEPT SELECT item, score FROM tagrec_recommend('m', u, 100)) d;

-- somebody who came later, who dislikes what most like
INSERT INTO ratings VALUES (2000, 'item 1', 5), (2000, 'item 2', 4), (2000, 'item 5', 1), (2000, 'item 6', 3), (2000, 'nothing', 1), (3000, 'item 7', 1);
SELECT bool_or(item IN ('item 1', 'item 2', 'item 5', 'item 6')) AS left_out, count(*) > 20 AS others
	FROM tagrec_recommend('m', 2000, 100, fresh => true);
SELECT string_agg(item, ', ' ORDER BY rank) AS explained FROM tagrec_explain_items('m', 2000, 'item 9', fresh => true);
SELECT count(*) AS known FROM tagrec_recommend('m', 3000, 100, fresh => true);
SELECT count(*) > 20 AS popular, bool_or(item = 'item 7') AS disliked FROM tagrec_recommend('m', 3000, 100, fresh => true, fallback => 'popularity');
DELETE FROM ratings WHERE user_id IN (2000, 3000);

-- no candidates when it is measured; in training neither
CREATE VIEW test AS SELECT u AS user_id, 'item ' || i AS item_id FROM generate_series(1, 60) u, generate_series(1, 30) i WHERE (u * 7 + i * 3) % 4 = 0;
SELECT a.value < 0.99 AS many_candidates, b.value AS no_others FROM tagrec_evaluate('l', 'test', '{5}') a JOIN tagrec_evaluate('m', 'test', '{5}') b USING (metric) WHERE metric = 'ndcg';
SELECT metric, value FROM tagrec_evaluate('m', 'disliked', exclude_seen => false) WHERE metric IN ('seen_pairs', 'mrr', 'unknown_users', 'unknown_pairs');
SELECT tagrec_train('v', 'ratings', 'ials', '{"like_from": 4, "factors": 8, "validation_source": "test"}', tag_column => NULL, value_column => 'stars') > 0 AS trained;
SELECT metric, abs(metric_value - (SELECT value FROM tagrec_evaluate('v', 'test') WHERE metric = 'ndcg' AND k = 20)) < 1e-6 AS same FROM tagrec_versions WHERE model = 'v';
-- nothing of it is new
SELECT new_pairs, new_users, new_items, gone_pairs FROM tagrec_stale('m');

-- in an archive; in a refresh; of an algorithm of each kind
CREATE TABLE archive AS SELECT tagrec_export('m') AS model;
SELECT tagrec_import('copy', (SELECT model FROM archive)) AS version;
SELECT count(*) AS differences FROM (SELECT * FROM tagrec_recommend_all('m', 100, exclude_seen => false)
	EXCEPT SELECT * FROM tagrec_recommend_all('copy', 100, exclude_seen => false)) d;
SELECT bool_and(tagrec_train('a_' || algorithm, 'ratings', algorithm, '{"like_from": 4, "epochs": 1, "validation": 0.1}', tag_column => NULL,
	value_column => 'stars') > 0) AS trained FROM tagrec_algorithms WHERE NOT needs_tags AND task = 'item' AND algorithm NOT IN ('auto', 'blend');
SELECT count(*) AS disliked FROM tagrec_algorithms a, generate_series(1, 60) u, tagrec_recommend('a_' || algorithm, u, 100)
	WHERE NOT needs_tags AND task = 'item' AND algorithm NOT IN ('auto', 'blend') AND (u, item) IN (SELECT user_id, item_id FROM disliked);
INSERT INTO ratings VALUES (60, 'item 1', 1);
SELECT tagrec_refresh('a_popularity') > 0 AS refreshed;
SELECT bool_or(item = 'item 1') AS disliked FROM tagrec_recommend('a_popularity', 60, 100);

-- learned from, by an algorithm that is told to: what is disliked scores less than what is not known
SELECT tagrec_train('b' || share, 'ratings', 'bpr', jsonb_build_object('like_from', 4, 'factors', 8, 'epochs', 200, 'learning_rate', 0.01, 'dislikes', share), tag_column => NULL,
	value_column => 'stars') > 0 AS trained FROM unnest('{0,1}'::int[]) share;
CREATE VIEW margins AS SELECT share, avg(tagrec_score('b' || share, u, 'item ' || i)) FILTER (WHERE (u * 7 + i * 3) % 4 = 0)
		- avg(tagrec_score('b' || share, u, 'item ' || i)) FILTER (WHERE (u, 'item ' || i) IN (SELECT user_id, item_id FROM disliked)) AS margin
	FROM unnest('{0,1}'::int[]) share, generate_series(1, 60) u, generate_series(1, 30) i GROUP BY 1;
SELECT (SELECT margin FROM margins WHERE share = 1) > (SELECT margin FROM margins WHERE share = 0) + 0.1 AS learned;

-- who and what there is no like of is nobody's
SELECT count(*) AS rows FROM tagrec_recommend('m', 1000, 5);
SELECT tagrec_train('x', 'ratings', 'ease', '{"like_from": 6}', tag_column => NULL, value_column => 'stars');
CREATE VIEW keyless AS SELECT nullif(user_id, 1) AS user_id, item_id, CASE WHEN user_id = 1 THEN 1 ELSE stars END AS stars FROM ratings;
SELECT tagrec_train('x', 'keyless', 'ease', '{"like_from": 4}', tag_column => NULL, value_column => 'stars');
-- stored numbers that mean nothing
UPDATE m_user_versions SET seen = ARRAY[-31, -31] || seen WHERE user_id = 1;
SELECT tagrec_recommend('m', 1, 1);
UPDATE m_user_versions SET seen = ARRAY[-1000] || 1 WHERE user_id = 1;
SELECT tagrec_recommend('m', 1, 1);

SELECT count(tagrec_drop(model)) > 5 AS dropped FROM tagrec_models;
SET client_min_messages = error;
DROP SCHEMA dislike CASCADE;
