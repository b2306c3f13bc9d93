--
-- the task rating: predicted values
--
SET client_min_messages = warning;
CREATE SCHEMA rate;
SET search_path = rate, public;
\set SHOW_CONTEXT never
-- users and items that are more or less generous, more or less good
CREATE TABLE ratings (user_id int, item_id text, stars numeric, day date);
INSERT INTO ratings SELECT u, 'item ' || i, greatest(1, least(5, 1 + u % 3 + i % 3 + (u * i) % 2)), date '2024-01-01' + u
	FROM generate_series(1, 60) u, generate_series(1, 20) i WHERE (u * 7 + i * 3) % 4 > 0;
CREATE VIEW train AS SELECT user_id, item_id, stars FROM ratings WHERE tagrec_fold(user_id, item_id) < 80;
CREATE VIEW test AS SELECT user_id, item_id, stars FROM ratings WHERE tagrec_fold(user_id, item_id) >= 80;

-- values are required, and must differ
SELECT tagrec_train('b', 'train', 'bias', tag_column => NULL);
CREATE VIEW alike AS SELECT user_id, item_id, 3 AS stars FROM train;
SELECT tagrec_train('b', 'alike', 'bias', tag_column => NULL, value_column => 'stars');
SELECT tagrec_train('b', 'ratings', 'bias', '{"half_life": 3}', tag_column => NULL, value_column => 'stars', time_column => 'day');
SELECT tagrec_train('b', 'ratings', 'bias', '{"like_from": 3}', tag_column => NULL, value_column => 'stars');
SELECT tagrec_train('b', 'train', 'bias', '{"metric": "ndcg"}', tag_column => NULL, value_column => 'stars');

SELECT tagrec_train('b', 'train', 'bias', tag_column => NULL, value_column => 'stars') > 0 AS bias,
	tagrec_train('f', 'train', 'mf', '{"factors": 4, "epochs": 20, "validation": 0.1}', tag_column => NULL, value_column => 'stars') > 0 AS mf;
SELECT model, algorithm, task, value_column, value_least, value_most, metric, metric_value < 1 AS good FROM tagrec_versions ORDER BY model;

-- a prediction is the mean and both biases, within the range
CREATE VIEW parts AS SELECT user_id, embedding[1] AS bias FROM b_user_embedding;
CREATE VIEW means AS SELECT item_id, embedding[2] AS mean FROM b_item_embedding;
SELECT count(*) FILTER (WHERE abs(tagrec_predict('b', user_id, item_id) - greatest(1, least(5, bias + mean))) > 1e-5) AS wrong,
	min(tagrec_predict('b', user_id, item_id)) >= 1 AND max(tagrec_predict('b', user_id, item_id)) <= 5 AS in_range
	FROM parts, means;
-- keys of any type; NULL is nobody; who is not known is average
SELECT tagrec_predict('b', 1, 'item 1') = tagrec_predict('b', '1', 'item 1') AS same, tagrec_predict('b', 1, NULL) IS NULL AS null_item,
	tagrec_predict('b', NULL::int, 'item 1') IS NULL AS null_user;
SELECT abs(tagrec_predict('b', 1, 'nothing') - (SELECT avg(stars) FROM train) - (SELECT bias FROM parts WHERE user_id = 1)) < 1e-5 AS user_alone,
	abs(tagrec_predict('b', 1000, 'item 1') - (SELECT mean FROM means WHERE item_id = 'item 1')) < 1e-5 AS item_alone,
	abs(tagrec_predict('b', 1000, 'nothing') - (SELECT avg(stars) FROM train)) < 1e-5 AS neither,
	tagrec_predict('f', 1000, 'nothing') BETWEEN 1 AND 5 AS mf;
SELECT tagrec_predict('f', 1, 'item 2', version => 1) = tagrec_predict('f', 1, 'item 2') AS version, tagrec_predict('f', 1, 'item 2', version => 7);

-- recommended are the items of the highest predicted values
SELECT bool_and(abs(greatest(1, least(5, score)) - tagrec_predict('f', 1, item)) < 1e-5) AS predicted, count(*) FROM tagrec_recommend('f', 1, 5);

-- with caution, items with few ratings come later; a prediction is what it was
CREATE VIEW known AS SELECT item_id, count(*) AS n FROM train GROUP BY 1;
INSERT INTO ratings VALUES (1, 'rare', 5), (2, 'rare', 5);
CREATE VIEW train_rare AS SELECT user_id, item_id, stars FROM train UNION ALL SELECT user_id, item_id, stars FROM ratings WHERE item_id = 'rare';
SELECT bool_and(tagrec_train('bold_' || algorithm, 'train_rare', algorithm, '{"epochs": 5}', tag_column => NULL, value_column => 'stars') > 0) AS bold,
		bool_and(tagrec_train('cautious_' || algorithm, 'train_rare', algorithm, '{"epochs": 5, "caution": 2}', tag_column => NULL, value_column => 'stars') > 0) AS cautious
	FROM unnest('{bias,mf,neumf}'::text[]) algorithm;
