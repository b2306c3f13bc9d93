# What the owner of a model can make others run: by all that may stand beside a table, in the sessions of those who ask the model and
# in the workers of those who train it again. Nothing may run as anybody else, and no setting may stay behind.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Hostile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# One worker at a time, so that it takes the queued job after its own.
my $node = PostgreSQL::Test::Cluster->new('hostile');
$node->init;
$node->append_conf('postgresql.conf', qq{max_worker_processes = 1\nmax_logical_replication_workers = 0\nmax_parallel_workers = 0
tagrec.threads = 1\nautovacuum = off\n});
$node->start;
setup_roles($node);
$node->safe_psql('postgres', 'CREATE DATABASE base');
setup_database($node, 'base');

# A model whose keys are of a type of mallory's, from a table of hers.
sub keyed
{
	my ($type, $user, $item) = @_;
	return qq{SELECT public.tagrec_drop('net');
		CREATE TABLE keyed AS SELECT ($user)::$type AS user_id, ($item)::$type AS item_id, tag FROM public.a;
		SELECT public.tagrec_train('net', 'keyed', 'hdlpr_ns', '{"layers": [4], "epochs": 1}');
		GRANT SELECT ON net_item_embedding TO alice};
}

# The model's columns are of another type by now.
sub retyped
{
	my ($users, $items) = @_;
	return qq{DROP VIEW net_user_embedding, net_item_embedding, net_item_neighbour;
		ALTER TABLE net_user_versions $users; ALTER TABLE net_item_versions $items;
		CREATE VIEW net_user_embedding AS SELECT user_id, embedding FROM net_user_versions WHERE version = 1;
		CREATE VIEW net_item_embedding AS SELECT item_id, embedding FROM net_item_versions WHERE version = 1;
		CREATE VIEW net_item_neighbour AS SELECT item_id, item_id AS neighbour_id, 1::real AS weight FROM net_item_versions WHERE false;
		GRANT SELECT ON net_item_embedding TO alice};
}

my $domain = q{CREATE DOMAIN marked AS int CHECK (mallory.same(VALUE, 'domain') IS NOT NULL)};
my $policy = q{ALTER TABLE %% ENABLE ROW LEVEL SECURITY; ALTER TABLE %% FORCE ROW LEVEL SECURITY; CREATE POLICY p ON %% USING (mallory.yes(''policy''))};

