-- ---------------------------------------------------------------------------------------------------------------------
-- evaluation: how well models rank held-out data
-- ---------------------------------------------------------------------------------------------------------------------

-- Parallel unsafe, because the test relation may be a view that calls parallel-unsafe functions.

CREATE OR REPLACE FUNCTION tagrec_evaluate(model text, test regclass, k int[] DEFAULT '{5,10,20,50}',
		exclude_seen boolean DEFAULT true, user_column name DEFAULT NULL, item_column name DEFAULT NULL,
		version int DEFAULT NULL, tag_column name DEFAULT NULL, candidates tagrec_ids DEFAULT 'all',
		value_column name DEFAULT NULL)
	RETURNS TABLE (metric text, k int, value float8, stderr float8)
AS 'MODULE_PATHNAME', 'tagrec_evaluate_2'
LANGUAGE C STABLE PARALLEL UNSAFE COST 1000000 ROWS 28;
COMMENT ON FUNCTION tagrec_evaluate(text, regclass, int[], boolean, name, name, int, name, tagrec_ids, name) IS
	'evaluates a model on held-out (user, item) pairs, or (user, item, tag) rows for the task tag, or values for the task rating: rmse and mae; precision, recall, f1, ndcg and hit at each k, mrr and mrr_pair, with standard errors over users or posts';

CREATE OR REPLACE FUNCTION tagrec_compare(models text[], test regclass, k int[] DEFAULT '{20}', metric text DEFAULT 'ndcg',
		samples int DEFAULT 1000, seed bigint DEFAULT 1, exclude_seen boolean DEFAULT true,
		user_column name DEFAULT NULL, item_column name DEFAULT NULL, tag_column name DEFAULT NULL,
		candidates tagrec_ids DEFAULT 'all', versions int[] DEFAULT NULL,
		value_column name DEFAULT NULL)
	RETURNS TABLE (model text, versus text, metric text, k int, difference float8, low float8, high float8,
		value float8, versus_value float8, users int, version int, versus_version int)
AS 'MODULE_PATHNAME', 'tagrec_compare_2'
LANGUAGE C STABLE PARALLEL UNSAFE COST 2000000 ROWS 3;
COMMENT ON FUNCTION tagrec_compare(text[], regclass, int[], text, int, bigint, boolean, name, name, name, tagrec_ids, int[], name) IS
	'compares models, or versions of them, by a metric on the users known to all of them, or on their posts for the task tag: differences with 95% bootstrap confidence intervals';

CREATE OR REPLACE FUNCTION tagrec_stale(model text)
	RETURNS TABLE (version int, rows bigint, pairs bigint, new_pairs bigint, new_users bigint, new_items bigint,
		gone_pairs bigint)
AS 'MODULE_PATHNAME', 'tagrec_stale'
LANGUAGE C STABLE PARALLEL UNSAFE COST 1000000 ROWS 1;
COMMENT ON FUNCTION tagrec_stale(text) IS
	'how much of the present rows of its source, read as the caller, the deployed version of a model does not know';

CREATE OR REPLACE FUNCTION tagrec_evaluate_users(model text, test regclass, k int[] DEFAULT '{10}',
		exclude_seen boolean DEFAULT true, user_column name DEFAULT NULL, item_column name DEFAULT NULL,
		version int DEFAULT NULL, candidates tagrec_ids DEFAULT 'all')
	RETURNS TABLE (user_id text, metric text, k int, value float8)
AS 'MODULE_PATHNAME', 'tagrec_evaluate_users'
LANGUAGE C STABLE PARALLEL UNSAFE COST 1000000 ROWS 10000;
COMMENT ON FUNCTION tagrec_evaluate_users(text, regclass, int[], boolean, name, name, int, tagrec_ids) IS
	'the metrics of tagrec_evaluate() and tagrec_evaluate_lists() for each user alone';

CREATE OR REPLACE FUNCTION tagrec_evaluate_lists(model text, test regclass, k int[] DEFAULT '{5,10,20,50}',
		exclude_seen boolean DEFAULT true, user_column name DEFAULT NULL, item_column name DEFAULT NULL,
		version int DEFAULT NULL, candidates tagrec_ids DEFAULT 'all')
	RETURNS TABLE (metric text, k int, value float8, stderr float8)
AS 'MODULE_PATHNAME', 'tagrec_evaluate_lists'
LANGUAGE C STABLE PARALLEL UNSAFE COST 1000000 ROWS 13;
COMMENT ON FUNCTION tagrec_evaluate_lists(text, regclass, int[], boolean, name, name, int, tagrec_ids) IS
	'coverage, novelty and diversity of the lists of the users that tagrec_evaluate() measures';
