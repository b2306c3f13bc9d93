-- tagrec_refresh: users are folded in, with the weights that there are; items stay, and new ones come where tags tell what they
-- are.
SET client_min_messages = warning;
CREATE SCHEMA refresh;
SET search_path = refresh, public;
\set SHOW_CONTEXT never
-- two groups of users, items and tags that never meet; users 12 and 112 and the items 77 and 177 come after the training
CREATE TABLE posts AS SELECT g * 100 + u AS user_id, g * 100 + i AS item_id, 'g' || g || 't' || i % 4 AS tag
	FROM generate_series(0, 1) g, generate_series(1, 12) u, generate_series(1, 15 + g) i WHERE (u + i) % 3 > 0;
CREATE TABLE source AS SELECT * FROM posts WHERE user_id % 100 < 12;
CREATE INDEX ON source (user_id);
CREATE TABLE models (model text, algorithm text, options jsonb, adds_items bool);
INSERT INTO models VALUES ('ease', 'ease', '{"lambda": 5}', false), ('eigen', 'ease', '{"lambda": 5, "method": "spectral", "rank": 12}', false),
	('ease_tags', 'ease_tags', '{"lambda": 5}', false), ('spectral', 'ease_tags', '{"lambda": 5, "method": "spectral", "rank": 12}', true),
	('item_knn', 'item_knn', '{}', false), ('ials', 'ials', '{"factors": 8, "alpha": 4, "regularization": 0.1}', false),
	('hybrid', 'hybrid', '{"epochs": 30, "layers": "8", "item_history": 2, "item_term": 1, "user_dropout": 0.3, "item_dropout": 0.3}', true),
	('chosen', 'hybrid', '{"epochs": 4, "layers": "8"}', true),
	('hdlpr_ns', 'hdlpr_ns', '{"epochs": 30, "layers": "8"}', true), ('tag_cosine', 'tag_cosine', '{}', true),
	('blend', 'blend', '{"members": "ease_tags; ials factors=8", "weights": "1 1"}', false),
	('arrays', 'blend', '{"members": "hybrid epochs=10 layers=8; ials factors=8", "weights": "1 1"}', true);
SELECT model FROM models WHERE tagrec_train(model, 'source', algorithm, options) IS NULL;
CREATE TABLE before AS SELECT model, user_id, i AS item_id, tagrec_score(model, user_id, i) AS score
	FROM models, (SELECT DISTINCT user_id FROM source) u, generate_series(1, 15) i;

-- nothing has changed: users whom the algebra gives, or whom the weights know, are the same; ials had other items in its last step
SELECT model FROM models WHERE tagrec_refresh(model) IS NULL;
SELECT model, bool_and(abs(tagrec_score(model, user_id, item_id) - score) < 1e-3 * (1 + abs(score))) AS same
	FROM before WHERE model NOT IN ('ials', 'blend', 'arrays') GROUP BY model ORDER BY model COLLATE "C";
SELECT model, corr(tagrec_score(model, user_id, item_id), score) > 0.9 AS alike
	FROM before WHERE model IN ('ials', 'blend') GROUP BY model ORDER BY model COLLATE "C";

-- new users; new items, of which only some have tags that are known
INSERT INTO source SELECT * FROM posts WHERE user_id IN (12, 112);
INSERT INTO source SELECT user_id, 77 + user_id / 100 * 100, 'g' || user_id / 100 || 't' || t FROM generate_series(0, 3) t,
	(SELECT DISTINCT user_id FROM source WHERE user_id % 2 = 0) u;
INSERT INTO source VALUES (1, 5, 'never seen'), (1, 78, 'never seen');
CREATE TABLE fresh AS SELECT model, item, score FROM models, tagrec_recommend(model, 112, 100, fresh => true);
SELECT model FROM models WHERE tagrec_refresh(model) IS NULL;
-- they are answered as they were when the source was asked, as far as items are the same
SELECT model, count(*) AS offered, count(*) FILTER (WHERE rank <= 3 AND item::int >= 100 AND model NOT IN ('hybrid', 'chosen', 'hdlpr_ns', 'arrays')) AS of_the_group,
	bool_and(item::int NOT IN (SELECT item_id FROM source WHERE user_id = 112)) AS not_seen
	FROM models, tagrec_recommend(model, 112, 100) GROUP BY model ORDER BY model COLLATE "C";
