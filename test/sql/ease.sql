-- ease, ease_tags and blends through SQL: what is stored and served, tags alone, and what their options refuse.
SET client_min_messages = warning;
CREATE SCHEMA ease;
SET search_path = ease, public;
\set SHOW_CONTEXT never
-- three users; items a and b always together
CREATE TABLE few (user_id int, item_id text, tag text);
INSERT INTO few VALUES (1, 'a', 'x'), (1, 'b', 'x'), (2, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'y'), (3, 'a', 'y');
SELECT m, tagrec_train(m, 'few', 'ease', options::jsonb) > 0 AS trained
	FROM (VALUES ('exact', '{"lambda": 1, "neighbours": 0}'), ('dual', '{"lambda": 1, "method": "dual"}'),
		('nearest', '{"lambda": 1, "neighbours": 1}')) v(m, options);
-- by hand: X^T X + I = (4 2 1; 2 3 0; 1 0 2), its inverse P = (6 -4 -3; -4 7 2; -3 2 8) / 13; what a neighbour i of the user says
-- for the item j is -P[i,j] / P[j,j]
SELECT item_id, neighbour_id, round(weight::numeric, 4) AS weight, round(by_hand::numeric, 4) AS by_hand
	FROM exact_item_neighbour JOIN (VALUES ('a', 'b', 4 / 6.), ('a', 'c', 3 / 6.), ('b', 'a', 4 / 7.), ('b', 'c', -2 / 7.),
		('c', 'a', 3 / 8.), ('c', 'b', -2 / 8.)) v(item_id, neighbour_id, by_hand) USING (item_id, neighbour_id)
	ORDER BY item_id, neighbour_id;
SELECT bool_and(abs(e.weight - d.weight) < 1e-6) AS same, count(*)
	FROM exact_item_neighbour e JOIN dual_item_neighbour d USING (item_id, neighbour_id);
SELECT item_id, neighbour_id FROM nearest_item_neighbour ORDER BY item_id;
SELECT rank, item, round(score::numeric, 4) AS score, round((4 / 7. - 2 / 7.)::numeric, 4) AS by_hand FROM tagrec_recommend('exact', 3);

-- two groups of users, items and tags that never meet; every user has two thirds of his group's items
CREATE TABLE posts AS SELECT g * 100 + u AS user_id, g * 100 + i AS item_id, 'g' || g || 't' || i % 4 AS tag
	FROM generate_series(0, 1) g, generate_series(1, 12) u, generate_series(1, 15) i WHERE (u + i) % 3 > 0;
SELECT m, tagrec_train(m, 'posts', a, options::jsonb) > 0 AS trained
	FROM (VALUES ('alone', 'ease', '{}'), ('tags', 'ease_tags', '{}'), ('blend', 'blend', '{"members": "ease_tags; hdlpr_ns epochs=5 layers=8"}'),
		('given', 'blend', '{"members": "ease; ials; popularity", "weights": "2, 2, 1", "validation": 0}')) v(m, a, options);
SELECT m, count(*) AS offered, count(*) FILTER (WHERE r.item::int / 100 = u / 100) AS of_the_group
	FROM unnest('{alone,tags,blend,given}'::text[]) m, unnest('{3,107}'::int[]) u, tagrec_recommend(m, u, 5) r
	GROUP BY m ORDER BY m COLLATE "C";
-- tags alone
SELECT m, count(*) AS offered, count(*) FILTER (WHERE r.item::int >= 100) AS of_the_group
	FROM unnest('{tags,blend}'::text[]) m, tagrec_recommend_for_tags(m, '{g1t1,g1t3}', n => 5) r GROUP BY m ORDER BY m COLLATE "C";
SELECT * FROM tagrec_recommend_for_tags('alone', '{g1t1}');
SELECT * FROM tagrec_recommend_for_tags('given', '{g1t1}');
-- by eigenvectors: arrays, whose inner products are the scores of the closed form where there are as many as X has columns
SELECT m, tagrec_train(m, 'posts', a, options::jsonb) > 0 AS trained
	FROM (VALUES ('spectral', 'ease_tags', '{"method": "spectral", "lambda": 5}'), ('closed', 'ease_tags', '{"method": "primal", "lambda": 5}'),
		('spectral_alone', 'ease', '{"method": "spectral", "rank": 2}')) v(m, a, options);
SELECT bool_and(abs(s.score - c.score) < 1e-4) AS same, count(*)
	FROM generate_series(1, 12) u, tagrec_recommend('spectral', u, 30) s JOIN tagrec_recommend('closed', u, 30) c USING (item);
