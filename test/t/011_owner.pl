# Whose code runs, and as whom, where a superuser has to do with somebody else's model; what stands in the way of a version is
# told before the training.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('owner');
$node->init;
$node->append_conf('postgresql.conf', "tagrec.threads = 1\n");
$node->start;

# mallory's functions write down who runs them, and leave a setting behind; SECURITY DEFINER would show mallory anyway
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE ROLE mallory LOGIN;
	CREATE ROLE member LOGIN IN ROLE mallory;
	CREATE SCHEMA mallory AUTHORIZATION mallory;
	CREATE TABLE public.a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
	GRANT SELECT ON a TO mallory;
	CREATE TABLE public.ran (what text, who name, pid int DEFAULT pg_backend_pid());
	GRANT INSERT ON ran TO PUBLIC;
	SET ROLE mallory;
	CREATE FUNCTION mallory.note(what text) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.ran VALUES (what, current_user);
		PERFORM set_config('search_path', 'mallory, pg_catalog', false);
		RETURN true;
	END $$;
	CREATE FUNCTION mallory.plain(anyarray) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
	CREATE DOMAIN mallory.key AS int CHECK (mallory.note('domain'));
	CREATE TABLE mallory.keyed AS SELECT user_id::mallory.key, item_id, tag FROM public.a;
	CREATE TYPE mallory.pair AS (first mallory.key, second int);
	CREATE TABLE mallory.nested AS SELECT ROW(user_id, 1)::mallory.pair AS user_id, item_id, tag FROM public.a;
	CREATE TABLE mallory.b AS TABLE public.a;
});

sub query
{
	return $node->safe_psql('postgres', shift, @_);
}

sub as_mallory
{
	return query(shift, extra_params => [ '-U', 'mallory' ]);
}

sub complaint
{
	my ($sql, @more) = @_;
	my ($ret, $stdout, $stderr) = $node->psql('postgres', $sql, @more);
	return $stderr;
}

# Who has run mallory's functions since the last call.
sub who
{
	my $who = query(q{SELECT string_agg(DISTINCT what || ' ' || who, ', ' ORDER BY what || ' ' || who) FROM ran});
	query('TRUNCATE ran');
	return $who;
}

# ---------------------------------------------------------------- keys of a domain

as_mallory("SELECT tagrec_train('keyed', 'keyed', 'item_knn')");
query('TRUNCATE ran');
foreach my $sql (
	"SELECT tagrec_train('keyed', 'mallory.keyed', 'popularity')",
	"SELECT tagrec_refresh('keyed')",
	q{SELECT tagrec_tune('keyed', 'mallory.keyed', 'item_knn', space => '{"neighbours": [5, 10]}', trials => 2)})
{
	query($sql);
	is(who(), '', "$sql runs no domain's constraint");
}
like(complaint("SELECT tagrec_train('nested', 'nested', 'item_knn')", extra_params => [ '-U', 'mallory' ]),
	qr/column "user_id" has type \S+, which cannot be a key/, 'a domain inside of a key\'s type is refused');
is(query(q{SELECT string_agg(DISTINCT pg_get_userbyid(relowner), ' ') FROM pg_class WHERE relname ~ '^keyed_'}),
	'mallory', 'all of it is the owner\'s');

# ---------------------------------------------------------------- the source's name means something else by now

