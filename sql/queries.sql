-- ---------------------------------------------------------------------------------------------------------------------
-- queries: recommendations, similarity, encoding, explanation
-- ---------------------------------------------------------------------------------------------------------------------

-- An id may be of any type: anycompatible takes untyped literals and parameters as text, and everything else as it is. Where a
-- function takes two ids, there are overloads on text and on "any" instead; they call the same C function, which looks at the
-- actual types. "n" is a bigint, so that it may be given as any integer.
--
-- The arguments from "candidates" to "version" are the same for all functions that rank: make takes them from rules.sql.
-- A function with _as returns keys of the type of its first argument, whose value is ignored: NULL::bigint.

CREATE OR REPLACE FUNCTION tagrec_recommend(model text, user_id anycompatible,
		n bigint DEFAULT 10, exclude_seen boolean DEFAULT true,
		@rules@, fresh boolean DEFAULT false,
		fallback text DEFAULT NULL)
	RETURNS TABLE (rank int, item text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_2'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend IS
	'top n items for a user, by default without those the user has; only candidates, if given';

CREATE OR REPLACE FUNCTION tagrec_recommend_as(item_type anyelement, model text, user_id anycompatible,
		n bigint DEFAULT 10, exclude_seen boolean DEFAULT true,
		@rules@, fresh boolean DEFAULT false,
		fallback text DEFAULT NULL)
	RETURNS TABLE (rank int, item anyelement, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_as_2'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_as IS
	'top n items for a user, with item ids of the type of the first argument: tagrec_recommend_as(NULL::bigint, ...)';

CREATE OR REPLACE FUNCTION tagrec_recommend_all(model text,
		n bigint DEFAULT 10, exclude_seen boolean DEFAULT true,
		@rules@)
	RETURNS TABLE (user_id text, rank int, item text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_all_2'
LANGUAGE C STABLE PARALLEL SAFE COST 1000000 ROWS 10000;
COMMENT ON FUNCTION tagrec_recommend_all IS
	'top n items for every user, in one pass';

CREATE OR REPLACE FUNCTION tagrec_recommend_all_as(user_type anyelement, item_type anycompatible, model text,
		n bigint DEFAULT 10, exclude_seen boolean DEFAULT true,
		@rules@)
	RETURNS TABLE (user_id anyelement, rank int, item anycompatible, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_all_as'
LANGUAGE C STABLE PARALLEL SAFE COST 1000000 ROWS 10000;
COMMENT ON FUNCTION tagrec_recommend_all_as IS
	'top n items for every user, with ids of the types of the first two arguments';

CREATE OR REPLACE FUNCTION tagrec_recommend_for_tags(model text, tags text[], weights float8[] DEFAULT NULL,
		n bigint DEFAULT 10,
		@rules@, fallback text DEFAULT NULL)
	RETURNS TABLE (rank int, item text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_for_tags_2'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_for_tags IS
	'top n items for a new user described by tags; weights are the numbers of times each tag was given';

CREATE OR REPLACE FUNCTION tagrec_recommend_for_tags_as(item_type anyelement, model text, tags text[], weights float8[] DEFAULT NULL,
		n bigint DEFAULT 10,
		@rules@, fallback text DEFAULT NULL)
	RETURNS TABLE (rank int, item anyelement, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_for_tags_as'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_for_tags_as IS
	'top n items for a new user described by tags, with item ids of the type of the first argument';

-- Tags for a post, from what the model knows about the user, the item and the tags that the post already has.

CREATE OR REPLACE FUNCTION tagrec_recommend_tags(model text, user_id text, item_id text, n bigint DEFAULT 10,
		given text[] DEFAULT NULL, exclude_given boolean DEFAULT true,
		candidates tagrec_ids DEFAULT 'all', exclude tagrec_ids DEFAULT '{}', version int DEFAULT NULL)
	RETURNS TABLE (rank int, tag text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_tags_2'
LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_tags(text, text, text, bigint, text[], boolean, tagrec_ids, tagrec_ids, int) IS
	'top n tags for a post of a user and an item, by default without the tags it has: those given, or those in the training data';

CREATE OR REPLACE FUNCTION tagrec_recommend_tags(model text, user_id text, item_id "any", n bigint DEFAULT 10,
		given text[] DEFAULT NULL, exclude_given boolean DEFAULT true,
		candidates tagrec_ids DEFAULT 'all', exclude tagrec_ids DEFAULT '{}', version int DEFAULT NULL)
	RETURNS TABLE (rank int, tag text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_tags_2'
LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_tags(text, text, "any", bigint, text[], boolean, tagrec_ids, tagrec_ids, int) IS
	'top n tags for a post of a user and an item, by default without the tags it has: those given, or those in the training data';

CREATE OR REPLACE FUNCTION tagrec_recommend_tags(model text, user_id "any", item_id text, n bigint DEFAULT 10,
		given text[] DEFAULT NULL, exclude_given boolean DEFAULT true,
		candidates tagrec_ids DEFAULT 'all', exclude tagrec_ids DEFAULT '{}', version int DEFAULT NULL)
	RETURNS TABLE (rank int, tag text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_tags_2'
LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_tags(text, "any", text, bigint, text[], boolean, tagrec_ids, tagrec_ids, int) IS
	'top n tags for a post of a user and an item, by default without the tags it has: those given, or those in the training data';

CREATE OR REPLACE FUNCTION tagrec_recommend_tags(model text, user_id "any", item_id "any", n bigint DEFAULT 10,
		given text[] DEFAULT NULL, exclude_given boolean DEFAULT true,
		candidates tagrec_ids DEFAULT 'all', exclude tagrec_ids DEFAULT '{}', version int DEFAULT NULL)
	RETURNS TABLE (rank int, tag text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_tags_2'
LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_tags(text, "any", "any", bigint, text[], boolean, tagrec_ids, tagrec_ids, int) IS
	'top n tags for a post of a user and an item, by default without the tags it has: those given, or those in the training data';

CREATE OR REPLACE FUNCTION tagrec_embed(model text, tags text[], weights float8[] DEFAULT NULL, version int DEFAULT NULL)
	RETURNS real[]
AS 'MODULE_PATHNAME', 'tagrec_embed_2'
LANGUAGE C STABLE PARALLEL SAFE COST 15000;
COMMENT ON FUNCTION tagrec_embed(text, text[], float8[], int) IS
	'embedding of a user with these tags, computed by the trained network; its inner products with the items'' embeddings are scores';

CREATE OR REPLACE FUNCTION tagrec_similar_items(model text, item_id anycompatible, n bigint DEFAULT 10,
		@rules@)
	RETURNS TABLE (rank int, item text, score real)
AS 'MODULE_PATHNAME', 'tagrec_similar_items_2'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_similar_items IS
	'n items most similar to an item, by cosine of their embeddings; in a model without embeddings, its strongest stored neighbours';

CREATE OR REPLACE FUNCTION tagrec_similar_items_as(item_type anyelement, model text, item_id anycompatible, n bigint DEFAULT 10,
		@rules@)
	RETURNS TABLE (rank int, item anyelement, score real)
AS 'MODULE_PATHNAME', 'tagrec_similar_items_as'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_similar_items_as IS
	'the same as tagrec_similar_items, with ids of the type of the first argument';

CREATE OR REPLACE FUNCTION tagrec_similar_users(model text, user_id anycompatible, n bigint DEFAULT 10,
		@rules@)
	RETURNS TABLE (rank int, user_id text, score real)
AS 'MODULE_PATHNAME', 'tagrec_similar_users_2'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_similar_users IS
	'n users most similar to a user, by cosine of their embeddings; in a model without embeddings, the user''s nearest neighbours';

CREATE OR REPLACE FUNCTION tagrec_similar_users_as(user_type anyelement, model text, user_id anycompatible, n bigint DEFAULT 10,
		@rules@)
	RETURNS TABLE (rank int, user_id anyelement, score real)
AS 'MODULE_PATHNAME', 'tagrec_similar_users_as'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_similar_users_as IS
	'the same as tagrec_similar_users, with ids of the type of the first argument';

CREATE OR REPLACE FUNCTION tagrec_score(model text, user_id text, item_id text, version int DEFAULT NULL,
		fresh boolean DEFAULT false)
	RETURNS real
AS 'MODULE_PATHNAME', 'tagrec_score_2'
LANGUAGE C STABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION tagrec_score(text, text, text, int, boolean) IS
	'score of an item for a user; NULL if the model does not know both';

CREATE OR REPLACE FUNCTION tagrec_score(model text, user_id text, item_id "any", version int DEFAULT NULL,
		fresh boolean DEFAULT false)
	RETURNS real
AS 'MODULE_PATHNAME', 'tagrec_score_2'
LANGUAGE C STABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION tagrec_score(text, text, "any", int, boolean) IS
	'score of an item for a user; NULL if the model does not know both';

CREATE OR REPLACE FUNCTION tagrec_score(model text, user_id "any", item_id text, version int DEFAULT NULL,
		fresh boolean DEFAULT false)
	RETURNS real
AS 'MODULE_PATHNAME', 'tagrec_score_2'
LANGUAGE C STABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION tagrec_score(text, "any", text, int, boolean) IS
	'score of an item for a user; NULL if the model does not know both';

CREATE OR REPLACE FUNCTION tagrec_score(model text, user_id "any", item_id "any", version int DEFAULT NULL,
		fresh boolean DEFAULT false)
	RETURNS real
AS 'MODULE_PATHNAME', 'tagrec_score_2'
LANGUAGE C STABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION tagrec_score(text, "any", "any", int, boolean) IS
	'score of an item for a user; NULL if the model does not know both';

CREATE OR REPLACE FUNCTION tagrec_predict(model text, user_id text, item_id text, version int DEFAULT NULL)
	RETURNS real
AS 'MODULE_PATHNAME', 'tagrec_predict'
LANGUAGE C STABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION tagrec_predict(text, text, text, int) IS
	'predicted value of an item for a user, for the task rating; of a user or an item that the model does not know, by what is known of the other';

CREATE OR REPLACE FUNCTION tagrec_predict(model text, user_id text, item_id "any", version int DEFAULT NULL)
	RETURNS real
AS 'MODULE_PATHNAME', 'tagrec_predict'
LANGUAGE C STABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION tagrec_predict(text, text, "any", int) IS
	'predicted value of an item for a user, for the task rating; of a user or an item that the model does not know, by what is known of the other';

CREATE OR REPLACE FUNCTION tagrec_predict(model text, user_id "any", item_id text, version int DEFAULT NULL)
	RETURNS real
AS 'MODULE_PATHNAME', 'tagrec_predict'
LANGUAGE C STABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION tagrec_predict(text, "any", text, int) IS
	'predicted value of an item for a user, for the task rating; of a user or an item that the model does not know, by what is known of the other';

CREATE OR REPLACE FUNCTION tagrec_predict(model text, user_id "any", item_id "any", version int DEFAULT NULL)
	RETURNS real
AS 'MODULE_PATHNAME', 'tagrec_predict'
LANGUAGE C STABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION tagrec_predict(text, "any", "any", int) IS
	'predicted value of an item for a user, for the task rating; of a user or an item that the model does not know, by what is known of the other';

CREATE OR REPLACE FUNCTION tagrec_explain(model text, user_id text, item_id text, n bigint DEFAULT 10)
	RETURNS TABLE (rank int, tag text, contribution real, user_count real, item_count real)
AS 'MODULE_PATHNAME', 'tagrec_explain_2'
LANGUAGE C STABLE PARALLEL SAFE COST 1000000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain(text, text, text, bigint) IS
	'tags that contribute most to a score: how much lower it would be without each';

CREATE OR REPLACE FUNCTION tagrec_explain(model text, user_id text, item_id "any", n bigint DEFAULT 10)
	RETURNS TABLE (rank int, tag text, contribution real, user_count real, item_count real)
AS 'MODULE_PATHNAME', 'tagrec_explain_2'
LANGUAGE C STABLE PARALLEL SAFE COST 1000000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain(text, text, "any", bigint) IS
	'tags that contribute most to a score: how much lower it would be without each';

CREATE OR REPLACE FUNCTION tagrec_explain(model text, user_id "any", item_id text, n bigint DEFAULT 10)
	RETURNS TABLE (rank int, tag text, contribution real, user_count real, item_count real)
AS 'MODULE_PATHNAME', 'tagrec_explain_2'
LANGUAGE C STABLE PARALLEL SAFE COST 1000000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain(text, "any", text, bigint) IS
	'tags that contribute most to a score: how much lower it would be without each';

CREATE OR REPLACE FUNCTION tagrec_explain(model text, user_id "any", item_id "any", n bigint DEFAULT 10)
	RETURNS TABLE (rank int, tag text, contribution real, user_count real, item_count real)
AS 'MODULE_PATHNAME', 'tagrec_explain_2'
LANGUAGE C STABLE PARALLEL SAFE COST 1000000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain(text, "any", "any", bigint) IS
	'tags that contribute most to a score: how much lower it would be without each';

CREATE OR REPLACE FUNCTION tagrec_feature_tags(model text, feature int, n bigint DEFAULT 10, version int DEFAULT NULL)
	RETURNS TABLE (rank int, tag text, activation real)
AS 'MODULE_PATHNAME', 'tagrec_feature_tags_2'
LANGUAGE C STABLE PARALLEL SAFE COST 10000000 ROWS 10;
COMMENT ON FUNCTION tagrec_feature_tags(text, int, bigint, int) IS
	'tags that change a feature of the embedding most';

CREATE OR REPLACE FUNCTION tagrec_topics(model text, topics int DEFAULT 12, n bigint DEFAULT 8, version int DEFAULT NULL)
	RETURNS TABLE (topic int, sharpness real, tags text[])
AS 'MODULE_PATHNAME', 'tagrec_topics'
LANGUAGE C STABLE PARALLEL SAFE COST 10000000 ROWS 12;
COMMENT ON FUNCTION tagrec_topics(text, int, bigint, int) IS
	'directions of the embedding that tags share, the sharpest first, and the tags that lie along each';

CREATE OR REPLACE FUNCTION tagrec_warm(model text) RETURNS bigint
AS 'MODULE_PATHNAME', 'tagrec_warm'
LANGUAGE C VOLATILE PARALLEL SAFE COST 100000;
COMMENT ON FUNCTION tagrec_warm(text) IS
	'reads what the first query of a model would read, and makes the files that sessions share; their bytes';

-- Inside the views of neighbours: see src/pg/store/neighbour_view.c.
CREATE OR REPLACE FUNCTION tagrec_neighbour_entries(items int[], weights real[]) RETURNS TABLE (item int, weight real)
AS 'MODULE_PATHNAME', 'tagrec_neighbour_entries' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20 ROWS 200;
COMMENT ON FUNCTION tagrec_neighbour_entries(int[], real[]) IS 'used by the views of neighbours: the items of a row with their weights';
CREATE OR REPLACE FUNCTION tagrec_ascending_has(numbers int[], number int) RETURNS boolean
AS 'MODULE_PATHNAME', 'tagrec_ascending_has' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION tagrec_ascending_has(int[], int) IS 'used by the views of neighbours: whether an ascending array contains a number';

-- ---------------------------------------------------------------------------------------------------------------------
-- queries: what the planner knows of them
-- ---------------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tagrec_planner_support(internal) RETURNS internal
AS 'MODULE_PATHNAME', 'tagrec_planner_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION tagrec_planner_support(internal) IS 'used by the planner: a list has as many rows as n says';

ALTER FUNCTION tagrec_recommend SUPPORT tagrec_planner_support;
ALTER FUNCTION tagrec_recommend_as SUPPORT tagrec_planner_support;
ALTER FUNCTION tagrec_recommend_all SUPPORT tagrec_planner_support;
ALTER FUNCTION tagrec_recommend_all_as SUPPORT tagrec_planner_support;
ALTER FUNCTION tagrec_recommend_for_tags SUPPORT tagrec_planner_support;
ALTER FUNCTION tagrec_recommend_for_tags_as SUPPORT tagrec_planner_support;
ALTER FUNCTION tagrec_similar_items SUPPORT tagrec_planner_support;
ALTER FUNCTION tagrec_similar_items_as SUPPORT tagrec_planner_support;
ALTER FUNCTION tagrec_similar_users SUPPORT tagrec_planner_support;
ALTER FUNCTION tagrec_similar_users_as SUPPORT tagrec_planner_support;
