--
-- pairs without tags, values and times of interactions
--
SET client_min_messages = warning;
CREATE SCHEMA vals;
SET search_path = vals, public;
\set SHOW_CONTEXT never
CREATE TABLE likes (user_id int, item_id text);
INSERT INTO likes SELECT u, 'item ' || (u * 7 + k * k) % 50 FROM generate_series(1, 100) u, generate_series(1, 10) k;
CREATE VIEW tagged AS SELECT user_id, item_id, 'x' AS tag FROM likes;

-- the error on the way says what to write
SELECT tagrec_train('m', 'likes');
SELECT tagrec_train('m', 'likes', 'ease', tag_column => NULL) > 0 AS trained;
SELECT algorithm, tag_column, value_column, time_column, user_features, item_features, users, items, tags, assignments, pairs
	FROM tagrec_versions WHERE model = 'm';
SELECT count(*) = 5 AS answers FROM tagrec_recommend('m', 1, 5);
SELECT count(*) = 3 AS answers FROM tagrec_similar_items('m', 'item 1', 3);

-- the same model, to the bit, as with one tag for all; of every algorithm that can
CREATE FUNCTION options(algo text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT CASE WHEN algo = 'blend' THEN '{"members": "ease; ials"}'::jsonb ELSE '{}' END || '{"validation": 0.1}' $$;
SELECT bool_and(tagrec_train('with_' || algorithm, 'tagged', algorithm, options(algorithm)) > 0) AS with_tags,
		bool_and(tagrec_train('without_' || algorithm, 'likes', algorithm, options(algorithm), tag_column => NULL) > 0) AS without
	FROM tagrec_algorithms WHERE NOT needs_tags AND task = 'item' AND algorithm <> 'auto';
SELECT algorithm AS differs FROM tagrec_algorithms WHERE NOT needs_tags AND task = 'item' AND algorithm <> 'auto'
	AND EXISTS (SELECT * FROM tagrec_recommend_all('with_' || algorithm, 5) EXCEPT SELECT * FROM tagrec_recommend_all('without_' || algorithm, 5));
SELECT count(*) >= 7 AS some, bool_and(a.metric_value = b.metric_value) AS same_metric FROM tagrec_versions a JOIN tagrec_versions b USING (algorithm)
	WHERE a.model LIKE 'with\_%' AND b.model LIKE 'without\_%';

-- those that cannot, a blend with such a member among them
CREATE FUNCTION says(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'nothing';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT DISTINCT replace(says(format($$SELECT tagrec_train('n', 'likes', %L, tag_column => NULL)$$, algorithm)), algorithm, 'one') AS says
	FROM tagrec_algorithms WHERE needs_tags;
\set VERBOSITY terse
SELECT tagrec_train('n', 'likes', 'blend', tag_column => NULL);
\set VERBOSITY default
SELECT tagrec_train('n', 'likes', 'popularity', tag_column => NULL, weight_column => 'item_id');

-- some rows without a tag: interactions, as long as tags are not what is recommended
CREATE VIEW partly AS SELECT user_id, item_id, CASE WHEN user_id > 10 THEN 'tag ' || user_id % 7 END AS tag FROM likes;
SELECT tagrec_train('s', 'partly', 'tag_popular');
SELECT bool_and(tagrec_train('s_' || algorithm, 'partly', algorithm, '{"epochs": 1, "validation": 0.1}') > 0) AS trained
	FROM tagrec_algorithms WHERE task = 'item' AND algorithm <> 'auto';
SELECT DISTINCT assignments, pairs, tags FROM tagrec_versions WHERE model LIKE 's\_%';
CREATE VIEW none AS SELECT user_id, item_id, NULL::text AS tag FROM likes;
\set VERBOSITY terse
SELECT tagrec_train('n', 'none', 'tag_cosine');
\set VERBOSITY default
SELECT tagrec_train('n', 'none', 'popularity') > 0 AS trained;

-- validation without tags, by a share and by a relation; tuning
CREATE VIEW held AS SELECT user_id, item_id FROM likes WHERE tagrec_fold(user_id, item_id) >= 90;
CREATE VIEW kept AS SELECT user_id, item_id FROM likes WHERE tagrec_fold(user_id, item_id) < 90;
SELECT tagrec_train('v', 'kept', 'ials', '{"validation_source": "held", "epochs": 2}', tag_column => NULL) > 0 AS trained;
SELECT metric_value IS NOT NULL AS measured FROM tagrec_versions WHERE model = 'v';
SELECT tagrec_tune('v', 'likes', 'ials', '{"factors": [4, 8]}', 2, '{"epochs": 2}', tag_column => NULL) > 0 AS tuned;
SELECT tag_column, best_epoch > 0 AS trained FROM tagrec_versions WHERE model = 'v' ORDER BY version DESC LIMIT 1;
SELECT metric FROM tagrec_evaluate('v', 'held', '{3}', exclude_seen => false) WHERE metric = 'ndcg';

-- a refresh counts again
SELECT tagrec_train('p', 'likes', 'popularity', tag_column => NULL) > 0 AS trained;
INSERT INTO likes SELECT u, 'new' FROM generate_series(1, 90) u;
SELECT tagrec_refresh('p') > 0 AS refreshed;
SELECT * FROM tagrec_recommend('p', 95, 1);
SELECT items, pairs, tags, tag_column FROM tagrec_versions WHERE model = 'p' ORDER BY version DESC LIMIT 1;
DELETE FROM likes WHERE item_id = 'new';

-- values: popularity adds them up, as duplicates says
CREATE TABLE orders (user_id int, item_id text, quantity numeric, at timestamptz);
INSERT INTO orders SELECT user_id, item_id, 1, '2024-01-01' FROM likes;
INSERT INTO orders VALUES (1, 'many', 500, '2023-01-01'), (1, 'many', 100, '2023-06-01'), (1, 'late', 400, '2024-01-01');
CREATE FUNCTION best(model text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(item || ' ' || round(score::numeric), ', ' ORDER BY rank) FROM tagrec_recommend(model, 2, 2) $$;
CREATE TABLE way (name text, options jsonb);
INSERT INTO way VALUES ('o_auto', '{}'), ('o_sum', '{"duplicates": "sum"}'), ('o_mean', '{"duplicates": "mean"}'),
	('o_max', '{"duplicates": "max"}'), ('o_last', '{"duplicates": "last"}'), ('o_days', '{"half_life": 365}'),
	('o_year', '{"half_life": "1 year"}'), ('o_month', '{"half_life": "1 mon"}'), ('o_liked', '{"like_from": 200}');
SELECT count(tagrec_train(name, 'orders', 'popularity', options, tag_column => NULL, value_column => 'quantity', time_column => 'at'))
	FROM way;
-- what is old counts less; dislikes are left out
SELECT name, best(name) FROM way ORDER BY name;
SELECT value_column, time_column, options ->> 'duplicates' AS duplicates, options -> 'half_life' AS half_life FROM tagrec_versions
	WHERE model = 'o_year';
SELECT tagrec_refresh('o_month') > 0 AS refreshed;
SELECT best('o_month');
-- without values, a row is 1 before it is old
SELECT tagrec_train('o', 'orders', 'popularity', '{"half_life": "1 day"}', tag_column => NULL, time_column => 'at') > 0 AS trained;
SELECT bool_and(score > 0) AS positive, max(score) > 10 AS many FROM tagrec_recommend('o', 2, 100) WHERE item <> 'many';

-- what learns from confidences learns something else
SELECT tagrec_train('c1', 'orders', 'ials', '{"factors": 8}', tag_column => NULL) > 0,
	tagrec_train('c2', 'orders', 'ials', '{"factors": 8}', tag_column => NULL, value_column => 'quantity') > 0,
	tagrec_train('c3', 'orders', 'ials', '{"factors": 8, "confidence": 40}', tag_column => NULL, value_column => 'quantity') > 0,
	tagrec_train('c4', 'orders', 'bpr', '{"factors": 8, "epochs": 20}', tag_column => NULL) > 0,
	tagrec_train('c5', 'orders', 'bpr', '{"factors": 8, "epochs": 20}', tag_column => NULL, value_column => 'quantity') > 0;
SELECT count(DISTINCT tagrec_score(model, 1, 'many')) AS different FROM unnest('{c1,c2,c3,c4,c5}'::text[]) model;
-- values that are all the same are as none
CREATE VIEW alike AS SELECT user_id, item_id, 7 AS seven FROM likes;
SELECT tagrec_train(algorithm || '_none', 'alike', algorithm, '{"epochs": 3}', tag_column => NULL) > 0 AS none,
		tagrec_train(algorithm || '_alike', 'alike', algorithm, '{"epochs": 3}', tag_column => NULL, value_column => 'seven') > 0 AS alike
	FROM unnest('{ials,bpr}'::text[]) algorithm;
SELECT algorithm, (SELECT count(*) FROM (SELECT * FROM tagrec_recommend_all(algorithm || '_none', 5)
		EXCEPT SELECT * FROM tagrec_recommend_all(algorithm || '_alike', 5)) d) AS differences
	FROM unnest('{ials,bpr}'::text[]) algorithm;

-- somebody with one foot in each of two camps is offered what the camp has whose items count more, by value or by time
CREATE TABLE camps (user_id int, item_id text, amount float8, at date, backwards date);
INSERT INTO camps SELECT u, CASE WHEN u <= 40 THEN 'a' ELSE 'b' END || i, 1, '2024-01-01', '2024-01-01' FROM generate_series(1, 80) u, generate_series(0, 9) i
	WHERE (u * 7 + i * 3) % 5 > 1;
INSERT INTO camps SELECT 0, side || i, CASE side WHEN 'a' THEN 20 ELSE 0.1 END, CASE side WHEN 'a' THEN '2024-01-01' ELSE '2022-01-01' END::date,
	CASE side WHEN 'b' THEN '2024-01-01' ELSE '2022-01-01' END::date FROM unnest('{a,b}'::text[]) side, generate_series(0, 2) i;
CREATE VIEW camps_reversed AS SELECT user_id, item_id, CASE WHEN user_id = 0 THEN 2 / amount ELSE amount END AS amount, backwards AS at FROM camps;
CREATE TABLE camp_training AS SELECT algorithm, source, kind, concat_ws('_', 'camp', algorithm, source, kind) AS model
	FROM unnest('{ials,bpr}'::text[]) algorithm, unnest('{camps,camps_reversed}'::text[]) source, unnest('{value,time}'::text[]) kind;
CREATE FUNCTION camp_options(algorithm text, kind text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT CASE algorithm WHEN 'ials' THEN '{"factors": 4}'::jsonb ELSE '{"factors": 4, "epochs": 150, "learning_rate": 0.01}' END || CASE kind WHEN 'time' THEN '{"half_life": "60 days"}'::jsonb ELSE '{}' END $$;
SELECT count(CASE kind WHEN 'value' THEN tagrec_train(model, source::regclass, algorithm, camp_options(algorithm, kind), tag_column => NULL, value_column => 'amount')
	ELSE tagrec_train(model, source::regclass, algorithm, camp_options(algorithm, kind), tag_column => NULL, time_column => 'at') END) AS trained FROM camp_training;
SELECT algorithm, kind, (SELECT left(item, 1) FROM tagrec_recommend(concat_ws('_', 'camp', algorithm, 'camps', kind), 0, 1)) AS camps,
	(SELECT left(item, 1) FROM tagrec_recommend(concat_ws('_', 'camp', algorithm, 'camps_reversed', kind), 0, 1)) AS reversed
	FROM camp_training WHERE source = 'camps' ORDER BY 1, 2;

-- what is refused
SELECT tagrec_train('x', 'orders', 'ease', '{"half_life": 3}', tag_column => NULL);
SELECT tagrec_train('x', 'orders', 'ease', '{"half_life": "soon"}', tag_column => NULL, time_column => 'at');
SELECT tagrec_train('x', 'orders', 'ease', '{"half_life": "-3 days"}', tag_column => NULL, time_column => 'at');
SELECT tagrec_train('x', 'orders', 'ease', '{"like_from": 3}', tag_column => NULL);
SELECT tagrec_train('x', 'orders', 'ease', '{"duplicates": "max"}', tag_column => NULL);
SELECT tagrec_train('x', 'orders', 'ials', '{"duplicates": "last"}', tag_column => NULL, value_column => 'quantity');
SELECT tagrec_train('x', 'orders', 'ials', '{"duplicates": "first"}', tag_column => NULL, value_column => 'quantity');
SELECT tagrec_train('x', 'orders', 'ials', tag_column => NULL, value_column => 'item_id');
SELECT tagrec_train('x', 'orders', 'ials', tag_column => NULL, value_column => 'amount');
SELECT tagrec_train('x', 'orders', 'ials', tag_column => NULL, time_column => 'quantity');
SELECT tagrec_tune('x', 'orders', 'ials', '{"half_life": [1, 2]}', tag_column => NULL, time_column => 'at');
CREATE VIEW bad AS SELECT user_id, item_id, nullif(user_id, 3) AS nulls, 50 - user_id AS negatives, 'NaN'::float8 AS nans,
	'-Infinity'::float8 AS infinite, 1e300 AS large, CASE WHEN user_id > 3 THEN now() END AS null_times, 'infinity'::date AS never,
	CASE WHEN user_id = 3 THEN '3000-01-01'::date ELSE '2020-01-01' END AS future FROM likes;
SELECT tagrec_train('x', 'bad', 'ials', tag_column => NULL, value_column => 'nulls');
SELECT tagrec_train('x', 'bad', 'ials', tag_column => NULL, value_column => 'negatives');
SELECT tagrec_train('x', 'bad', 'ials', '{"like_from": 1, "epochs": 1}', tag_column => NULL, value_column => 'negatives') > 0 AS trained;
SELECT pairs FROM tagrec_versions WHERE model = 'x';
SELECT tagrec_train('x', 'bad', 'ials', '{"like_from": 51}', tag_column => NULL, value_column => 'negatives');
SELECT tagrec_train('x', 'bad', 'ials', tag_column => NULL, value_column => 'nans');
SELECT tagrec_train('x', 'bad', 'ials', tag_column => NULL, value_column => 'infinite');
SELECT tagrec_train('x', 'bad', 'ials', tag_column => NULL, value_column => 'large');
SELECT tagrec_train('x', 'bad', 'ials', tag_column => NULL, time_column => 'null_times');
SELECT tagrec_train('x', 'bad', 'ials', tag_column => NULL, time_column => 'never');
-- a job that is not waited for tells what it will not do
SET client_min_messages = notice;
BEGIN;
\set VERBOSITY terse
SELECT tagrec_train('other', 'orders', 'ease', tag_column => NULL, value_column => 'quantity', wait => false) > 0 AS submitted;
ROLLBACK;
\set VERBOSITY default
SET client_min_messages = warning;
-- a time in the future is no reason to forget the rest
SELECT tagrec_train('f', 'bad', 'popularity', '{"half_life": "1 day"}', tag_column => NULL, time_column => 'future') > 0 AS trained;
SELECT max(score) > 5 AS counted FROM tagrec_recommend('f', 5, 50);

-- a column changes its type, or goes
ALTER TABLE orders ALTER quantity TYPE text;
SELECT tagrec_refresh('o_auto');
ALTER TABLE orders DROP quantity;
SELECT tagrec_refresh('o_auto');

-- a single user, a single item
CREATE VIEW lonely AS SELECT * FROM likes WHERE user_id = 1;
SELECT algorithm, says(format($$SELECT tagrec_train('l_%1$s', 'lonely', %1$L, tag_column => NULL)$$, algorithm))
	FROM unnest('{bpr,cdae,ease,ials,item_knn,multvae,popularity,user_knn}'::text[]) algorithm;
CREATE VIEW single AS SELECT * FROM likes WHERE item_id = 'item 1';
SELECT algorithm, says(format($$SELECT tagrec_train('i_%1$s', 'single', %1$L, tag_column => NULL)$$, algorithm))
	FROM unnest('{bpr,cdae,ease,ials,item_knn,multvae,popularity,user_knn}'::text[]) algorithm;
CREATE VIEW lonely_rated AS SELECT *, 1 + length(item_id) + hashtext(item_id) % 2 AS stars FROM lonely;
SELECT algorithm, says(format($$SELECT tagrec_train('r_%1$s', 'lonely_rated', %1$L, '{"epochs": 2}', tag_column => NULL, value_column => 'stars')$$, algorithm))
	FROM tagrec_algorithms WHERE task = 'rating' AND says(format($$SELECT tagrec_train('r_%1$s', 'lonely_rated', %1$L, '{"epochs": 2}', tag_column => NULL,
		value_column => 'stars')$$, algorithm)) <> 'nothing';

SELECT count(tagrec_drop(model)) > 20 AS dropped FROM tagrec_models;
SET client_min_messages = error;
DROP SCHEMA vals CASCADE;