SELECT algorithm, count(*), bool_and(abs(b.score - 2 / sqrt(1 + CASE b.item WHEN 'rare' THEN 2 ELSE n END) - c.score) < 1e-5) AS less,
		bool_and(tagrec_predict('bold_' || algorithm, u, b.item) = tagrec_predict('cautious_' || algorithm, u, b.item)) AS predicted,
		bool_and(tagrec_score('cautious_' || algorithm, u, c.item) = c.score) AS scored, bool_or(b.rank <> c.rank) AS ordered
	FROM unnest('{bias,mf,neumf}'::text[]) algorithm, generate_series(1, 20) u, tagrec_recommend('bold_' || algorithm, u, 100) b
	JOIN tagrec_recommend('cautious_' || algorithm, u, 100) c USING (item) LEFT JOIN known ON item_id = b.item GROUP BY 1 ORDER BY 1;
CALL tagrec_recommend_into('cautiously', 'cautious_mf', 3) \gset
SELECT count(*) AS differences FROM (SELECT user_id, rank, item, score FROM cautiously EXCEPT
	SELECT user_id::int, rank, item, score FROM tagrec_recommend_all('cautious_mf', 3)) d;
SELECT count(*) AS differences FROM (SELECT user_id, item, score FROM cautiously EXCEPT
	SELECT u.user_id::int, i.item_id, u.score FROM (SELECT DISTINCT item AS item_id FROM cautiously) i, tagrec_recommend_users('cautious_mf', i.item_id, 1000) u) d;
SELECT b.value = c.value AS same_errors FROM tagrec_evaluate('bold_mf', 'test') b JOIN tagrec_evaluate('cautious_mf', 'test') c USING (metric) WHERE metric = 'rmse';
SELECT b.value <> c.value AS other_ranks FROM tagrec_evaluate('bold_mf', 'test') b JOIN tagrec_evaluate('cautious_mf', 'test') c USING (metric) WHERE metric = 'mrr';
SELECT tagrec_train('x', 'train', 'ials', '{"caution": 1}', tag_column => NULL, value_column => 'stars');
DELETE FROM ratings WHERE item_id = 'rare';
SELECT count(tagrec_drop(kind || algorithm)) AS dropped FROM unnest('{bias,mf,neumf}'::text[]) algorithm, unnest('{bold_,cautious_}'::text[]) kind;

-- errors, with ranks beside them; as SQL counts them
SELECT metric, k FROM tagrec_evaluate('f', 'test', '{5}');
CREATE VIEW errors AS SELECT user_id, tagrec_predict('f', user_id, item_id) - stars::float8 AS error FROM test;
SELECT abs(value - (SELECT sqrt(avg(error ^ 2)) FROM errors)) < 1e-5 AS rmse, stderr BETWEEN 0.001 AND 0.1 AS deviates
	FROM tagrec_evaluate('f', 'test') WHERE metric = 'rmse';
SELECT abs(value - (SELECT avg(abs(error)) FROM errors)) < 1e-5 AS mae, stderr > 0 AS deviates FROM tagrec_evaluate('f', 'test') WHERE metric = 'mae';
SELECT k, abs(value - (SELECT avg(hits) FROM (
		SELECT count(*) FILTER (WHERE a <= m AND b <= m) / min(m) AS hits FROM (
			SELECT user_id, row_number() OVER (PARTITION BY user_id ORDER BY tagrec_predict('f', user_id, item_id) DESC, item_id) AS a,
				row_number() OVER (PARTITION BY user_id ORDER BY stars DESC, item_id) AS b,
				ceil(count(*) OVER (PARTITION BY user_id) * k / 100.0) AS m FROM test) r
		GROUP BY user_id) h)) < 1e-5 AS same FROM tagrec_evaluate('f', 'test') WHERE metric = 'top_precision';
-- of users and items that are new, too; what was trained on does not count; a repeated pair has the mean of its values
CREATE VIEW other AS SELECT user_id + 30 AS user_id, replace(item_id, '1', '2') AS item_id, stars FROM test;
CREATE VIEW fresh AS SELECT user_id, item_id, avg(stars) AS stars FROM other WHERE (user_id, item_id) NOT IN (SELECT user_id, item_id FROM train)
	GROUP BY 1, 2;
SET client_min_messages = error;
SELECT metric, value = (SELECT count(*) FROM fresh) AS all_fresh FROM tagrec_evaluate('f', 'other') WHERE metric = 'predictions';
SELECT abs(value - (SELECT sqrt(avg((tagrec_predict('f', user_id, item_id) - stars::float8) ^ 2)) FROM fresh)) < 1e-5 AS rmse
	FROM tagrec_evaluate('f', 'other') WHERE metric = 'rmse';