as_mallory(q{SELECT tagrec_train('m', 'b', 'hdlpr_ns', '{"layers": [4], "epochs": 1}')});
as_mallory(q{
	ALTER TABLE mallory.b RENAME TO c;
	CREATE VIEW mallory.b AS SELECT * FROM mallory.c WHERE mallory.note('view');
});
foreach my $role ('member', $node->safe_psql('postgres', 'SELECT current_user'))
{
	query(q{SELECT tagrec_refresh('m')}, extra_params => [ '-U', $role ]);
	is(who(), 'view mallory', "a refresh by $role reads the source as the owner");
}
as_mallory(q{SELECT tagrec_refresh('m')});
is(who(), 'view mallory', 'the owner as well');
foreach my $role ('mallory', 'member', $node->safe_psql('postgres', 'SELECT current_user'))
{
	query(q{SELECT tagrec_retrain('m', '{"epochs": 1}')}, extra_params => [ '-U', $role ]);
	is(who(), 'view mallory', "a retraining by $role reads the source as the owner");
	query(q{SELECT tagrec_stale('m')}, extra_params => [ '-U', $role ]);
	is(who(), 'view mallory', "tagrec_stale() by $role as well");
}
# a model that is gone, or has another name, when its retraining begins
query(q{BEGIN; SELECT tagrec_retrain('m', wait => false); ALTER VIEW mallory.m_item_embedding RENAME TO away; COMMIT});
$node->poll_query_until('postgres', q{SELECT state = 'failed' FROM tagrec_jobs ORDER BY job DESC LIMIT 1}) or die 'the job does not fail';
is(who(), '', 'nobody reads it without the owner');
query(q{ALTER VIEW mallory.away RENAME TO m_item_embedding});
query('REVOKE SELECT ON a FROM mallory');
query(q{SET ROLE mallory; CREATE OR REPLACE VIEW mallory.b AS SELECT * FROM mallory.c});
query(q{ALTER TABLE mallory.c OWNER TO CURRENT_USER; REVOKE ALL ON mallory.c FROM mallory});
like(complaint(q{SELECT tagrec_refresh('m')}), qr/ERROR:  permission denied for table c/, 'what the owner may not read, nobody reads for him');
query(q{GRANT SELECT ON a, mallory.c TO mallory});

# a superuser who names the source reads it himself, as in any statement
as_mallory(q{CREATE OR REPLACE VIEW mallory.b AS SELECT * FROM mallory.c WHERE mallory.note('view')});
query(q{SELECT tagrec_train('m', 'mallory.b', 'popularity')});
is(who(), 'view ' . query('SELECT current_user'), 'a training reads its source as who asks for it');

# ---------------------------------------------------------------- a superuser renames and drops

query(q{SELECT tagrec_rename('keyed', 'other')});
is(query(q{SELECT count(*) FROM pg_class WHERE relname ~ '^keyed_' AND relkind IN ('r', 'p', 'v')}), '0', 'a superuser renames all of a model');
my $partition = 'other_item_v' . query(q{SELECT deployed_version FROM tagrec_models WHERE model = 'other'});
query("ALTER TABLE mallory.$partition RENAME TO elsewhere; CREATE TABLE mallory.$partition ()");
like(complaint(q{SELECT tagrec_rename('other', 'keyed')}, extra_params => [ '-U', 'mallory' ]), qr/must be owner of relation $partition/,
	'what is not the owner\'s is not touched for him');
query("DROP TABLE mallory.$partition");
query(q{SELECT tagrec_drop('other')});
is(query(q{SELECT count(*) FROM pg_class WHERE relname ~ '^other_'}), '0', 'a superuser drops all of a model');

# ---------------------------------------------------------------- what is in the way of a version