SELECT model, bool_and(abs(r.score - f.score) < 1e-3 * (1 + abs(f.score))) AS as_fresh FROM fresh f JOIN models USING (model),
	LATERAL (SELECT * FROM tagrec_recommend(model, 112, 100) r WHERE r.item = f.item) r
	WHERE model IN ('ease', 'eigen', 'ease_tags', 'item_knn', 'ials', 'tag_cosine') GROUP BY model ORDER BY model COLLATE "C";
-- and after it: the positions of items are other ones where there are new items
SELECT model, bool_and(abs(r.score - f.score) < 1e-3 * (1 + abs(r.score))) AS as_fresh FROM models,
	LATERAL (SELECT * FROM tagrec_recommend(model, 112, 100)) r JOIN LATERAL (SELECT * FROM tagrec_recommend(model, 112, 100, fresh => true)) f USING (item)
	GROUP BY model ORDER BY model COLLATE "C";
SELECT model, items - (SELECT count(DISTINCT item_id) FROM posts) = CASE WHEN adds_items THEN 2 + (model IN ('hybrid', 'chosen', 'spectral', 'arrays'))::int ELSE 0 END AS items,
	(tagrec_score(model, 101, 177) > tagrec_score(model, 101, 77)) AS new_item
	FROM models JOIN tagrec_versions USING (model) WHERE deployed AND adds_items ORDER BY model COLLATE "C";
SELECT DISTINCT version, refreshed_from, epochs FROM tagrec_versions JOIN models USING (model) WHERE deployed ORDER BY 1;
-- old users with new rows: what they have now is left out, and counts
SELECT model, count(*) FROM models, tagrec_recommend(model, 2, 100) WHERE item = '77' GROUP BY model;
-- stale, exported, imported, refreshed from what was refreshed
SELECT model, new_pairs, new_users, new_items, gone_pairs FROM models, tagrec_stale(model) ORDER BY model COLLATE "C";
SELECT tagrec_import('copied', tagrec_export('hybrid'));
SELECT bool_and(tagrec_score('copied', 112, i) = tagrec_score('hybrid', 112, i)) AS same FROM generate_series(101, 115) i;
DELETE FROM source WHERE item_id IN (3, 103);
SELECT tagrec_refresh('hybrid') > 0 AS refreshed, tagrec_refresh('ease') > 0 AS refreshed, tagrec_refresh('hdlpr_ns') > 0 AS refreshed;
SELECT model, count(*) FILTER (WHERE item_id IN (3, 103)) AS kept FROM (SELECT 'hybrid' AS model, item_id FROM hybrid_item_embedding UNION ALL
	SELECT 'ease', item_id FROM ease_item_embedding UNION ALL SELECT 'hdlpr_ns', item_id FROM hdlpr_ns_item_embedding) x GROUP BY 1 ORDER BY 1;

-- how much interactions count, to ials
CREATE TABLE valued AS SELECT user_id, item_id, 1 + user_id % 3 AS value FROM (SELECT DISTINCT user_id, item_id FROM posts) p;
SELECT tagrec_train('valued', 'valued', 'ials', '{"factors": 8, "alpha": 4, "regularization": 0.1, "epochs": 60}', tag_column => NULL, value_column => 'value') > 0 AS trained;
CREATE TABLE valued_before AS SELECT user_id, i AS item_id, tagrec_score('valued', user_id, i) AS score FROM generate_series(1, 15) i, (SELECT DISTINCT user_id FROM valued) u;
SELECT tagrec_refresh('valued') > 0 AS refreshed;
SELECT bool_and(abs(tagrec_score('valued', user_id, item_id) - score) < 0.02) AS same FROM valued_before;

-- what is left out, and what cannot
RESET client_min_messages;
\set VERBOSITY terse
CREATE VIEW strangers AS SELECT user_id, item_id + 1000 AS item_id, tag FROM posts;
CREATE VIEW moved AS SELECT * FROM source;
SET client_min_messages = warning;
SELECT tagrec_train('moving', 'moved', 'ease') > 0 AS trained;
CREATE OR REPLACE VIEW moved AS SELECT * FROM strangers;
RESET client_min_messages;
SELECT tagrec_refresh('moving');
SET client_min_messages = warning;
SELECT tagrec_train(m, 'source', m, '{"epochs": 1}') > 0 AS trained FROM unnest('{bpr,user_knn,multvae}'::text[]) m;
\set VERBOSITY default
SELECT tagrec_refresh('bpr');
SELECT tagrec_refresh('user_knn');
SELECT tagrec_refresh('multvae');

SET client_min_messages = error;
SELECT count(tagrec_drop(model)) > 0 AS dropped FROM tagrec_models WHERE schema = 'refresh';
DROP SCHEMA refresh CASCADE;