SELECT bool_and(abs(s.score - c.score) < 1e-4) AS same, count(*)
	FROM tagrec_recommend_for_tags('spectral', '{g1t1,g1t3}', n => 30) s JOIN tagrec_recommend_for_tags('closed', '{g1t1,g1t3}', n => 30) c USING (item);
SELECT count(*) AS offered, count(*) FILTER (WHERE r.item::int / 100 = u / 100) AS of_the_group
	FROM unnest('{3,107}'::int[]) u, tagrec_recommend('spectral_alone', u, 5) r;
SELECT count(*) AS similar, count(*) FILTER (WHERE item::int >= 100) AS of_the_group FROM tagrec_similar_items('spectral', 103, 5);
SELECT count(*) AS tags, bool_and(tag LIKE 'g1%') AS of_the_group FROM tagrec_explain('spectral', 107, 103, 3);
SELECT tagrec_refresh('spectral') > 0 AS refreshed;
SELECT count(*) AS offered, count(*) FILTER (WHERE r.item::int >= 100) AS of_the_group FROM tagrec_recommend('spectral', 107, 5) r;
SELECT tagrec_refresh('spectral_alone') > 0 AS refreshed;
SELECT count(*) AS offered, count(*) FILTER (WHERE r.item::int >= 100) AS of_the_group FROM tagrec_recommend('spectral_alone', 107, 5) r;
-- a member's row of the model's weights starts with what it counts: as given, or chosen
SELECT round(value[1]::numeric, 4) AS ease, round(value[6]::numeric, 4) AS ials, round(value[11]::numeric, 4) AS popularity
	FROM given_weight_versions WHERE name = 'members';
SELECT abs(value[1] + coalesce(value[6], 0) - 1) < 1e-6 AS whole FROM blend_weight_versions WHERE name = 'members';
SELECT options->>'weights' <> '' AS weights, options->>'validation' AS validation, requested_options AS asked
	FROM tagrec_versions WHERE model IN ('blend', 'given') ORDER BY model COLLATE "C";
-- weights are chosen on held-out pairs, the members then learn from all pairs: as if it had been told the weights
SELECT tagrec_train('chosen', 'posts', 'blend', '{"members": "ease lambda=10; tag_cosine", "validation": 0.2}') > 0 AS trained;
SELECT tagrec_train('told', 'posts', 'blend', jsonb_build_object('members', 'ease lambda=10; tag_cosine', 'validation', 0, 'weights',
	value[1] || ' ' || value[6])) > 0 AS trained FROM chosen_weight_versions WHERE name = 'members';
SELECT bool_and(abs(c.score - t.score) < 1e-5) AS same, count(*) > 0 AS any
	FROM generate_series(1, 12) u, tagrec_recommend('chosen', u, 30) c JOIN tagrec_recommend('told', u, 30) t USING (item);
SELECT metric_value > 0 AS measured, options->>'weights' <> '' AS weights FROM tagrec_versions WHERE model = 'chosen';
-- a refresh leaves all members
SELECT tagrec_train('arrays', 'posts', 'blend', '{"members": "ials; tag_cosine", "weights": "1 1"}') > 0 AS trained;
SELECT tagrec_refresh('arrays') > 0 AS refreshed;
SELECT count(*) AS offered, count(*) FILTER (WHERE r.item::int >= 100) AS of_the_group FROM tagrec_recommend('arrays', 107, 5) r;
SELECT tagrec_refresh('blend') > 0 AS refreshed;

-- ---- what is refused
\set VERBOSITY terse
SELECT tagrec_train('m', 'posts', 'blend', '{"members": "ease; nonsense"}');
\set VERBOSITY default
SELECT tagrec_train('m', 'posts', 'blend', '{"members": "ease lamda=3"}');
SELECT tagrec_train('m', 'posts', 'blend', '{"members": "ease; blend"}');
SELECT tagrec_train('m', 'posts', 'blend', '{"members": "ease_tags; ease_tags lambda=3"}');
SELECT tagrec_train('m', 'posts', 'blend', '{"members": "ease; ials", "weights": "1"}');
SELECT tagrec_train('m', 'posts', 'ease', '{"method": "best"}');
SELECT tagrec_train('m', 'posts', 'ease', '{"lambda": -1}');
SET tagrec.max_memory = '8MB';
CREATE TABLE wide AS SELECT i % 997 AS user_id, i AS item_id, 't' AS tag FROM generate_series(1, 3000) i;
SELECT tagrec_train('m', 'wide', 'ease', '{"method": "primal"}');
RESET tagrec.max_memory;
SET client_min_messages = error;
DROP SCHEMA ease CASCADE;
SELECT count(tagrec_drop(model)::text) AS dropped FROM tagrec_models WHERE schema = 'ease';
