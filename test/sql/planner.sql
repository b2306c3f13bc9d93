-- What the planner expects of a list: as many rows as n says, when that is known.
CREATE FUNCTION expected_rows(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan->0->'Plan'->>'Plan Rows';
END $$;
SELECT call, expected_rows('SELECT * FROM ' || call) FROM (VALUES
	('tagrec_recommend(''m'', 1)'),
	('tagrec_recommend(''m'', 1, 50)'),
	('tagrec_recommend(''m'', 1, n => 25 * 2)'),
	('tagrec_recommend(''m'', 1, -1)'),
	('tagrec_recommend(''m'', 1, NULL)'),
	('tagrec_recommend_as(NULL::int, ''m'', 1, 7)'),
	('tagrec_recommend_all(''m'', 3)'),
	('tagrec_recommend_all(''m'')'),
	('tagrec_recommend_all_as(NULL::int, NULL::int, ''m'', n => 4)'),
	('tagrec_recommend_for_tags(''m'', ''{a}'', n => 30)'),
	('tagrec_recommend_for_items(''m'', ''{1}'', n => 30)'),
	('tagrec_recommend_users(''m'', 1, 40)'),
	('tagrec_recommend_users_as(NULL::int, ''m'', 1, 40)'),
	('tagrec_similar_items(''m'', 1, 20)'),
	('tagrec_similar_items_as(NULL::int, ''m'', 1, 20)'),
	('tagrec_similar_users(''m'', 1, 8)')) AS c (call);
PREPARE listed (bigint) AS SELECT * FROM tagrec_recommend('m', 1, $1);
SET plan_cache_mode = force_custom_plan;
SELECT expected_rows('EXECUTE listed(70)');
SET plan_cache_mode = force_generic_plan;
SELECT expected_rows('EXECUTE listed(70)');
DEALLOCATE listed;
DROP FUNCTION expected_rows(text);