as_mallory(q{SELECT tagrec_train('p', 'public.a', 'popularity')});
as_mallory(q{CREATE FUNCTION mallory.trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'});
my $jobs = query('SELECT count(*) FROM tagrec_jobs');
foreach (
	[ 'the trigger "t"', 'CREATE TRIGGER t BEFORE INSERT ON p_tag_versions FOR EACH ROW EXECUTE FUNCTION mallory.trigger()',
		'DROP TRIGGER t ON p_tag_versions' ],
	[ 'a rule', 'CREATE RULE r AS ON UPDATE TO p_tag_versions DO ALSO NOTHING', 'DROP RULE r ON p_tag_versions' ],
	[ 'row security', 'ALTER TABLE p_user_versions ENABLE ROW LEVEL SECURITY', 'ALTER TABLE p_user_versions DISABLE ROW LEVEL SECURITY' ],
	[ 'row security', 'ALTER TABLE p_user_versions FORCE ROW LEVEL SECURITY', 'ALTER TABLE p_user_versions NO FORCE ROW LEVEL SECURITY' ],
	[ 'the constraint "few"', 'ALTER TABLE p_item_versions ADD CONSTRAINT few CHECK (posts < 100000)',
		'ALTER TABLE p_item_versions DROP CONSTRAINT few' ],
	[ 'the generated column "g"', 'ALTER TABLE p_item_versions ADD g int GENERATED ALWAYS AS (posts + 1) STORED',
		'ALTER TABLE p_item_versions DROP g' ],
	[ 'a foreign key constraint', 'CREATE TABLE tag (tag text PRIMARY KEY); INSERT INTO tag SELECT DISTINCT tag FROM p_tag_versions;
		ALTER TABLE p_tag_versions ADD CONSTRAINT known FOREIGN KEY (tag) REFERENCES tag', 'ALTER TABLE p_tag_versions DROP CONSTRAINT known' ],
	[ 'the unique index "once"', 'CREATE UNIQUE INDEX once ON p_weight_versions (version, name)', 'DROP INDEX once' ],
	[ q{an index with functions not owned by a superuser, "own"}, 'CREATE INDEX own ON p_item_versions (plain(embedding))', 'DROP INDEX own' ],
	[ q{an index with functions not owned by a superuser, "own"}, 'CREATE INDEX own ON p_item_versions (posts) WHERE plain(embedding) > 0',
		'DROP INDEX own' ],
	[ 'the default partition "others"', 'CREATE TABLE others PARTITION OF p_user_versions DEFAULT', 'DROP TABLE others' ],
	[ undef, 'CREATE INDEX first ON p_item_versions ((embedding[1]::float8)); CREATE UNIQUE INDEX by_position ON p_item_versions (version, position, posts)',
		undef ])
{
	my ($has, $make, $undo) = @$_;
	as_mallory($make);
	my $said = complaint(q{SELECT tagrec_train('p', 'public.a', 'popularity')}, extra_params => [ '-U', 'mallory' ]);
	if ($has)
	{
		like($said, qr/ERROR:  cannot write a version to relation "p_\w+_versions" because it has \Q$has\E\n/, "$has is in the way");
		like(complaint(q{SELECT tagrec_refresh('p')}), qr/cannot write a version to relation/, '... of a refresh by others, too');
	}
	else
	{
		unlike($said, qr/ERROR/, 'indexes of the server\'s functions, and unique ones that hold a key, are not');
		$jobs++;
	}
	as_mallory($undo) if $undo;
}
is(query('SELECT count(*) FROM tagrec_jobs'), $jobs, 'what is refused makes no job');

# looking at an index must not compute what is constant in it
as_mallory(q{
	CREATE FUNCTION mallory.constant(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM mallory.note(''index''); RETURN 1; END';
	CREATE INDEX constant ON p_item_versions ((posts + mallory.constant(1))) WHERE posts > mallory.constant(2);
});
query('TRUNCATE ran');
like(complaint(q{SELECT tagrec_train('p', 'public.a', 'popularity')}), qr/an index with functions not owned by a superuser, "constant"/,
	'an index with a constant function is in the way');
is(who(), '', '... and the function does not run');
as_mallory('DROP INDEX constant');
as_mallory('CREATE TABLE mallory.p_tag_v3 ()');
like(complaint(q{SELECT tagrec_train('p', 'public.a', 'popularity')}), qr/relation "mallory.p_tag_v3" already exists/, 'a relation with the next version\'s name is');
as_mallory('DROP TABLE mallory.p_tag_v3');
query('ALTER TABLE mallory.p_tag_versions OWNER TO CURRENT_USER');
like(complaint(q{SELECT tagrec_train('p', 'public.a', 'popularity')}), qr/"mallory.p_tag_versions" is not a partitioned table owned by the owner of model "p"/,
	'... and one that is not the owner\'s');

$node->stop;
done_testing();
