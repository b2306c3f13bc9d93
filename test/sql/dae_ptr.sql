-- dae_ptr: its presets, what they store, and what is refused.
SET client_min_messages = warning;
CREATE SCHEMA dae_ptr;
SET search_path = dae_ptr, public;
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE TABLE assigned AS SELECT DISTINCT u AS user_id, i AS item_id, 'tag ' || (i % 4 * 3 + t) AS tag
FROM generate_series(1, 20) u, generate_series(1, 24) i, generate_series(0, 2) t WHERE (u * 7 + i * 5 + t) % 4 <> 0;
SELECT tagrec_train('own', 'assigned', 'dae_ptr', '{"hidden": 24, "epochs": 40, "batch": 32}') > 0 AS trained;
SELECT tagrec_train('paper', 'assigned', 'dae_ptr', '{"preset": "paper", "epochs": 2}') > 0 AS trained;
-- vectors of users and items are the hidden layer's width; the prior looks at similar items
SELECT model, width, unit_width, features FROM tagrec_version JOIN tagrec_model USING (model_id) WHERE model IN ('own', 'paper') ORDER BY 1;
SELECT array_length(embedding, 1) FROM own_user_embedding LIMIT 1;
SELECT count(*) FROM tagrec_similar_items('paper', 1, 5);
-- and stand in their own rows alone, not among the weights
SELECT string_agg(DISTINCT name, ' ' ORDER BY name) AS weights FROM own_weight_versions;

-- an item has the three tags of its kind: the one that a post lacks is the next
SELECT count(*) > 100 AS posts, avg((r.tag = ANY (ARRAY['tag ' || (p.item_id % 4 * 3), 'tag ' || (p.item_id % 4 * 3 + 1),
	'tag ' || (p.item_id % 4 * 3 + 2)]))::int) > 0.95 AS right_kind
FROM (SELECT user_id, item_id FROM assigned GROUP BY 1, 2 HAVING count(*) < 3) p, tagrec_recommend_tags('own', p.user_id, p.item_id, 1) r;
-- by what is given alone, of a user and an item nobody knows
SELECT tag FROM tagrec_recommend_tags('own', 999, 999, 1, '{tag 4,tag 5}');

-- ---- refused
SELECT tagrec_train('bad', 'assigned', 'dae_ptr', '{"drop": "share", "corruption": 0}');
SELECT tagrec_train('bad', 'assigned', 'dae_ptr', '{"drop": "share", "corruption": 1, "rescale": true, "targets": "all"}');
SELECT tagrec_train('bad', 'assigned', 'dae_ptr', '{"drop": "two"}');
SELECT tagrec_train('bad', 'assigned', 'dae_ptr', '{"hidden": 0}');

SELECT count(tagrec_drop(model)) AS dropped FROM tagrec_models WHERE schema = 'dae_ptr';
DELETE FROM tagrec_job WHERE model IN ('own', 'paper');
DROP SCHEMA dae_ptr CASCADE;