# Name, what mallory does, and the ids of a user and an item, where they are not numbers.
my @attacks = (
	[ 'nothing' => q{SELECT 1} ],
	[ 'policy' => qq{SELECT each('partition', '$policy'), each('parent', '$policy')} ],
	[ 'rule' => q{SELECT each(kind, format('CREATE RULE r%s AS ON %s TO %%%% DO ALSO SELECT mallory.yes(''rule'')', event, event))
		FROM unnest('{parent,partition}'::text[]) kind, unnest('{INSERT,UPDATE,DELETE}'::text[]) event} ],
	[ 'trigger' => q{SELECT each('parent', 'CREATE TRIGGER r BEFORE INSERT OR UPDATE OR DELETE ON %% FOR EACH ROW EXECUTE FUNCTION mallory.fire()');
		SELECT each('parent', 'CREATE TRIGGER s AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %% FOR EACH STATEMENT EXECUTE FUNCTION mallory.fire()');
		SELECT each('partition', 'CREATE CONSTRAINT TRIGGER c AFTER INSERT OR UPDATE OR DELETE ON %% DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION mallory.fire()')} ],
	[ 'index expression' => q{SELECT each('parent', 'CREATE INDEX ON %% (mallory.same(version, ''index''))')} ],
	[ 'index predicate' => q{SELECT each('parent', 'CREATE INDEX ON %% (version) WHERE mallory.same(version, ''predicate'') > 0')} ],
	[ 'statistics' => q{SELECT each('partition', 'CREATE STATISTICS s_%2$s ON (mallory.same(version, ''statistics'')), version FROM %%'),
		each('parent', 'CREATE STATISTICS s_%2$s ON (mallory.same(version, ''statistics'')), version FROM %%')} ],
	[ 'generated column' => q{SELECT each('parent', 'ALTER TABLE %% ADD g int GENERATED ALWAYS AS (mallory.same(version, ''generated'')) STORED')} ],
	[ 'default' => q{SELECT each('parent', 'ALTER TABLE %% ADD d boolean DEFAULT mallory.yes(''default''), ALTER version SET DEFAULT mallory.same(1, ''default'')')} ],
	[ 'check constraint' => q{SELECT each('parent', 'ALTER TABLE %% ADD CHECK (mallory.same(version, ''check'') > 0)')} ],
	[ 'check constraint of a partition' => q{SELECT each('partition', 'ALTER TABLE %% ADD CHECK (mallory.same(version, ''check'') > 0)')} ],
	[ 'foreign keys' => qq{CREATE TABLE refers (version int, item_id int, FOREIGN KEY (version, item_id) REFERENCES net_item_versions DEFERRABLE INITIALLY DEFERRED);
		INSERT INTO refers SELECT version, item_id FROM net_item_versions; CREATE TABLE referred (version int PRIMARY KEY); INSERT INTO referred VALUES (1), (2), (3), (4);
		ALTER TABLE net_user_versions ADD FOREIGN KEY (version) REFERENCES referred; ALTER TABLE near_item_versions ADD FOREIGN KEY (version) REFERENCES referred DEFERRABLE INITIALLY DEFERRED;
		CREATE TRIGGER r BEFORE DELETE OR UPDATE ON refers FOR EACH ROW EXECUTE FUNCTION mallory.fire();
		CREATE CONSTRAINT TRIGGER c AFTER INSERT OR UPDATE OR DELETE ON refers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION mallory.fire();
		} . join('; ', map { $policy =~ s/%%/$_/gr =~ s/''/'/gr } qw(refers referred)) ],
	[ 'view replaced' => q{SELECT each('view', 'ALTER VIEW %% RENAME TO %2$s_1; CREATE VIEW mallory.%2$s AS SELECT * FROM mallory.%2$s_1
		WHERE mallory.yes(''view''); GRANT SELECT ON mallory.%2$s TO alice')} ],
	[ 'rule on a view' => q{SELECT each('view', 'CREATE RULE r AS ON INSERT TO %% DO INSTEAD SELECT mallory.yes(''rule'')')} ],
	[ 'view for a partition' => q{SELECT each('partition', 'ALTER TABLE mallory.%3$s DETACH PARTITION %%; ALTER TABLE %% RENAME TO %2$s_1;
		CREATE VIEW mallory.%2$s AS SELECT * FROM mallory.%2$s_1 WHERE mallory.yes(''partition'')')} ],
	[ 'view for a partitioned table' => q{SELECT each('parent', 'ALTER TABLE %% RENAME TO %2$s_1;
		CREATE VIEW mallory.%2$s AS SELECT * FROM mallory.%2$s_1 WHERE mallory.yes(''parent'')')} ],
	[ 'partition attached by hand' => qq{SELECT each('partition', 'ALTER TABLE mallory.%3\$s DETACH PARTITION %%; ALTER TABLE %% RENAME TO %2\$s_1;
		CREATE TABLE mallory.%2\$s (LIKE mallory.%3\$s) PARTITION BY LIST (version);
		ALTER TABLE mallory.%2\$s ATTACH PARTITION mallory.%2\$s_1 FOR VALUES IN (1);
		ALTER TABLE mallory.%3\$s ATTACH PARTITION mallory.%2\$s FOR VALUES IN (1)'), each('partition', '$policy')} ],
	[ 'foreign table for a partition' => q{SELECT each('partition', 'ALTER TABLE mallory.%3$s DETACH PARTITION %%; ALTER TABLE %% RENAME TO %2$s_1');
		SELECT each('parent', 'CREATE FOREIGN TABLE IF NOT EXISTS mallory.net_item_v1 (version int, item_id int, position int, embedding real[], tags int[],
		counts real[], posts int) SERVER dummy')} ],
	[ 'partition of another owner' => qq{SELECT each('partition', '$policy'), each('partition', 'ALTER TABLE %% OWNER TO gang')} ],
	[ 'partitioned table of another owner' => qq{SELECT each('parent', '$policy'), each('parent', 'ALTER TABLE %% OWNER TO gang')} ],
	[ 'inheritance' => qq{SELECT each('partition', 'ALTER TABLE mallory.%3\$s DETACH PARTITION %%; CREATE TABLE mallory.%2\$s_kid () INHERITS (mallory.%2\$s)'),
		each('partition', '$policy')} ],
	[ 'domain over a key, later' => "$domain; " . retyped('ALTER user_id TYPE marked', 'ALTER item_id TYPE marked') ],
	[ 'domain over a key' => "$domain; " . keyed('marked', 'user_id', 'item_id') ],
	[ 'domain with a check that comes later' => q{CREATE DOMAIN marked AS int; } . keyed('marked', 'user_id', 'item_id')
		. q{; ALTER DOMAIN marked ADD CHECK (mallory.same(VALUE, 'domain') IS NOT NULL)} ],
	[ 'domain over an array' => q{CREATE DOMAIN marked AS int[] CHECK (mallory.same(VALUE[1], 'domain') IS NOT NULL); } . keyed('marked', 'ARRAY[user_id]', 'ARRAY[item_id]'),
		q{'{1}'}, q{'{8}'} ],
	[ 'domain in a composite, later' => "$domain; CREATE TYPE pair AS (x marked, y text); "
		. retyped(q{ALTER user_id TYPE pair USING ROW (user_id, 'y')::pair}, q{ALTER item_id TYPE pair USING ROW (item_id, 'y')::pair}), q{'(1,y)'}, q{'(8,y)'} ],
	[ 'domain in a range, later' => "$domain; CREATE FUNCTION apart(marked, marked) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT mallory.same(1, ''range'')::float8';
		CREATE TYPE span AS RANGE (subtype = marked, subtype_diff = mallory.apart); "
		. retyped('ALTER user_id TYPE span USING span(user_id, user_id + 2)', 'ALTER item_id TYPE span USING span(item_id, item_id + 2)'), q{'[1,3)'}, q{'[8,10)'} ],
	[ 'domain over a range' => q{CREATE FUNCTION apart(int, int) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT mallory.same(1, ''range'')::float8';
		CREATE TYPE span AS RANGE (subtype = int, subtype_diff = mallory.apart, multirange_type_name = spans); CREATE DOMAIN marked AS spans CHECK (mallory.same(1, 'domain') = 1); }
		. keyed('marked', 'spans(span(user_id, user_id + 2))', 'spans(span(item_id, item_id + 2))'), q{'{[1,3)}'}, q{'{[8,10)}'} ],
	[ 'domain over a composite' => q{CREATE TYPE pair AS (x int, y text); CREATE DOMAIN marked AS pair CHECK (mallory.same((VALUE).x, 'domain') IS NOT NULL); }
		. keyed('marked', q{ROW (user_id, 'y')::pair}, q{ROW (item_id, 'y')::pair}), q{'(1,y)'}, q{'(8,y)'} ],
	[ 'casts and operators' => q{CREATE TYPE letter AS ENUM ('1', '8', 'c'); CREATE FUNCTION letters(letter) RETURNS text LANGUAGE plpgsql AS
			$$BEGIN PERFORM mallory.spy('cast'); RETURN 'c'; END$$;
		CREATE FUNCTION letter(text) RETURNS letter LANGUAGE plpgsql AS $$BEGIN PERFORM mallory.spy('cast'); RETURN pg_catalog.enum_last(NULL::letter); END$$;
		CREATE CAST (letter AS text) WITH FUNCTION letters(letter) AS IMPLICIT; CREATE CAST (text AS letter) WITH FUNCTION letter(text) AS IMPLICIT;
		CREATE FUNCTION equal(letter, letter) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM mallory.spy('operator'); RETURN true; END$$;
		CREATE OPERATOR = (LEFTARG = letter, RIGHTARG = letter, FUNCTION = equal); }
		. keyed('letter', '(enum_range(NULL::letter))[1 + user_id % 3]', '(enum_range(NULL::letter))[1 + item_id % 3]') ],
	[ 'domains over stored arrays' => q{CREATE DOMAIN numbers AS int[] CHECK (mallory.same(1, 'numbers') = 1); CREATE DOMAIN reals AS real[] CHECK (mallory.same(1, 'reals') = 1); }
		. retyped('ALTER seen TYPE numbers, ALTER embedding TYPE reals, ALTER features TYPE numbers', 'ALTER tags TYPE numbers, ALTER embedding TYPE reals') ],
	[ 'source replaced by a view' => "CREATE TABLE mine AS SELECT * FROM public.a;\n" . in_turn(q{'net', 'mine', 'hdlpr_ns', '{"layers": [4], "epochs": 1}'},
			q{'near', 'mine', 'item_knn'}, q{'labels', 'mine', 'tag_product'}) . q{ALTER TABLE mine RENAME TO mine_1; CREATE VIEW mine AS SELECT * FROM mine_1 WHERE mallory.yes('source')} ],
	[ 'policy on the source' => q{CREATE TABLE mine AS SELECT * FROM public.a; SELECT public.tagrec_train('net', 'mine', 'popularity');
		ALTER TABLE mine ENABLE ROW LEVEL SECURITY; ALTER TABLE mine FORCE ROW LEVEL SECURITY; CREATE POLICY p ON mine USING (mallory.yes('source'))} ]);

# ---------------------------------------------------------------- each of them, against everybody

# Retrainings and refreshes of her models by a superuser, after one by a member of her role; and a job of his own, with code of his own, that the same worker takes.
my $work = join('', map { "SELECT public.$_ AS job \\gset\nCALL public.tagrec_wait(:job);\n" } (
		q{tagrec_refresh('net', wait => false)},
		q{tagrec_refresh('labels', wait => false)},
		q{tagrec_train('net', 'public.a', 'hdlpr_ns', '{"layers": [4], "epochs": 1}', wait => false)},
		q{tagrec_train('near', 'public.a', 'item_knn', wait => false)})) . q{
	\set ON_ERROR_ROLLBACK on
	BEGIN;
	SELECT public.tagrec_train('labels', 'public.a', 'tag_product', wait => false);
	SELECT public.tagrec_refresh('net', wait => false);
	SELECT public.tagrec_train('own', 'public.lowering', 'popularity', wait => false) AS job \gset
	COMMIT;
	CALL public.tagrec_wait(:job);
};

sub all_ended
{
	my ($database) = @_;
	return $node->poll_query_until($database, q{SELECT count(*) = 0 FROM tagrec_jobs WHERE state IN ('queued', 'running')});
}

# Not as anybody else; and mallory has got nothing out of it.
sub nobody_else
{
	my ($since, $what) = @_;
	my @seen = grep { !/: mallory in/ } spied($node, $since);
	is_deeply(\@seen, [], "$what: nothing of the owner's runs as anybody else");
	is($node->safe_psql('postgres', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'}), 'f', '... and she is no superuser');
	$node->safe_psql('postgres', 'ALTER ROLE mallory NOSUPERUSER');
	return;
}

# In a session that has asked before, and in new ones.
sub attack_sessions
{
	my ($name, $database, $warm, $asked) = @_;
	my $since = log_end($node);
	eval { $warm->query($asked) };
	is($warm->query($settled), $is_settled->('victim'), "$name, in an open session: its settings are as before");
	my ($ret, $stdout, $stderr) = as_role($node, 'victim', $database, "$asked $settled");
	like($stdout, qr/\Q@{[ $is_settled->('victim') ]}\E$/, "$name, in a new session: its settings are as before");
	unlike($stderr, qr/XX000|server closed/, '... and what is refused is said');
	is($stderr, '', '... and nothing is refused') if $name eq 'nothing';
	($ret, $stdout, $stderr) = as_role($node, 'alice', $database, "$asked $settled");
	like($stdout, qr/\Q@{[ $is_settled->('alice') ]}\E$/, "$name, in another role's session: its settings are as before");
	nobody_else($since, "$name, in sessions");
	is_deeply([ spied($node, $since) ], [], "$name, in sessions: nothing of the owner's runs at all");
	return;
}

sub attack_workers
{
	my ($name, $database) = @_;
	my $since = log_end($node);
	as_role($node, 'boss', $database, 'SELECT public.tagrec_refresh(\'net\')');
	my ($ret, $stdout, $stderr) = as_role($node, 'victim', $database, "$work $settled");
	like($stdout, qr/\Q@{[ $is_settled->('victim') ]}\E$/, "$name, in workers: the waiting session's settings are as before");
	ok(all_ended($database), '... all jobs end');
	is($node->safe_psql($database, q{SELECT state FROM tagrec_jobs WHERE model = 'own'}), 'done', '... and the next one is done');
	is($node->safe_psql($database, q{SELECT count(*) FROM tagrec_jobs WHERE state <> 'done'}), '0', '... like all') if $name eq 'nothing';
	is($node->safe_psql($database, q{SELECT count(*) FROM public.own_tag_versions WHERE tag !~ '^t'}), '0', '... by functions that mean what they say');
	nobody_else($since, "$name, in workers");
	return;
}

sub attack_management
{
	my ($name, $database) = @_;
	my $since = log_end($node);
	my ($ret, $stdout, $stderr) = as_role($node, 'victim', $database, managing() . $settled);
	like($stdout, qr/\Q@{[ $is_settled->('victim') ]}\E$/, "$name, in what a superuser does with the model: his settings are as before");
	nobody_else($since, $name);
	return;
}

my $number = 0;
foreach my $attack (@attacks)
{
	my ($name, $sql, $user, $item) = @$attack;
	my $database = 'attack' . $number++;
	my $asked = serving($user // '1', $item // '8');
	next if @ARGV && !grep { $_ eq $name } @ARGV;

	note $name;
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE base");
	my $warm = $node->background_psql($database, on_error_stop => 0, extra_params => [ '-U', 'victim' ]);
	$warm->query(serving('1', '8'));
	my ($ret, $stdout, $stderr) = as_role($node, 'mallory', $database, "SET search_path = mallory; SET client_min_messages = warning; $sql");
	is($stderr, '', "$name: laid");
	attack_sessions($name, $database, $warm, $asked);
	$warm->quit;
	attack_workers($name, $database);
	attack_management($name, $database);
	$node->safe_psql('postgres', "DROP DATABASE $database");
}

done_testing();
