-- ---------------------------------------------------------------------------------------------------------------------
-- queries for users who may be new, and about users
-- ---------------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tagrec_recommend_for_items(model text, items anycompatiblearray, weights float8[] DEFAULT NULL,
		tags text[] DEFAULT NULL, tag_weights float8[] DEFAULT NULL, n int DEFAULT 10,
		exclude_given boolean DEFAULT true, candidates text[] DEFAULT NULL)
	RETURNS TABLE (rank int, item text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_for_items'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_for_items(text, anycompatiblearray, float8[], text[], float8[], int, boolean, text[]) IS
	'top n items for a user with these items, and perhaps tags; by default without the items themselves';

CREATE OR REPLACE FUNCTION tagrec_recommend_users(model text, item_id anycompatible, n int DEFAULT 10,
		exclude_seen boolean DEFAULT true, candidates text[] DEFAULT NULL)
	RETURNS TABLE (rank int, user_id text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_users'
LANGUAGE C STABLE PARALLEL SAFE COST 100000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_users(text, anycompatible, int, boolean, text[]) IS
	'top n users for an item, by default without those who have it; only candidates, if given';

CREATE OR REPLACE FUNCTION tagrec_explain_items(model text, user_id text, item_id text, n int DEFAULT 10,
		fresh boolean DEFAULT false)
	RETURNS TABLE (rank int, item text, contribution real)
AS 'MODULE_PATHNAME', 'tagrec_explain_items'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain_items(text, text, text, int, boolean) IS
	'items of the user that contribute most to a score; a last row, without item, has the rest of it';

CREATE OR REPLACE FUNCTION tagrec_explain_items(model text, user_id text, item_id "any", n int DEFAULT 10,
		fresh boolean DEFAULT false)
	RETURNS TABLE (rank int, item text, contribution real)
AS 'MODULE_PATHNAME', 'tagrec_explain_items'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain_items(text, text, "any", int, boolean) IS
	'items of the user that contribute most to a score; a last row, without item, has the rest of it';

CREATE OR REPLACE FUNCTION tagrec_explain_items(model text, user_id "any", item_id text, n int DEFAULT 10,
		fresh boolean DEFAULT false)
	RETURNS TABLE (rank int, item text, contribution real)
AS 'MODULE_PATHNAME', 'tagrec_explain_items'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain_items(text, "any", text, int, boolean) IS
	'items of the user that contribute most to a score; a last row, without item, has the rest of it';

CREATE OR REPLACE FUNCTION tagrec_explain_items(model text, user_id "any", item_id "any", n int DEFAULT 10,
		fresh boolean DEFAULT false)
	RETURNS TABLE (rank int, item text, contribution real)
AS 'MODULE_PATHNAME', 'tagrec_explain_items'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain_items(text, "any", "any", int, boolean) IS
	'items of the user that contribute most to a score; a last row, without item, has the rest of it';
