# Who may train from what, and what others may do with it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Roles;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('privileges');
$node->init;
$node->start;

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE ROLE ann LOGIN;
	CREATE ROLE ben LOGIN;
	CREATE ROLE team NOLOGIN;
	CREATE ROLE member LOGIN IN ROLE team;
	CREATE ROLE nologin NOLOGIN;
	GRANT ann TO member;
	GRANT nologin TO ann;
	CREATE SCHEMA ann AUTHORIZATION ann;
	CREATE SCHEMA ben AUTHORIZATION ben;
	CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag,
			'secret' AS secret
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
	GRANT SELECT (user_id, item_id, tag) ON a TO ann;
	CREATE TABLE secured AS SELECT user_id, item_id, tag FROM a;
	ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON secured FOR SELECT TO ann USING (user_id <= 30);
	GRANT SELECT ON secured TO ann, ben;
});

roles_of($node, 'postgres');

# ---------------------------------------------------------------- reading the source

works('ann', q{SELECT tagrec_train('m', 'a', 'popularity')}, 'SELECT on the three columns is enough to train');
is($node->safe_psql('postgres', q{SELECT owner FROM tagrec_models WHERE model = 'm'}), 'ann', 'the model is its trainer\'s');
is( $node->safe_psql(
		'postgres', q{SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname ~ '^m_(user|item|tag|weight|neighbour)'}),
	'ann', '... with all its relations');
is($node->safe_psql('postgres', q{SELECT schema FROM tagrec_models WHERE model = 'm'}),
	'ann', '... in the schema that was current');
refused('ben', q{SELECT tagrec_train('b', 'a', 'popularity')}, qr/permission denied for column "user_id" of relation "a"/,
	'without SELECT nobody trains');
refused('ann', q{SELECT tagrec_train('b', 'a', 'popularity', tag_column => 'secret')},
	qr/permission denied for column "secret"/, '... nor from another column');
is($node->safe_psql('postgres', 'SELECT count(*) FROM tagrec_jobs'), '1', 'a refused training makes no job');

works('ann', q{SELECT tagrec_train('secured', 'secured', 'popularity')}, 'a table with row security');
is($node->safe_psql('postgres', q{SELECT users FROM tagrec_versions WHERE model = 'secured'}),
	'30', '... gives the rows that the role sees');
refused('ben', q{SELECT tagrec_train('b', 'secured', 'popularity')}, qr/ERROR:  public.secured has no rows/,
	'... and no others');
$node->safe_psql('postgres', q{
	CREATE FUNCTION ann.train() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS
		$$SELECT tagrec_train('definer', 'secured', 'popularity')$$;
	ALTER FUNCTION ann.train() OWNER TO ann;
	GRANT USAGE ON SCHEMA ann TO ben});
works('ben', q{SELECT ann.train()}, 'in a SECURITY DEFINER function the definer\'s rights count');
is($node->safe_psql('postgres', q{SELECT owner || users FROM tagrec_models WHERE model = 'definer'}),
	'ann30', '... and the worker reads and owns as the definer');

# ---------------------------------------------------------------- who may train at all

SKIP:
{
	skip 'workers may run as any role', 1 if $node->pg_version >= 17;
	refused('ann', q{SET ROLE nologin; SELECT tagrec_train('b', 'a', 'popularity')},
		qr/permission denied|role "nologin" cannot train because it is not permitted to log in/, 'a role that may not log in cannot train');
}
refused('ann', q{SELECT tagrec_train('b', 'a', 'popularity', '{"schema": "ben"}')}, qr/permission denied for schema ben/,
	'a model goes where its trainer may create relations');
refused('ben', q{SELECT tagrec_train('m', 'secured', 'popularity')}, qr/must be owner of model "m"/,
	'only the owner trains a model again');

# ---------------------------------------------------------------- other roles

refused('ben', q{SELECT tagrec_drop('m')}, qr/must be owner of model "m"/, 'only the owner drops a model');
refused('ben', q{SELECT tagrec_deploy('m', 1)}, qr/must be owner of model "m"/, '... or deploys a version');
refused('ben', q{SELECT tagrec_rollback('m')}, qr/must be owner of model "m"/, '... or goes back to one');
refused('ben', q{SELECT tagrec_refresh('m')}, qr/must be owner of model "m"/, '... or refreshes it');
refused('ben', q{SELECT * FROM tagrec_recommend('m', 1)}, qr/permission denied for model "m"/,
	'a model is private at first');
works('ann', q{GRANT SELECT ON m_item_embedding TO ben}, 'SELECT on the item embeddings');
works('ben', q{SELECT * FROM tagrec_recommend('m', 1)}, '... is the right to use it');
works('ann', q{SELECT tagrec_train('tags', 'a', 'tag_product')}, 'a model that recommends tags');
works('ben', q{CREATE TABLE ben.test AS SELECT 1 AS user_id, 'i8'::text AS item_id, 't3'::text AS tag}, 'a test of somebody else\'s');
my %asked = (
	tagrec_recommend_tags => q{SELECT * FROM tagrec_recommend_tags('tags', 1, 'i8', 3)},
	tagrec_evaluate => q{SELECT * FROM tagrec_evaluate('tags', 'ben.test', exclude_seen => false)},
	tagrec_compare => q{SELECT * FROM tagrec_compare('{m,tags}', 'ben.test')});
