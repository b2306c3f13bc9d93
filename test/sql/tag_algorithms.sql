-- Every algorithm of the task tag, through SQL: what is measured while it trains is what the stored version does.
SET client_min_messages = warning;
CREATE SCHEMA tag_algorithms;
SET search_path = tag_algorithms, public;
CREATE TABLE assigned AS SELECT DISTINCT 'user ' || u AS user_id, i AS item_id, 'tag ' || (h * h / 7 + t) % 12 AS tag
FROM (SELECT u, i, t, (u * 31 + i * 17 + t * 5) % 97 AS h FROM generate_series(1, 30) u, generate_series(1, 20) i, generate_series(1, 4) t) x
WHERE h % 7 < 4;
CREATE VIEW split AS SELECT *, row_number() OVER (PARTITION BY user_id, item_id
	ORDER BY tagrec_holdout(user_id, item_id, tag), tag) = 1 AND tagrec_fold(user_id, item_id) < 50 AS held_out FROM assigned;
CREATE VIEW train AS SELECT user_id, item_id, tag FROM split WHERE NOT held_out;
CREATE VIEW test AS SELECT user_id, item_id, tag FROM split t WHERE held_out
	AND EXISTS (SELECT FROM train u WHERE u.user_id = t.user_id) AND EXISTS (SELECT FROM train i WHERE i.item_id = t.item_id);

-- Trains it, then checks its version: one row, all true.
CREATE FUNCTION checked(algorithm text) RETURNS TABLE (measured boolean, all_tags boolean, lists_are_ranks boolean, unknown boolean,
	same_seed boolean) LANGUAGE plpgsql AS $$
DECLARE
	one text := 'm_' || algorithm;
	again text := 'n_' || algorithm;
BEGIN
	RETURN QUERY SELECT abs(v.metric_value - e.value) < 0.01,
		(SELECT bool_and(n = 12) FROM (SELECT count(*) FROM test t, tagrec_recommend_tags(one, t.user_id, t.item_id, 100, '{}')
			GROUP BY t.user_id, t.item_id, t.tag) x (n)),
		(SELECT abs(avg((l.tag IS NOT NULL)::int) - e.value) < 1e-9 FROM test t LEFT JOIN LATERAL
			tagrec_recommend_tags(one, t.user_id, t.item_id, 3) l USING (tag)),
		(SELECT count(*) = 4 * 9 FROM (VALUES ('user 1', 999), ('nobody', 1), ('nobody', 999), (NULL, NULL)) x (u, i),
			tagrec_recommend_tags(one, u, i, 100, '{tag 1,tag 2,tag 3}')),
		(SELECT bool_and(a.tag = b.tag AND a.score = b.score) FROM (SELECT * FROM test LIMIT 20) t, tagrec_recommend_tags(one, t.user_id, t.item_id, 100) a
			JOIN LATERAL tagrec_recommend_tags(again, t.user_id, t.item_id, 100) b USING (rank))
	FROM tagrec_versions v, tagrec_evaluate(one, 'test', '{3}') e WHERE v.model = one AND e.metric = 'hit';
END $$;
-- as few epochs as show it; a closed form needs one
SELECT bool_and(tagrec_train(prefix || algorithm, 'train', algorithm, '{"validation_source": "test", "metric": "hit", "metric_k": 3, "epochs": 3, "threads": 1}') > 0) AS trained
FROM tagrec_algorithms, (VALUES ('m_'), ('n_')) x (prefix) WHERE task = 'tag';
SELECT count(*) >= 3 AS some FROM tagrec_algorithms WHERE task = 'tag';
SELECT a.algorithm, c.* FROM tagrec_algorithms a LEFT JOIN LATERAL checked(algorithm) c ON true
WHERE a.task = 'tag' AND NOT (c.measured AND c.all_tags AND c.lists_are_ranks AND c.unknown AND c.same_seed) IS TRUE ORDER BY 1;
-- the similar items that a model stores are asked for, one look-up for all that is stored of a post
SELECT features, (SELECT count(*) > 0 FROM m_tag_product_item_neighbour) AS stored FROM tagrec_version JOIN tagrec_model USING (model_id) WHERE model = 'm_tag_product';

SELECT count(tagrec_drop(model)) > 0 AS dropped FROM tagrec_models WHERE schema = 'tag_algorithms';
DELETE FROM tagrec_job WHERE model ~ '^[mn]_';
DROP SCHEMA tag_algorithms CASCADE;
