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
