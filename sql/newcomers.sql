-- ---------------------------------------------------------------------------------------------------------------------
-- queries: users who may be new, users for an item, and what their items contribute
-- ---------------------------------------------------------------------------------------------------------------------

-- See sql/queries.sql for what the arguments of all these functions have in common.

CREATE OR REPLACE FUNCTION tagrec_recommend_for_items(model text, items tagrec_ids, weights float8[] DEFAULT NULL,
		tags text[] DEFAULT NULL, tag_weights float8[] DEFAULT NULL,
		n bigint DEFAULT 10, exclude_given boolean DEFAULT true,
		@rules@,
		fallback text DEFAULT NULL)
	RETURNS TABLE (rank int, item text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_for_items'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_for_items IS
	'top n items for a user with these items, and perhaps tags; by default without the items themselves';

CREATE OR REPLACE FUNCTION tagrec_recommend_for_items_as(item_type anyelement, model text, items tagrec_ids, weights float8[] DEFAULT NULL,
		tags text[] DEFAULT NULL, tag_weights float8[] DEFAULT NULL,
		n bigint DEFAULT 10, exclude_given boolean DEFAULT true,
		@rules@,
		fallback text DEFAULT NULL)
	RETURNS TABLE (rank int, item anyelement, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_for_items_as'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_for_items_as IS
	'the same as tagrec_recommend_for_items, with ids of the type of the first argument';

CREATE OR REPLACE FUNCTION tagrec_recommend_users(model text, item_id anycompatible,
		n bigint DEFAULT 10, exclude_seen boolean DEFAULT true,
		@rules@)
	RETURNS TABLE (rank int, user_id text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_users'
LANGUAGE C STABLE PARALLEL SAFE COST 100000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_users IS
	'top n users for an item, by default without those who have it';

CREATE OR REPLACE FUNCTION tagrec_recommend_users_as(user_type anyelement, model text, item_id anycompatible,
		n bigint DEFAULT 10, exclude_seen boolean DEFAULT true,
		@rules@)
	RETURNS TABLE (rank int, user_id anyelement, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_users_as'
LANGUAGE C STABLE PARALLEL SAFE COST 100000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_users_as IS
	'the same as tagrec_recommend_users, with ids of the type of the first argument';

CREATE OR REPLACE FUNCTION tagrec_explain_items(model text, user_id text, item_id text, n bigint DEFAULT 10,
		version int DEFAULT NULL, fresh boolean DEFAULT false)
	RETURNS TABLE (rank int, item text, contribution real)
AS 'MODULE_PATHNAME', 'tagrec_explain_items'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain_items(text, text, text, bigint, int, boolean) IS
	'items of the user that contribute most to a score; a last row, without item, has the rest of it';

CREATE OR REPLACE FUNCTION tagrec_explain_items(model text, user_id text, item_id "any", n bigint DEFAULT 10,
		version int DEFAULT NULL, fresh boolean DEFAULT false)
	RETURNS TABLE (rank int, item text, contribution real)
AS 'MODULE_PATHNAME', 'tagrec_explain_items'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain_items(text, text, "any", bigint, int, boolean) IS
	'items of the user that contribute most to a score; a last row, without item, has the rest of it';

CREATE OR REPLACE FUNCTION tagrec_explain_items(model text, user_id "any", item_id text, n bigint DEFAULT 10,
		version int DEFAULT NULL, fresh boolean DEFAULT false)
	RETURNS TABLE (rank int, item text, contribution real)
AS 'MODULE_PATHNAME', 'tagrec_explain_items'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain_items(text, "any", text, bigint, int, boolean) IS
	'items of the user that contribute most to a score; a last row, without item, has the rest of it';

CREATE OR REPLACE FUNCTION tagrec_explain_items(model text, user_id "any", item_id "any", n bigint DEFAULT 10,
		version int DEFAULT NULL, fresh boolean DEFAULT false)
	RETURNS TABLE (rank int, item text, contribution real)
AS 'MODULE_PATHNAME', 'tagrec_explain_items'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain_items(text, "any", "any", bigint, int, boolean) IS
	'items of the user that contribute most to a score; a last row, without item, has the rest of it';

ALTER FUNCTION tagrec_recommend_for_items SUPPORT tagrec_planner_support;
ALTER FUNCTION tagrec_recommend_for_items_as SUPPORT tagrec_planner_support;
ALTER FUNCTION tagrec_recommend_users SUPPORT tagrec_planner_support;
ALTER FUNCTION tagrec_recommend_users_as SUPPORT tagrec_planner_support;