refused('ben', $asked{$_}, qr/permission denied for model "tags"/, "$_: the model is private at first") for sort keys %asked;
works('ann', q{GRANT SELECT ON tags_item_embedding TO ben}, 'SELECT on its item relation');
works('ben', $asked{tagrec_recommend_tags}, '... is the right to ask for tags, and to have the posts looked up');
works('ben', $asked{tagrec_evaluate}, '... and to measure them on a relation of one\'s own');
refused('ben', q{SELECT * FROM tagrec_evaluate('tags', 'a')}, qr/permission denied for column "user_id" of relation "a"/, '... but not on any');
refused('ben', q{SELECT * FROM ann.tags_user_versions}, qr/permission denied for table tags_user_versions/, '... nor to read the posts');
refused('ben', q{DELETE FROM tagrec_model}, qr/permission denied for table tagrec_model/, 'nobody writes to the registry');
refused('ben', q{SELECT * FROM tagrec_job_error}, qr/permission denied for table tagrec_job_error/,
	'... or reads others\' errors');

my $job = works('ann', q{SELECT tagrec_train('long', 'a', 'hdlpr_ns', '{"epochs": 100000, "batch": 16}', wait => false)},
	'a job');
$node->poll_query_until('postgres', "SELECT state = 'running' FROM tagrec_jobs WHERE job = $job");
refused('ben', "SELECT tagrec_cancel($job)", qr/permission denied for job $job/, 'other roles cannot cancel it');
is($node->safe_psql('postgres', "SELECT state FROM tagrec_jobs WHERE job = $job"), 'running', '... it goes on');
works('member', "SELECT tagrec_cancel($job)", 'a member of the role can');
ok($node->poll_query_until('postgres', "SELECT state = 'cancelled' FROM tagrec_jobs WHERE job = $job"), '... it ends');

# a job that fails on a value that others may not see
$node->safe_psql(
	'postgres', q{
	CREATE VIEW broken AS SELECT user_id, item_id, (secret || tag)::int AS tag FROM a;
	GRANT SELECT ON broken TO ann});
$job = works('ann', q{SELECT tagrec_train('broken', 'broken', 'popularity', wait => false)}, 'a job that will fail');
ok($node->poll_query_until('postgres', "SELECT state = 'failed' FROM tagrec_jobs WHERE job = $job"), '... fails');
is($node->safe_psql('postgres', "SELECT sqlstate FROM tagrec_jobs WHERE job = $job"), '22P02', '... with its SQLSTATE');
like(works('ann', "SELECT message FROM tagrec_jobs WHERE job = $job", 'its role'), qr/secret/, '... sees the message');
is(works('ben', "SELECT count(*) FROM tagrec_jobs WHERE job = $job", 'another role'), '0', '... does not even see the job');
refused('ann', "CALL tagrec_wait($job)", qr/ERROR:  invalid input syntax for type integer: "secret/,
	'waiting for it raises its error');
my ($ret, $stdout, $stderr) = as('ben', "CALL tagrec_wait($job)");
like($stderr, qr/ERROR:  job $job failed/, '... for another role without the message');
unlike($stderr, qr/secret/, '... or the data in it');

# ---------------------------------------------------------------- a member of the owning role trains

$node->safe_psql('postgres', q{GRANT SELECT ON a TO member});
works('member', q{SET search_path = ann, public; SELECT tagrec_train('m', 'a', 'popularity')},
	'a member of the owning role trains a new version');
is( $node->safe_psql(
		'postgres', q{SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname ~ '^m_(user|item|tag|weight|neighbour)'}),
	'ann', '... which belongs to the owner like the others');
works('ben', q{SELECT * FROM tagrec_recommend('m', 1)}, '... and is used as before');

# ---------------------------------------------------------------- what others have put in the way

$node->safe_psql(
	'postgres', q{
	DO $do$
	DECLARE
		type text;
		operator text;
	BEGIN
		FOREACH type IN ARRAY '{int,bigint,text,name,oid,jsonb,real,float8,boolean,real[],int[],text[]}'::text[] LOOP
			EXECUTE format($$CREATE FUNCTION public.fake(%1$s, %1$s) RETURNS boolean LANGUAGE plpgsql AS
				'BEGIN RAISE EXCEPTION ''an operator of somebody else ran''; END'$$, type);
			FOREACH operator IN ARRAY '{=,<>,<,>,<=,>=}'::text[] LOOP
				EXECUTE format('CREATE OPERATOR public.%1$s (LEFTARG = %2$s, RIGHTARG = %2$s, FUNCTION = public.fake)', operator, type);
			END LOOP;
		END LOOP;
	END $do$;
	CREATE FUNCTION public.unnest(int[]) RETURNS SETOF int LANGUAGE plpgsql AS
		$$BEGIN RAISE EXCEPTION 'a function of somebody else ran'; END$$;
	CREATE FUNCTION public.pg_get_userbyid(oid) RETURNS name LANGUAGE plpgsql AS
		$$BEGIN RAISE EXCEPTION 'a function of somebody else ran'; END$$});