SET client_min_messages = warning;
-- the column may have another name, but must be there
CREATE VIEW renamed AS SELECT user_id, item_id, stars AS value FROM test;
SELECT metric FROM tagrec_evaluate('f', 'renamed', value_column => 'value') WHERE metric = 'rmse';
SELECT tagrec_evaluate('f', 'renamed');
CREATE VIEW worded AS SELECT user_id, item_id, 'good' AS stars FROM test;
SELECT tagrec_evaluate('f', 'worded');
CREATE VIEW empty_values AS SELECT user_id, item_id, NULL::int AS stars FROM test;
SELECT tagrec_evaluate('f', 'empty_values');

-- comparing and tuning, where less is better
SELECT model, versus, metric, k, difference <> 0 AS differ, low <= difference AND difference <= high AS inside, users
	FROM tagrec_compare('{b,f}', 'test', metric => 'rmse');
SELECT abs(c.value - e.value) < 1e-9 AS same FROM tagrec_compare('{b,f}', 'test', metric => 'mae') c, tagrec_evaluate('b', 'test') e WHERE e.metric = 'mae';
SELECT metric, users > 50 AS users FROM tagrec_compare('{b,f}', 'test');
SELECT tagrec_tune('tuned_rating', 'train', 'mf', '{"factors": [2, 4], "learning_rate": [0.00001, 0.01]}', 4, '{"epochs": 10}', tag_column => NULL,
	value_column => 'stars') > 0 AS tuned;
SELECT metric, bool_and(best = (value = least)) AS best_is_least FROM (SELECT *, min(value) OVER () AS least FROM tagrec_trials WHERE job = (SELECT max(job) FROM tagrec_jobs WHERE model = 'tuned_rating')) t GROUP BY 1;
SELECT tagrec_train('v', 'train', 'mf', '{"validation_source": "test", "metric": "mae", "factors": 2, "epochs": 3}', tag_column => NULL,
	value_column => 'stars') > 0 AS trained;
SELECT metric, metric_value = (SELECT min(e.metric_value) FROM tagrec_epochs e WHERE e.job = v.job) AS least,
	abs(metric_value - (SELECT value FROM tagrec_evaluate('v', 'test') WHERE metric = 'mae')) < 1e-5 AS same FROM tagrec_versions v WHERE model = 'v';

-- a refresh counts again; what cannot, says so; training again goes by what was asked
SELECT tagrec_refresh('b') > 0 AS refreshed;
SELECT value_least, value_most FROM tagrec_versions WHERE model = 'b' AND deployed;
SELECT tagrec_refresh('f');
SELECT tagrec_retrain('f') > 0 AS trained;

-- who asks the wrong question is told the right one
SELECT tagrec_train('i', 'train', 'ease', tag_column => NULL) > 0 AS trained;
CREATE VIEW tagged AS SELECT user_id, item_id, 'tag ' || stars AS tag FROM train;
SELECT tagrec_train('g', 'tagged', 'tag_popular') > 0 AS trained;
SELECT tagrec_predict('i', 1, 'item 1');
SELECT tagrec_predict('g', 1, 'item 1');
SELECT * FROM tagrec_recommend_tags('f', 1, 'item 1');
SELECT tagrec_embed('f', '{x}');
SELECT * FROM tagrec_compare('{i,f}', 'test');
SELECT * FROM tagrec_compare('{i,g}', 'test', metric => 'rmse');
SELECT tagrec_train('h', 'train', 'ease', tag_column => NULL) > 0 AS trained;
SELECT * FROM tagrec_compare('{i,h}', 'test', metric => 'rmse');
SELECT * FROM tagrec_evaluate('i', 'test', value_column => 'stars');
SELECT tagrec_train('x', 'train', 'ease', '{"validation": 0.1, "metric": "rmse"}', tag_column => NULL);
SELECT tagrec_predict('nobody', 1, 2);

-- a range that was tampered with; a version from before
UPDATE tagrec_version SET value_least = NULL, value_most = NULL WHERE algorithm = 'bias';
SELECT tagrec_predict('b', 1, 'item 1') IS NOT NULL AS unbounded;
UPDATE tagrec_version SET value_least = 3, value_most = 'NaN' WHERE algorithm = 'bias';
SELECT tagrec_predict('b', user_id, 'item 1') >= 3 AS bounded FROM parts GROUP BY 1;

DROP VIEW parts, means;
SELECT count(tagrec_drop(model)) AS dropped FROM tagrec_models;
SET client_min_messages = error;
DROP SCHEMA rate CASCADE;
