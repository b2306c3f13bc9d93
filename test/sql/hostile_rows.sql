--
-- rows, columns and types that a model's owner has changed: an error that says so, or the answer as before
--
\getenv srcdir PG_ABS_SRCDIR
\set fixture :srcdir /fixture/hostile_rows.sql
SET client_min_messages = error;
CREATE SCHEMA hostile_rows;
SET search_path = hostile_rows, public;
\set ECHO none
\ir :fixture
\set ECHO all
SELECT count(tagrec_train('m_' || algorithm, 'a', algorithm, hostile_options(algorithm))) AS trained
	FROM unnest('{hybrid,tag_product,blend,ccs,ccf,acf,dae_ptr,item_knn}'::text[]) algorithm;

-- members of a blend that are wider than they are
BEGIN;
SELECT cardinality(tagrec_embed('m_blend', '{t1}')) > 0 AS embedded;
UPDATE m_blend_weight_versions SET value[4] = value[4] - 1024, value[9] = value[9] + 1024 WHERE name = 'members';
SELECT hostile_rewrite('m_blend_item_v1');
SELECT tagrec_embed('m_blend', '{t1}');
ROLLBACK;

-- a weight without rows
BEGIN;
UPDATE m_ccs_weight_versions SET rows = 0, value = '{}' WHERE name = 'idf';
SELECT tagrec_embed('m_ccs', '{t1}');
ROLLBACK;
BEGIN;
UPDATE m_ccf_weight_versions SET rows = 0, value = '{}' WHERE name = 'idf';
SELECT tagrec_recommend_for_tags('m_ccf', '{t1}');
ROLLBACK;

-- a null among the items that a user has
BEGIN;
UPDATE m_hybrid_user_versions SET seen = seen || NULL::int;
SELECT count(*) FROM tagrec_recommend_all('m_hybrid', 2);
ROLLBACK;
BEGIN;
UPDATE m_hybrid_user_versions SET seen = seen || NULL::int;
SELECT count(*) FROM tagrec_evaluate('m_hybrid', 'test');
ROLLBACK;

-- two columns of different types take each other's name, in a session that knows them
SELECT count(*) FROM tagrec_similar_items('m_hybrid', 1, 3);
ALTER TABLE m_hybrid_item_versions RENAME tags TO between;
ALTER TABLE m_hybrid_item_versions RENAME posts TO tags;
ALTER TABLE m_hybrid_item_versions RENAME between TO posts;
SELECT count(*) FROM tagrec_similar_items('m_hybrid', 1, 3);
SELECT count(*) FROM tagrec_explain('m_hybrid', 1, 1, 3);
ALTER TABLE m_hybrid_item_versions RENAME tags TO between;
ALTER TABLE m_hybrid_item_versions RENAME posts TO tags;
ALTER TABLE m_hybrid_item_versions RENAME between TO posts;
SELECT count(*) FROM tagrec_similar_items('m_hybrid', 1, 3);

-- all that a column may hold and should not; columns themselves; what the registry says. The numbers are of changes that were tried.
SELECT hostile_rows('m_hybrid', '{user,item,tag}') > 100 AS tried;
SELECT hostile_rows('m_tag_product') > 100 AS tried;
SELECT hostile_rows('m_item_knn', '{neighbour}') > 20 AS tried;
SELECT algorithm, hostile_rows('m_' || algorithm, '{weight}') > 40 AS tried FROM unnest('{blend,ccs,acf,dae_ptr}'::text[]) algorithm;
SELECT hostile_ddl('m_hybrid') > 100 AS tried;
SELECT hostile_registry('m_blend') > 20 AS tried;
-- how many users there are says the weight itself, where users are encoded by tags
SELECT * FROM hostile_found WHERE (model, change) <> ('m_acf', 'weight users: a row less') ORDER BY 1, 2, 3;

-- the functions behind the views
SELECT count(*) FROM tagrec_neighbour_entries('{1,2}', '{1,2}');
SELECT tagrec_neighbour_entries('{1,2}', '{1}');
SELECT tagrec_neighbour_entries('{1,NULL}', '{1,2}');
SELECT tagrec_neighbour_entries('{1,2}', '{NULL,2}');
SELECT tagrec_neighbour_entries('{{1,2},{3,4}}', '{1,2,3,4}');
SELECT count(*) FROM tagrec_neighbour_entries('[0:1]={1,2}', '{1,2}');
SELECT count(*) FROM tagrec_neighbour_entries('{}', '{}');
SELECT tagrec_ascending_has('{1,NULL,3}', 3);
SELECT tagrec_ascending_has('{{1,2},{3,4}}', 3);
SELECT tagrec_ascending_has('{3,2,1}', 1) IS NOT NULL AS answered;
SELECT tagrec_ascending_has('{}', 1), tagrec_ascending_has('[5:6]={1,2147483647}', 2147483647);
SELECT tagrec_ascending_has('{-2147483648,2147483647}', -2147483648);

SELECT count(tagrec_drop(model)) AS dropped FROM tagrec_models WHERE schema = 'hostile_rows';
DROP SCHEMA hostile_rows CASCADE;