my $path = 'SET search_path = public, ann, pg_catalog';
refused('ann', "$path; SELECT 1 = 1", qr/an operator of somebody else ran/, 'operators that stand first in the search_path');
works('ann', "$path; SELECT tagrec_train('m', 'a', 'popularity'); SELECT tagrec_rollback('m'), tagrec_cancel(1), tagrec_drop('m')",
	'... do not count in a training and what follows it');
works( 'ann', qq{$path;
	SELECT tagrec_train('net', 'a', 'hdlpr_ns', '{"layers": [4], "epochs": 2, "validation": 0.1, "schema": "ann"}'),
		tagrec_train('near', 'a', 'item_knn', '{"schema": "ann"}');
	SELECT tagrec_refresh('net'), tagrec_tune('net', 'a', space => '{"epochs": [1, 2]}', trials => 2, options => '{"layers": [4]}')},
	'... in a network, neighbours, a refresh and a tuning');
works('ann', "$path; SELECT $_", "... in $_") foreach (
	q{tagrec_recommend('net', 1, 2, true, '{i1,i2,i3}')},
	q{tagrec_recommend('near', 1, 2)},
	q{tagrec_recommend_as(NULL::text, 'net', 1, 2)},
	q{tagrec_recommend_all('net', 1)},
	q{tagrec_recommend_all('near', 1)},
	q{tagrec_recommend_for_tags('net', '{t1}', n => 2)},
	q{tagrec_recommend_tags('tags', 1, 'i8', 2)},
	q{tagrec_similar_items('net', 'i1', 2)},
	q{tagrec_similar_users('net', 1, 2)},
	q{tagrec_score('near', 1, 'i1')},
	q{tagrec_explain('net', 1, 'i1', 2)},
	q{tagrec_feature_tags('net', 1, 2)},
	q{tagrec_topics('net', 1, 2)},
	q{tagrec_evaluate('near', 'a', exclude_seen => false)},
	q{tagrec_evaluate('tags', 'a', exclude_seen => false)},
	q{tagrec_compare('{net,near}', 'a', exclude_seen => false)},
	q{tagrec_rename('near', 'nearer')},
	q{tagrec_drop('nearer')},
	q{count(*) FROM tagrec_jobs},
	q{count(*) FROM tagrec_models},
	q{count(*) FROM tagrec_trials},
	q{count(*) FROM tagrec_options},
	q{count(*) FROM net_item_embedding});
refused('ann', "$path; SELECT tagrec_recommend('nobody', 1)", qr/model "nobody" does not exist/, '... and in what an error says');

# ---------------------------------------------------------------- the extension needs no superuser

$node->safe_psql('postgres', 'CREATE DATABASE anns OWNER ann');
$node->safe_psql(
	'anns', q{
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT u AS user_id, u AS item_id, u AS tag FROM generate_series(1, 9) u;
	SELECT tagrec_train('m', 'a', 'popularity')}, extra_params => [ '-U', 'ann' ]);
is($node->safe_psql('anns', q{SELECT owner || versions FROM tagrec_models}),
	'ann1', 'the owner of a database creates the extension and trains');
command_like([ 'pg_dump', '-U', 'ann', '-d', $node->connstr('anns') ], qr/COPY public\.tagrec_version .*setval\('public\.tagrec_job_job_seq', 1, true\)/s,
	'... and dumps it');

# ---------------------------------------------------------------- what is dumped is what is restored: both stored forms

$node->safe_psql(
	'postgres', q{
	CREATE TABLE dumped AS SELECT DISTINCT u AS user_id, 'i' || (u * 7 + k * k) % 20 AS item_id, 't' || k AS tag
		FROM generate_series(1, 30) u, generate_series(1, 6) k;
	SELECT tagrec_train('near', 'dumped', 'item_knn'), tagrec_train('popular', 'dumped', 'popularity')});
my $answers = q{
	SELECT string_agg(r::text, ' ' ORDER BY r.user_id, r.rank) FROM tagrec_recommend_all('near', 3) r
	UNION ALL SELECT string_agg(r::text, ' ' ORDER BY r.user_id, r.rank) FROM tagrec_recommend_all('popular', 3) r
	UNION ALL SELECT string_agg(n::text, ' ' ORDER BY n::text) FROM near_item_neighbour n};
my $before = $node->safe_psql('postgres', $answers);
like($before, qr/^\(1,1,i/, 'models of both forms answer');
my $dump = $node->basedir . '/dumped.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], '... and are dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-f', $dump, '-d', $node->connstr('restored') ], '... and restored');
is($node->safe_psql('restored', $answers), $before, '... and answer the same');

done_testing();
