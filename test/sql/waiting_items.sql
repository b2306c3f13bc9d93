-- Items that nobody has yet: rows without a user, whose tags describe the item, and attributes of items that the source does
-- not have.
SET client_min_messages = warning;
CREATE SCHEMA waiting;
SET search_path = waiting, public;
\set SHOW_CONTEXT never
-- two groups of users, items and tags that never meet; 77 and 177 are of the groups, and nobody has them
CREATE TABLE had AS SELECT g * 100 + u AS user_id, g * 100 + i AS item_id, 'g' || g || 't' || i % 4 AS tag
	FROM generate_series(0, 1) g, generate_series(1, 12) u, generate_series(1, 15 + g) i WHERE (u + i) % 3 > 0;
CREATE TABLE described AS SELECT g * 100 + 77 AS item_id, 'g' || g || 't' || t AS tag FROM generate_series(0, 1) g, generate_series(0, 3) t;
CREATE VIEW source AS SELECT user_id, item_id, tag, 1::real AS weight FROM had UNION ALL SELECT NULL, item_id, tag, 2 FROM described;
CREATE TABLE trained (model text, algorithm text, options jsonb);
INSERT INTO trained VALUES ('exact', 'ease_tags', '{"lambda": 5}'), ('spectral', 'ease_tags', '{"lambda": 5, "method": "spectral", "rank": 12}'),
	('hdlpr_ns', 'hdlpr_ns', '{"epochs": 30, "layers": "8"}'), ('dspr', 'dspr', '{"epochs": 30, "layers": "8"}'),
	('hdlpr', 'hdlpr', '{"epochs": 30, "layers": "8", "weighting": "bm25"}'),
	('hybrid', 'hybrid', '{"epochs": 30, "layers": "8", "item_history": 2, "item_term": 1, "user_dropout": 0.3, "item_dropout": 0.3}'),
	('cosine', 'tag_cosine', '{}'), ('bm25', 'tag_bm25', '{}'), ('listed', 'tag_bm25', '{"max_tags": 1}'),
	('ccs', 'ccs', '{"clusters": 2}'),
	('blend', 'blend', '{"members": "ease_tags; hdlpr_ns epochs=10 layers=8", "weights": "1 1"}');
SELECT model FROM trained WHERE tagrec_train(model, 'source', algorithm, options) IS NULL;

-- they are recommended to whom their tags say, and to nobody else; what is stored of them are their tags
SELECT model, (SELECT count(*) FROM tagrec_recommend(model, 1, 100) r WHERE r.item = '77') AS there,
	tagrec_score(model, 1, 77) > tagrec_score(model, 1, 177) AS to_the_first, tagrec_score(model, 101, 177) > tagrec_score(model, 101, 77) AS to_the_second
	FROM trained ORDER BY model COLLATE "C";
SELECT item_id, posts, cardinality(tags) AS tags, counts FROM bm25_item_versions WHERE posts = 0 ORDER BY 1;
SELECT users, items, assignments = (SELECT count(*) FROM had) AS assignments, pairs FROM tagrec_versions WHERE model = 'bm25';
SELECT tagrec_train('weighted', 'source', 'tag_cosine', weight_column => 'weight') > 0 AS trained;
SELECT item_id, counts FROM weighted_item_versions WHERE posts = 0 ORDER BY 1;
-- similar items, tags, users, explanations
SELECT model, bool_and(s.item::int < 100) AS of_the_group FROM trained, tagrec_similar_items(model, 77, 3) s
	WHERE model IN ('hdlpr_ns', 'cosine', 'spectral', 'bm25') GROUP BY 1 ORDER BY 1;
SELECT count(*) AS by_tags FROM tagrec_recommend_for_tags('hdlpr_ns', '{g0t0,g0t1,g0t2,g0t3}', n => 100) WHERE item = '77';
SELECT bool_and(u.user_id::int < 100) AS users FROM tagrec_recommend_users('cosine', 77, 5) u;
SELECT count(*) AS reasons FROM tagrec_explain('cosine', 1, 77);
-- export and import
SELECT tagrec_import('hdlpr_ns2', tagrec_export('hdlpr_ns'));
SELECT tagrec_score('hdlpr_ns2', 1, 77) = tagrec_score('hdlpr_ns', 1, 77) AS same;
-- held-out pairs, samples of a tuning, the core
SELECT bool_and(tagrec_train('held_' || algorithm, 'source', algorithm, '{"epochs": 2, "layers": "8", "validation": 0.2}') > 0) AS trained
	FROM unnest('{hdlpr_ns,dspr,hybrid}'::text[]) algorithm;
