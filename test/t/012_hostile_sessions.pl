# More of what the owner of a model, or who asks one, can make others run: names that mean something else, types, dumps, and schemas
# that somebody else makes anew under an old name.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Hostile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('hostile_sessions');
$node->init;
$node->append_conf('postgresql.conf', "tagrec.threads = 1\nautovacuum = off\n");
$node->start;
setup_roles($node);
setup_database($node, 'postgres');

# As a role, one statement after the other; the output, and no error.
sub works
{
	my ($role, $sql, $what) = @_;
	my ($ret, $stdout, $stderr) = as_role($node, $role, 'postgres', "SET client_min_messages = warning; $sql");
	unlike($stderr, qr/ERROR|FATAL/, $what) or diag $stderr;
	return $stdout;
}

# Since then nothing of mallory's has run as anybody else, and she is what she was.
sub held
{
	my ($since, $what) = @_;
	is_deeply([ grep { !/: mallory in/ } spied($node, $since) ], [], "$what: nothing of mallory's runs as anybody else");
	is($node->safe_psql('postgres', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'}), 'f', '... and she is no superuser');
	$node->safe_psql('postgres', 'ALTER ROLE mallory NOSUPERUSER');
	return;
}

# ---------------------------------------------------------------- a policy that sets the search_path, a function of a usual name

works('mallory', q{
	SET search_path = mallory, public;
	SELECT tagrec_train('ml', 'public.a', 'popularity');
	CREATE FUNCTION lead() RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		IF session_user = 'victim' THEN
			PERFORM set_config('search_path', 'mallory, pg_catalog, public', false);
		END IF;
		RETURN true;
	END $$;
	ALTER TABLE ml_user_v1 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY lead ON ml_user_v1 USING (mallory.lead())}, 'a policy is laid');
my $since = log_end($node);
my ($ret, $stdout, $stderr) = as_role($node, 'victim', 'postgres', q{SELECT * FROM tagrec_recommend('ml', 1, 3); SELECT lower('X'::text)});
like($stdout, qr/^x$/m, 'the statement after a query means what it says');
held($since, 'a policy that sets the search_path');

# ---------------------------------------------------------------- the caller's names, and code of the model's owner

$node->safe_psql('postgres', q{
	CREATE FUNCTION public.short(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN length($1) < 10; END';
	CREATE DOMAIN public.word AS text CHECK (public.short(VALUE));
	CREATE TABLE public.words AS SELECT ('u' || user_id)::word AS user_id, ('i' || item_id)::word AS item_id, tag FROM a;
	GRANT SELECT ON public.words TO alice;
	GRANT CREATE ON SCHEMA public TO alice});
works('alice', q{SELECT tagrec_train('words', 'words', 'hdlpr_ns', '{"layers": [4], "epochs": 1}'); GRANT SELECT ON words_item_embedding TO mallory},
	'a model with keys of a domain, whose check trusts the search_path');
works('mallory', q{
	CREATE FUNCTION mallory.length(text) RETURNS int LANGUAGE plpgsql AS $$BEGIN PERFORM mallory.spy('length'); RETURN 1; END$$;
	CREATE FUNCTION mallory.length(public.word) RETURNS int LANGUAGE plpgsql AS $$BEGIN PERFORM mallory.spy('length'); RETURN 1; END$$;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA mallory TO PUBLIC}, 'a function of a usual name');
my $asked = join('; ', map { "SELECT count(*) FROM public.$_ x" } (
	q{tagrec_recommend('words', 'u1', 3)}, q{tagrec_recommend('words', 'u1', 3, true, '{i1,i2}')}, q{tagrec_recommend('words', 'u1'::public.word, 3)},
	q{tagrec_recommend_as(NULL::text, 'words', 'u1', 3)}, q{tagrec_recommend_all('words', 1)}, q{tagrec_recommend_for_tags('words', '{t1}')},
	q{tagrec_similar_items('words', 'i8', 3)}, q{tagrec_similar_users('words', 'u1', 3)}, q{tagrec_score('words', 'u1', 'i8')},
	q{tagrec_explain('words', 'u1', 'i8', 3)}, q{tagrec_embed('words', '{t1}')}, q{tagrec_feature_tags('words', 1, 2)}));
$since = log_end($node);
works('mallory', "SET search_path = mallory, pg_catalog, public; $asked", 'who may ask the model asks, with a search_path of her own');
is_deeply([ grep { !/: mallory in a session of mallory/ } spied($node, $since) ], [], '... and nothing of hers runs as the model\'s owner');
held($since, 'a search_path of the caller\'s');
my $answer = works('mallory', q{SET search_path = mallory, pg_catalog, public; SELECT count(*) FROM public.tagrec_recommend('words', 'u1', 3)}, 'the model');
is($answer, '3', '... answers her');

# ---------------------------------------------------------------- key types whose input runs what their owner has written

works('mallory', q{
	SET search_path = mallory, public;
	CREATE DOMAIN mallory.checked AS int CHECK (mallory.same(VALUE, 'domain') IS NOT NULL);
	CREATE TYPE mallory.pair AS (x mallory.checked, y text);
	CREATE TYPE mallory.nest AS (x mallory.pair[], y text);
	CREATE TYPE mallory.span AS RANGE (subtype = mallory.checked);
	CREATE TABLE mallory.typed AS SELECT ROW (user_id, 'y')::mallory.pair AS pair, ROW (ARRAY[ROW (user_id, 'y')::mallory.pair], 'y')::mallory.nest AS nest,
		mallory.span(user_id, user_id + 2) AS span, spans.spans, item_id, tag FROM public.a, LATERAL multirange(mallory.span(user_id, user_id + 2)) spans (spans)},
	'domains inside of other types');
foreach my $column (qw(pair nest span spans))
{
	my ($ret, $stdout, $stderr) = as_role($node, 'mallory', 'postgres', "SELECT tagrec_train('typed', 'mallory.typed', 'popularity', user_column => '$column')");
	like($stderr, qr/ERROR:  column "$column" has type .*, which cannot be a key/, "keys of the type of $column are refused");
}

# ---------------------------------------------------------------- relations that the caller names

# That these are read as by a SELECT of his own, views with all that they call, is what naming them means.
works('mallory', q{CREATE VIEW mallory.shown AS SELECT * FROM public.test WHERE mallory.yes('view that the caller names'); GRANT SELECT ON mallory.shown TO alice},
	'a view that calls functions');
$since = log_end($node);
as_role($node, 'alice', 'postgres', q{SELECT * FROM tagrec_evaluate('net', 'mallory.shown'); SELECT * FROM tagrec_compare('{net,near}', 'mallory.shown')});
is_deeply([ grep { !/: alice in a session of alice/ } spied($node, $since) ], [], 'a test relation is read as its reader, and as nobody else');
ok((grep { /view that the caller names/ } spied($node, $since)) == 1, '... with all that it calls');

# ---------------------------------------------------------------- a superuser whose search_path has the schema of somebody else

works('mallory', q{
	DO $do$
	DECLARE
		type text;
		operator text;
	BEGIN
		FOREACH type IN ARRAY '{int,bigint,text,name,oid,jsonb,real,float8,boolean,real[],int[],text[],regclass,"\"char\"",timestamptz}'::text[] LOOP
			EXECUTE format($$CREATE FUNCTION mallory.operated(%1$s, %1$s) RETURNS boolean LANGUAGE plpgsql AS
				'BEGIN PERFORM mallory.spy(''operator''); RETURN false; END'$$, type);
			FOREACH operator IN ARRAY '{=,<>,<,>,<=,>=,||,->,->>,&&,@>}'::text[] LOOP
				EXECUTE format('CREATE OPERATOR mallory.%1$s (LEFTARG = %2$s, RIGHTARG = %2$s, FUNCTION = mallory.operated)', operator, type);
			END LOOP;
		END LOOP;
		EXECUTE 'CREATE FUNCTION mallory.pointed(jsonb, text) RETURNS text LANGUAGE plpgsql AS ''BEGIN PERFORM mallory.spy(''''operator''''); RETURN 1; END''';
		EXECUTE 'CREATE OPERATOR mallory.-> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = mallory.pointed)';
		EXECUTE 'CREATE OPERATOR mallory.->> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = mallory.pointed)';
	END $do$;
	CREATE FUNCTION mallory.unnest(int[]) RETURNS SETOF int LANGUAGE plpgsql AS $$BEGIN PERFORM mallory.spy('unnest'); END$$;
	CREATE FUNCTION mallory.now() RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN PERFORM mallory.spy('now'); RETURN NULL; END$$;
	CREATE FUNCTION mallory.count(anyelement) RETURNS bigint LANGUAGE plpgsql AS $$BEGIN PERFORM mallory.spy('count'); RETURN 1; END$$;
	CREATE FUNCTION mallory.current_database() RETURNS name LANGUAGE plpgsql AS $$BEGIN PERFORM mallory.spy('database'); RETURN ''; END$$;
	CREATE FUNCTION mallory.pg_get_userbyid(oid) RETURNS name LANGUAGE plpgsql AS $$BEGIN PERFORM mallory.spy('user'); RETURN ''; END$$;
	CREATE TABLE mallory.tagrec_model (model_id int, model text, schema name, deployed_version int, previous_version int, created_at timestamptz); CREATE TABLE mallory.pg_class (LIKE pg_catalog.pg_class)},
	'operators, functions and tables of usual names');
my $path = 'SET search_path = mallory, pg_catalog, public';
$since = log_end($node);
my $calls = serving('1', '8') =~ s/SELECT count\(\*\) FROM (public\.tagrec_\w+\((?:[^()]|\([^()]*\))*\)) x/SELECT $1/gr;
works('victim', "$path; $calls", 'a superuser who has them in front asks');
works('victim', "$path; SELECT public.$_", "... and $_") foreach (
	q{tagrec_train('own', 'public.a', 'popularity')}, q{tagrec_refresh('own')}, q{tagrec_deploy('own', 1)}, q{tagrec_rollback('own') WHERE false},
	q{tagrec_tune('own2', 'public.a', 'ials', '{"factors": [2, 4]}', 2, '{"epochs": 1, "validation": 0.2}')}, q{tagrec_rename('own', 'owned')},
	q{tagrec_cancel(1)}, q{tagrec_drop('owned')}, q{tagrec_fold(1, 2)}, q{tagrec_holdout(1, 2, 't')}, q{tagrec_devices()});
works('victim', "$path; TABLE $_", "... and reads $_") foreach (
	map({ "public.tagrec_$_" } qw(models versions jobs epochs trials options algorithms)), 'mallory.net_item_embedding', 'mallory.near_item_neighbour');
is_deeply([ spied($node, $since) ], [], '... and runs nothing of hers');
held($since, 'a search_path with the schema of somebody else');

# ---------------------------------------------------------------- schemas that get another name

$node->safe_psql('postgres', 'CREATE DATABASE renamed');
$node->safe_psql('renamed', q{
	CREATE SCHEMA ext;
	CREATE EXTENSION tagrec SCHEMA ext;
	GRANT USAGE ON SCHEMA ext TO PUBLIC;
	GRANT CREATE ON DATABASE renamed TO mallory;
	CREATE TABLE public.a AS SELECT u AS user_id, (u * 7 + k * k) % 20 AS item_id, 't' || (u + k) % 8 AS tag FROM generate_series(1, 30) u, generate_series(1, 5) k});
my $open = $node->background_psql('renamed', on_error_stop => 0, extra_params => [ '-U', 'victim' ]);
$open->query_safe('SET client_min_messages = warning');
$open->query_safe(q{SELECT ext.tagrec_train('m', 'public.a', 'popularity')});
$open->query_safe(q{SELECT ext.tagrec_train('m', 'public.a', 'popularity')});
$open->query_safe($_) foreach (q{SELECT ext.tagrec_deploy('m', 2)}, q{SELECT ext.tagrec_rollback('m')}, q{SELECT count(*) FROM ext.tagrec_recommend('m', 1, 3)});
$node->safe_psql('renamed', 'ALTER SCHEMA ext RENAME TO moved; GRANT SELECT ON moved.tagrec_model, moved.tagrec_version, moved.tagrec_job TO mallory');
($ret, $stdout, $stderr) = as_role($node, 'mallory', 'renamed', q{
	CREATE SCHEMA ext;
	CREATE TABLE ext.tagrec_model (LIKE moved.tagrec_model);
	CREATE TABLE ext.tagrec_version (LIKE moved.tagrec_version);
	CREATE TABLE ext.tagrec_job (LIKE moved.tagrec_job);
	INSERT INTO ext.tagrec_model SELECT * FROM moved.tagrec_model;
	INSERT INTO ext.tagrec_version SELECT * FROM moved.tagrec_version;
	CREATE FUNCTION ext.fire() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		RAISE LOG 'SPY|trigger in an old schema|%|%|', current_user, session_user;
		RETURN NEW;
	END $$;
	CREATE TRIGGER fire BEFORE INSERT OR UPDATE OR DELETE ON ext.tagrec_model FOR EACH ROW EXECUTE FUNCTION ext.fire();
	CREATE TRIGGER fire BEFORE INSERT OR UPDATE OR DELETE ON ext.tagrec_job FOR EACH ROW EXECUTE FUNCTION ext.fire();
	GRANT ALL ON ALL TABLES IN SCHEMA ext TO PUBLIC; GRANT ALL ON SCHEMA ext TO PUBLIC});
is($stderr, '', 'somebody else makes a schema of the extension\'s old name');
$since = log_end($node);
foreach my $statement (q{SELECT moved.tagrec_deploy('m', 2)}, q{SELECT moved.tagrec_rollback('m')}, q{SELECT count(*) FROM moved.tagrec_recommend('m', 1, 3)},
	q{SELECT moved.tagrec_train('m', 'public.a', 'popularity') > 0}, q{SELECT moved.tagrec_rename('m', 'n')}, q{SELECT moved.tagrec_drop('n')})
{
	$open->query($statement);
}
is_deeply([ spied($node, $since) ], [], 'the extension\'s schema has another name: an open session runs nothing in the old one');
is($node->safe_psql('renamed', q{SELECT count(*) FROM moved.tagrec_model}), '0', '... and does in the new one what it is told');
$open->quit;

$node->safe_psql('postgres', q{CREATE SCHEMA alices AUTHORIZATION alice});
works('alice', q{SET search_path = alices, public; SELECT tagrec_train('lost', 'public.a', 'popularity')}, 'a model in a schema');
$node->safe_psql('postgres', q{ALTER SCHEMA alices RENAME TO alices2});
($ret, $stdout, $stderr) = as_role($node, 'mallory', 'postgres', q{SELECT tagrec_drop('lost')});
like($stderr, qr/ERROR:  (must be owner of|permission denied)/, '... which gets another name: nobody else drops it');
$node->safe_psql('postgres', q{GRANT CREATE ON DATABASE postgres TO mallory});
works('mallory', q{CREATE SCHEMA alices; CREATE VIEW alices.lost_item_embedding AS SELECT 1 AS item_id, '{1}'::real[] AS embedding}, 'nor when she makes a schema');
($ret, $stdout, $stderr) = as_role($node, 'mallory', 'postgres', q{SELECT tagrec_drop('lost')});
like($stderr, qr/ERROR:  (must be owner of|permission denied)/, '... of the old name');
is($node->safe_psql('postgres', q{SELECT count(*) FROM tagrec_model WHERE model = 'lost'}), '1', '... the model stays');

# ---------------------------------------------------------------- dump and restore, by the database's owner and by a superuser

$node->safe_psql('postgres', q{CREATE ROLE dba LOGIN CREATEDB; GRANT pg_read_all_data, mallory TO dba; CREATE DATABASE dumped OWNER dba});
setup_database($node, 'dumped');
$node->safe_psql('dumped', q{DROP FOREIGN DATA WRAPPER dummy CASCADE; DROP VIEW public.lowering; DROP FUNCTION public.lowered; ALTER TABLE public.a OWNER TO dba; ALTER TABLE public.test OWNER TO dba});
($ret, $stdout, $stderr) = as_role($node, 'mallory', 'dumped', q{
	SET search_path = mallory;
	SELECT each('parent', 'CREATE TRIGGER r BEFORE INSERT OR UPDATE OR DELETE ON %% FOR EACH ROW EXECUTE FUNCTION mallory.fire()');
	SELECT each('parent', 'CREATE INDEX ON %% (mallory.same(version, ''index''))');
	SELECT each('view', 'CREATE RULE r AS ON INSERT TO %% DO INSTEAD SELECT mallory.yes(''rule'')');
	SELECT each('view', 'ALTER VIEW %% RENAME TO %2$s_1; CREATE VIEW mallory.%2$s AS SELECT * FROM mallory.%2$s_1 WHERE mallory.yes(''view'')');
	SELECT each('partition', 'ALTER TABLE %% ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON %% USING (mallory.yes(''policy''))')});
unlike($stderr, qr/ERROR/, 'all that may stand beside a table');
my $file = $node->basedir . '/dumped.dump';
$since = log_end($node);
command_ok([ 'pg_dump', '-U', 'dba', '-Fc', '-f', $file, '-d', $node->connstr('dumped') ], '... is dumped by the database\'s owner');
held($since, 'a dump');
foreach my $role ('dba', 'victim')
{
	$node->safe_psql('postgres', "CREATE DATABASE restored_$role OWNER dba");
	$since = log_end($node);
	IPC::Run::run([ 'pg_restore', '-U', $role, '-d', $node->connstr("restored_$role"), $file ], '2>', \my $errors);
	is(join("\n", grep { /ERROR/ && !/schema "?public/ } split /\n/, $errors), '', "$role restores the dump");
	is($node->safe_psql("restored_$role", q{SELECT count(*) FROM tagrec_models}), '3', '... with its models');
	held($since, "a restore by $role");
	$since = log_end($node);
	($ret, $stdout, $stderr) = as_role($node, 'victim', "restored_$role", serving('1', '8') . $settled);
	like($stdout, qr/\Q@{[ $is_settled->('victim') ]}\E$/, '... a superuser who asks them has his settings as before');
	is_deeply([ spied($node, $since) ], [], '... and runs nothing of mallory\'s');
	held($since, 'restored models');
}

done_testing();
