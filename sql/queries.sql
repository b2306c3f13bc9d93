-- ---------------------------------------------------------------------------------------------------------------------
-- queries: recommendations, similarity, encoding, explanation
-- ---------------------------------------------------------------------------------------------------------------------

-- An id may be of any type. The overloads on text accept untyped literals and parameters, those on "any" the rest; both call
-- the same C function, which looks at the actual type.

CREATE OR REPLACE FUNCTION tagrec_recommend(model text, user_id text,
		n int DEFAULT 10, exclude_seen boolean DEFAULT true, candidates text[] DEFAULT NULL)
	RETURNS TABLE (rank int, item text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend(text, text, int, boolean, text[]) IS
	'top n items for a user, by default without those the user has; only candidates, if given';

CREATE OR REPLACE FUNCTION tagrec_recommend(model text, user_id "any",
		n int DEFAULT 10, exclude_seen boolean DEFAULT true, candidates text[] DEFAULT NULL)
	RETURNS TABLE (rank int, item text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend(text, "any", int, boolean, text[]) IS
	'top n items for a user, by default without those the user has; only candidates, if given';

-- The same with item ids of the type of item_type, whose value is ignored: NULL::bigint.

CREATE OR REPLACE FUNCTION tagrec_recommend_as(item_type anyelement, model text, user_id text,
		n int DEFAULT 10, exclude_seen boolean DEFAULT true, candidates text[] DEFAULT NULL)
	RETURNS TABLE (rank int, item anyelement, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_as'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_as(anyelement, text, text, int, boolean, text[]) IS
	'top n items for a user, with item ids of the type of the first argument: tagrec_recommend_as(NULL::bigint, ...)';

CREATE OR REPLACE FUNCTION tagrec_recommend_as(item_type anyelement, model text, user_id "any",
		n int DEFAULT 10, exclude_seen boolean DEFAULT true, candidates text[] DEFAULT NULL)
	RETURNS TABLE (rank int, item anyelement, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_as'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_as(anyelement, text, "any", int, boolean, text[]) IS
	'top n items for a user, with item ids of the type of the first argument: tagrec_recommend_as(NULL::bigint, ...)';

CREATE OR REPLACE FUNCTION tagrec_recommend_all(model text, n int DEFAULT 10, exclude_seen boolean DEFAULT true)
	RETURNS TABLE (user_id text, rank int, item text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_all'
LANGUAGE C STABLE PARALLEL SAFE COST 1000000 ROWS 10000;
COMMENT ON FUNCTION tagrec_recommend_all(text, int, boolean) IS
	'top n items for every user, in one pass';

CREATE OR REPLACE FUNCTION tagrec_recommend_for_tags(model text, tags text[], weights real[] DEFAULT NULL,
		n int DEFAULT 10, candidates text[] DEFAULT NULL)
	RETURNS TABLE (rank int, item text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_for_tags'
LANGUAGE C STABLE PARALLEL SAFE COST 20000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_for_tags(text, text[], real[], int, text[]) IS
	'top n items for a new user described by tags; weights are the numbers of times each tag was given';

-- Tags for a post, from what the model knows about the user, the item and the tags that the post already has.

CREATE OR REPLACE FUNCTION tagrec_recommend_tags(model text, user_id text, item_id text, n int DEFAULT 10,
		given text[] DEFAULT NULL, exclude_given boolean DEFAULT true)
	RETURNS TABLE (rank int, tag text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_tags'
LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_tags(text, text, text, int, text[], boolean) IS
	'top n tags for a post of a user and an item, by default without the tags it has: those given, or those in the training data';

CREATE OR REPLACE FUNCTION tagrec_recommend_tags(model text, user_id text, item_id "any", n int DEFAULT 10,
		given text[] DEFAULT NULL, exclude_given boolean DEFAULT true)
	RETURNS TABLE (rank int, tag text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_tags'
LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_tags(text, text, "any", int, text[], boolean) IS
	'top n tags for a post of a user and an item, by default without the tags it has: those given, or those in the training data';

CREATE OR REPLACE FUNCTION tagrec_recommend_tags(model text, user_id "any", item_id text, n int DEFAULT 10,
		given text[] DEFAULT NULL, exclude_given boolean DEFAULT true)
	RETURNS TABLE (rank int, tag text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_tags'
LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_tags(text, "any", text, int, text[], boolean) IS
	'top n tags for a post of a user and an item, by default without the tags it has: those given, or those in the training data';

CREATE OR REPLACE FUNCTION tagrec_recommend_tags(model text, user_id "any", item_id "any", n int DEFAULT 10,
		given text[] DEFAULT NULL, exclude_given boolean DEFAULT true)
	RETURNS TABLE (rank int, tag text, score real)
AS 'MODULE_PATHNAME', 'tagrec_recommend_tags'
LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION tagrec_recommend_tags(text, "any", "any", int, text[], boolean) IS
	'top n tags for a post of a user and an item, by default without the tags it has: those given, or those in the training data';

CREATE OR REPLACE FUNCTION tagrec_embed(model text, tags text[], weights real[] DEFAULT NULL)
	RETURNS real[]
AS 'MODULE_PATHNAME', 'tagrec_embed'
LANGUAGE C STABLE PARALLEL SAFE COST 15000;
COMMENT ON FUNCTION tagrec_embed(text, text[], real[]) IS
	'embedding of a user with these tags, computed by the trained network; its inner products with the items'' embeddings are scores';

CREATE OR REPLACE FUNCTION tagrec_similar_items(model text, item_id text, n int DEFAULT 10)
	RETURNS TABLE (rank int, item text, score real)
AS 'MODULE_PATHNAME', 'tagrec_similar_items'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_similar_items(text, text, int) IS
	'n items most similar to an item, by cosine of their embeddings; in a model without embeddings, its strongest stored neighbours';

CREATE OR REPLACE FUNCTION tagrec_similar_items(model text, item_id "any", n int DEFAULT 10)
	RETURNS TABLE (rank int, item text, score real)
AS 'MODULE_PATHNAME', 'tagrec_similar_items'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_similar_items(text, "any", int) IS
	'n items most similar to an item, by cosine of their embeddings; in a model without embeddings, its strongest stored neighbours';

CREATE OR REPLACE FUNCTION tagrec_similar_users(model text, user_id text, n int DEFAULT 10)
	RETURNS TABLE (rank int, user_id text, score real)
AS 'MODULE_PATHNAME', 'tagrec_similar_users'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_similar_users(text, text, int) IS
	'n users most similar to a user, by cosine of their embeddings; in a model without embeddings, the user''s nearest neighbours';

CREATE OR REPLACE FUNCTION tagrec_similar_users(model text, user_id "any", n int DEFAULT 10)
	RETURNS TABLE (rank int, user_id text, score real)
AS 'MODULE_PATHNAME', 'tagrec_similar_users'
LANGUAGE C STABLE PARALLEL SAFE COST 5000 ROWS 10;
COMMENT ON FUNCTION tagrec_similar_users(text, "any", int) IS
	'n users most similar to a user, by cosine of their embeddings; in a model without embeddings, the user''s nearest neighbours';

CREATE OR REPLACE FUNCTION tagrec_score(model text, user_id text, item_id text)
	RETURNS real
AS 'MODULE_PATHNAME', 'tagrec_score'
LANGUAGE C STABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION tagrec_score(text, text, text) IS
	'score of an item for a user; NULL if the model does not know both';

CREATE OR REPLACE FUNCTION tagrec_score(model text, user_id text, item_id "any")
	RETURNS real
AS 'MODULE_PATHNAME', 'tagrec_score'
LANGUAGE C STABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION tagrec_score(text, text, "any") IS
	'score of an item for a user; NULL if the model does not know both';

CREATE OR REPLACE FUNCTION tagrec_score(model text, user_id "any", item_id text)
	RETURNS real
AS 'MODULE_PATHNAME', 'tagrec_score'
LANGUAGE C STABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION tagrec_score(text, "any", text) IS
	'score of an item for a user; NULL if the model does not know both';

CREATE OR REPLACE FUNCTION tagrec_score(model text, user_id "any", item_id "any")
	RETURNS real
AS 'MODULE_PATHNAME', 'tagrec_score'
LANGUAGE C STABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION tagrec_score(text, "any", "any") IS
	'score of an item for a user; NULL if the model does not know both';

CREATE OR REPLACE FUNCTION tagrec_explain(model text, user_id text, item_id text, n int DEFAULT 10)
	RETURNS TABLE (rank int, tag text, contribution real, user_count real, item_count real)
AS 'MODULE_PATHNAME', 'tagrec_explain'
LANGUAGE C STABLE PARALLEL SAFE COST 1000000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain(text, text, text, int) IS
	'tags that contribute most to a score: how much lower it would be without each';

CREATE OR REPLACE FUNCTION tagrec_explain(model text, user_id text, item_id "any", n int DEFAULT 10)
	RETURNS TABLE (rank int, tag text, contribution real, user_count real, item_count real)
AS 'MODULE_PATHNAME', 'tagrec_explain'
LANGUAGE C STABLE PARALLEL SAFE COST 1000000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain(text, text, "any", int) IS
	'tags that contribute most to a score: how much lower it would be without each';

CREATE OR REPLACE FUNCTION tagrec_explain(model text, user_id "any", item_id text, n int DEFAULT 10)
	RETURNS TABLE (rank int, tag text, contribution real, user_count real, item_count real)
AS 'MODULE_PATHNAME', 'tagrec_explain'
LANGUAGE C STABLE PARALLEL SAFE COST 1000000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain(text, "any", text, int) IS
	'tags that contribute most to a score: how much lower it would be without each';

CREATE OR REPLACE FUNCTION tagrec_explain(model text, user_id "any", item_id "any", n int DEFAULT 10)
	RETURNS TABLE (rank int, tag text, contribution real, user_count real, item_count real)
AS 'MODULE_PATHNAME', 'tagrec_explain'
LANGUAGE C STABLE PARALLEL SAFE COST 1000000 ROWS 10;
COMMENT ON FUNCTION tagrec_explain(text, "any", "any", int) IS
	'tags that contribute most to a score: how much lower it would be without each';

CREATE OR REPLACE FUNCTION tagrec_feature_tags(model text, feature int, n int DEFAULT 10)
	RETURNS TABLE (rank int, tag text, activation real)
AS 'MODULE_PATHNAME', 'tagrec_feature_tags'
LANGUAGE C STABLE PARALLEL SAFE COST 10000000 ROWS 10;
COMMENT ON FUNCTION tagrec_feature_tags(text, int, int) IS
	'tags that change a feature of the embedding most';

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