SELECT metric_value IS NOT NULL AS measured, items FROM tagrec_versions WHERE model = 'held_dspr';
SELECT tagrec_train('core', 'source', 'tag_cosine', '{"core": 5, "min_tag_count": 2}') > 0 AS trained;
SELECT items FROM tagrec_versions WHERE model = 'core';
-- refreshed, retrained, stale: with those that came since
INSERT INTO described SELECT g * 100 + 78, 'g' || g || 't' || t FROM generate_series(0, 1) g, generate_series(0, 3) t;
INSERT INTO had VALUES (1, 77, 'g0t1');
SELECT new_pairs, new_users, new_items, gone_pairs FROM tagrec_stale('hdlpr_ns');
SELECT tagrec_refresh('hdlpr_ns') > 0 AS refreshed, tagrec_refresh('cosine') > 0 AS refreshed;
SELECT item_id, posts, counts FROM cosine_item_versions WHERE version = 2 AND item_id % 100 > 70 ORDER BY 1;
SELECT count(*) AS there FROM tagrec_recommend('hdlpr_ns', 2, 100) WHERE item IN ('77', '78', '177', '178');
SELECT new_pairs, new_items FROM tagrec_stale('hdlpr_ns');
SELECT tagrec_retrain('dspr') > 0 AS retrained;
SELECT version, items FROM tagrec_history WHERE model = 'dspr' ORDER BY 1;
SELECT items - 34 AS more FROM tagrec_versions WHERE model = 'hdlpr_ns' ORDER BY version;

-- values, times, and rows that say nothing
CREATE VIEW valued AS SELECT user_id, item_id, tag, 1 AS value, now() AS at FROM had
	UNION ALL SELECT NULL, item_id, tag, NULL, NULL FROM described UNION ALL SELECT NULL, 99, NULL, NULL, NULL;
SELECT tagrec_train('valued', 'valued', 'tag_cosine', '{"half_life": 30}', value_column => 'value', time_column => 'at') > 0 AS trained;
SELECT items FROM tagrec_versions WHERE model = 'valued';
-- left out by what does not know items by tags, and without a column of tags; nothing is left of a core of 1,000, so that the
-- notices are all there is
SELECT tagrec_train('plain', 'source', 'ease') > 0 AS trained;
SELECT items FROM tagrec_versions WHERE model = 'plain';
SELECT count(tagrec_train(m, 'source', m, '{"epochs": 1}')) AS trained FROM unnest('{ccf,acf,user_knn,tag_popular}'::text[]) m;
RESET client_min_messages;
SELECT tagrec_train('x', 'source', 'ease', '{"core": 1000}');
SELECT tagrec_train('x', 'source', 'tag_cosine', '{"core": 1000}');
SELECT tagrec_train('x', 'source', 'ease', '{"core": 1000}', tag_column => NULL);
SELECT new_items FROM tagrec_stale('plain');
CREATE VIEW nobody AS SELECT NULL::int AS user_id, item_id, tag FROM described;
SELECT tagrec_train('nobody', 'nobody');
SELECT count(*) FROM tagrec_evaluate('bm25', 'source');
SET client_min_messages = warning;

-- attributes: of items that the source does not have
CREATE TABLE products AS SELECT i AS item_id, CASE WHEN i < 100 THEN 'low' ELSE 'high' END AS price FROM (SELECT DISTINCT item_id FROM had UNION VALUES (88), (188)) x (i);
INSERT INTO products VALUES (89, NULL);
SELECT tagrec_train('by_price', 'had', 'hdlpr_ns', '{"epochs": 30, "layers": "8"}', tag_column => NULL, item_features => 'products') > 0 AS trained;
SELECT tagrec_score('by_price', 1, 88) > tagrec_score('by_price', 1, 188) AS low, tagrec_score('by_price', 101, 188) > tagrec_score('by_price', 101, 88) AS high;
SELECT tagrec_train('by_both', 'source', 'tag_cosine', item_features => 'products') > 0 AS trained;
SELECT item_id, posts, cardinality(tags) AS tags FROM by_both_item_versions WHERE posts = 0 ORDER BY 1;
RESET client_min_messages;
SELECT tagrec_train('x', 'had', 'tag_cosine', '{"core": 1000}', tag_column => NULL, item_features => 'products');
SELECT tagrec_train('x', 'had', 'ccf', '{"core": 1000}', tag_column => NULL, item_features => 'products');

SET client_min_messages = error;
SELECT count(tagrec_drop(model)) > 0 AS dropped FROM tagrec_models WHERE schema = 'waiting';
DROP SCHEMA waiting CASCADE;
