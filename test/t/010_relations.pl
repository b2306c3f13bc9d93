# Relations that filter: a session remembers the set of keys in them, and never answers by it when reading would say otherwise.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
# no transaction but those of this test: an older one that runs would make a session read again
$node->append_conf('postgresql.conf', "autovacuum = off\nclient_min_messages = warning");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION tagrec');
$node->safe_psql('postgres', slurp_file("$FindBin::Bin/../fixture/hand_made.sql"));
$node->safe_psql('postgres', q(
	SELECT fixture_model('songs', 'text');
	CREATE TABLE shelf (item_id text PRIMARY KEY, stock int DEFAULT 1);
	INSERT INTO shelf SELECT fixture_item('text', i) FROM generate_series(0, 5) i;
	CREATE VIEW in_stock AS SELECT item_id FROM shelf WHERE stock > 0;));

my $filtered = q(SELECT string_agg(item, ' ' ORDER BY item) FROM tagrec_recommend('songs', 'alice', 100, false, candidates_from => '%s'));
my $session = $node->background_psql('postgres', on_error_stop => 0);

sub asked
{
	my ($relation, $by) = @_;
	return ($by // $session)->query_safe(sprintf($filtered, $relation));
}

# How often calls scan the table, within one transaction of the session: no matter what others do
sub scans
{
	my ($relation, $calls) = @_;

	my $count = q(SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables WHERE relname = 'shelf');

	$session->query_safe('BEGIN');
	my $before = $session->query_safe($count);
	asked($relation) for 1 .. $calls;
	my $after = $session->query_safe($count);
	$session->query_safe('COMMIT');
	return $after - $before;
}

# ---- what has not changed is not read again
is(asked('shelf'), 'i00 i01 i02 i03 i04 i05', 'a table');
is(asked('in_stock'), 'i00 i01 i02 i03 i04 i05', 'a view');
is(scans('shelf', 3), 0, 'the table is remembered');
is(scans('in_stock', 3), 0, 'the view is remembered');

# ---- what has changed is
my $other = $node->background_psql('postgres', on_error_stop => 0);
$other->query_safe(q(UPDATE shelf SET stock = 0 WHERE item_id = 'i02'));
is(asked('in_stock'), 'i00 i01 i03 i04 i05', 'an update by another session');
is(scans('in_stock', 2), 0, 'which is remembered, too');
$other->query_safe(q(BEGIN; DELETE FROM shelf WHERE item_id = 'i03'));
is(asked('in_stock'), 'i00 i01 i03 i04 i05', 'what is not committed does not count');
is(asked('in_stock', $other), 'i00 i01 i04 i05', 'but in its own transaction');
$other->query_safe('SAVEPOINT s');
$other->query_safe(q(INSERT INTO shelf VALUES ('i06')));
is(asked('in_stock', $other), 'i00 i01 i04 i05 i06', 'in a subtransaction');
$other->query_safe('ROLLBACK TO s');
is(asked('in_stock', $other), 'i00 i01 i04 i05', '... which is rolled back');
$other->query_safe('COMMIT');
is(asked('in_stock'), 'i00 i01 i04 i05', 'from the commit on it does');
is(asked('shelf'), 'i00 i01 i02 i04 i05', 'in the table as well');
$other->query_safe(q(BEGIN; INSERT INTO shelf VALUES ('i07')));
is(asked('shelf', $other), 'i00 i01 i02 i04 i05 i07', 'an insertion');
$other->query_safe('ROLLBACK');
is(asked('shelf', $other), 'i00 i01 i02 i04 i05', '... which is rolled back');

# ---- a snapshot keeps its answer, and a later one gets the new one
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
asked('shelf');
$other->query_safe(q(INSERT INTO shelf VALUES ('i08')));
$other->query_safe('VACUUM shelf');
is(asked('shelf', $other), 'i00 i01 i02 i04 i05 i08', 'another session sees the insertion');
is(asked('shelf'), 'i00 i01 i02 i04 i05', 'the snapshot does not');
$session->query_safe('COMMIT');
is(asked('shelf'), 'i00 i01 i02 i04 i05 i08', 'when it has ended');
$session->query_safe(sprintf(q(BEGIN; DECLARE c CURSOR FOR %s), sprintf($filtered, 'shelf')));
$other->query_safe(q(DELETE FROM shelf WHERE item_id = 'i08'));
is(asked('shelf'), 'i00 i01 i02 i04 i05', 'a snapshot of now');
is($session->query_safe('FETCH c'), 'i00 i01 i02 i04 i05 i08', 'and after it an older one, of a cursor');
$session->query_safe('COMMIT');
is(asked('shelf'), 'i00 i01 i02 i04 i05', 'and one of now again');

# ---- other definitions
$node->safe_psql('postgres', 'CREATE OR REPLACE VIEW in_stock AS SELECT item_id FROM shelf WHERE stock = 0');
is(asked('in_stock'), 'i02', 'a view that is replaced');
$node->safe_psql('postgres', q(BEGIN; TRUNCATE shelf; INSERT INTO shelf VALUES ('i09', 0); COMMIT));
is(asked('in_stock'), 'i09', 'a table that is filled anew');
$node->safe_psql('postgres', q(ALTER TABLE shelf RENAME TO old_shelf;
	CREATE TABLE shelf (item_id text UNIQUE, stock int); INSERT INTO shelf VALUES ('i01', 1), ('i02', 0);));
is(asked('shelf'), 'i01 i02', 'another table of the same name');

# ---- what depends on more than its rows is read by each call
$node->safe_psql('postgres', q(
	CREATE FUNCTION lies() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT count(*)::int FROM old_shelf';
	CREATE VIEW by_time AS SELECT item_id FROM shelf WHERE now() > '2000-01-01';
	CREATE VIEW by_user AS SELECT item_id FROM shelf WHERE current_user <> 'nobody';
	CREATE VIEW by_setting AS SELECT item_id FROM shelf WHERE current_setting('my.stock', true) IS DISTINCT FROM stock::text;
	CREATE VIEW by_function AS SELECT item_id FROM shelf WHERE stock < lies() + stock;
	CREATE VIEW by_chance AS SELECT item_id FROM shelf TABLESAMPLE BERNOULLI (50);
	CREATE UNLOGGED TABLE unlogged AS SELECT item_id FROM shelf;));
for my $view (qw(by_time by_user by_setting by_function))
{
	asked($view);
	is(scans($view, 3), 3, "$view is read by each call");
}
my %chance = map { asked('by_chance') => 1 } 1 .. 60;
cmp_ok(scalar(keys %chance), '>', 1, 'what a sample says varies');
is(asked('by_setting'), 'i01 i02', 'a setting');
$session->query_safe(q(SET my.stock = '0'));
is(asked('by_setting'), 'i01', '... that changes');
is(asked('unlogged'), 'i01 i02', 'a table without WAL');
$other->query_safe(q(DELETE FROM unlogged WHERE item_id = 'i01'));
is(asked('unlogged'), 'i02', '... that changes');
$session->query_safe('BEGIN ISOLATION LEVEL SERIALIZABLE');
asked('shelf') for 1 .. 2;
is($session->query_safe(q(SELECT count(*) FROM pg_locks WHERE mode = 'SIReadLock' AND relation = 'shelf'::regclass)), 1,
	'a serializable transaction reads, which is noted');
$session->query_safe('COMMIT');

# ---- who may read: asked in each call
$node->safe_psql('postgres', q(CREATE ROLE clerk; GRANT SELECT ON songs_item_embedding TO clerk));
asked('shelf') for 1 .. 2;
$session->query_safe('SET ROLE clerk');
$session->query(sprintf($filtered, 'shelf'));
like($session->{stderr}, qr/permission denied for table shelf/, 'what a session remembers is not for all its roles');
$session->{stderr} = '';
$node->safe_psql('postgres', q(GRANT SELECT ON shelf TO clerk));
is(asked('shelf'), 'i01 i02', 'as another role');
is(asked('shelf'), 'i01 i02', '... again');
$node->safe_psql('postgres', 'REVOKE SELECT ON shelf FROM clerk');
$session->query(sprintf($filtered, 'shelf'));
like($session->{stderr}, qr/permission denied for table shelf/, 'a right that is revoked');
$session->{stderr} = '';
$node->safe_psql('postgres', q(GRANT SELECT ON shelf TO clerk; ALTER TABLE shelf ENABLE ROW LEVEL SECURITY;
	CREATE POLICY p ON shelf USING (stock > 0)));
is(asked('shelf'), 'i01', 'row security');
$session->query_safe('RESET ROLE');
is(asked('shelf'), 'i01 i02', '... which is not for its owner');
$session->query_safe('SET ROLE clerk');
is(asked('shelf'), 'i01', '... but for others');
$session->query_safe('RESET ROLE');
$node->safe_psql('postgres', 'ALTER TABLE shelf DISABLE ROW LEVEL SECURITY');
is(asked('shelf'), 'i01 i02', '... until it is off');

# ---- a standby
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
my $reader = $standby->background_psql('postgres', on_error_stop => 0);
is(asked('shelf', $reader), 'i01 i02', 'on a standby');
is(asked('shelf', $reader), 'i01 i02', '... again');
$other->query_safe(q(INSERT INTO shelf VALUES ('i03', 1)));
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(asked('shelf', $reader), 'i01 i02 i03', '... which follows');
$reader->quit;
$standby->stop;

# ---- many sessions write, commit, roll back and vacuum; in each snapshot, relation and array are the same
$node->safe_psql('postgres', q(TRUNCATE shelf; INSERT INTO shelf SELECT fixture_item('text', i), 1 FROM generate_series(0, 11) i));
my $scripts = PostgreSQL::Test::Utils::tempdir();
my $compare = q(
	SELECT 1 / (r.items IS NOT DISTINCT FROM a.items)::int FROM
		(SELECT array_agg(item ORDER BY rank) FROM tagrec_recommend('songs', 'alice', 100, false, candidates_from => '%s')) r (items),
		(SELECT array_agg(item ORDER BY rank) FROM tagrec_recommend('songs', 'alice', 100, false,
			candidates => ARRAY(SELECT item_id FROM %1$s))) a (items);
);
$node->safe_psql('postgres', 'CREATE OR REPLACE VIEW in_stock AS SELECT item_id FROM shelf WHERE stock > 0');
append_to_file("$scripts/read.sql", join('', map { sprintf($compare, $_) } qw(shelf in_stock shelf in_stock)));
append_to_file("$scripts/repeat.sql",
	"BEGIN ISOLATION LEVEL REPEATABLE READ;\n" . join('', map { sprintf($compare, $_) } qw(in_stock shelf in_stock)) . "COMMIT;\n");
append_to_file("$scripts/write.sql", q(
\set i random(0, 11)
BEGIN;
UPDATE shelf SET stock = 1 - stock WHERE item_id = fixture_item('text', :i);
) . sprintf($compare, 'in_stock') . "COMMIT;\n");
append_to_file("$scripts/roll_back.sql", q(
\set i random(0, 11)
BEGIN;
DELETE FROM shelf WHERE item_id = fixture_item('text', :i);
) . sprintf($compare, 'shelf') . "ROLLBACK;\n");
append_to_file("$scripts/exchange.sql", q(
\set i random(0, 11)
BEGIN;
DELETE FROM shelf WHERE item_id = fixture_item('text', :i);
SAVEPOINT s;
INSERT INTO shelf VALUES (fixture_item('text', :i), 1) ON CONFLICT DO NOTHING;
) . sprintf($compare, 'in_stock') . "COMMIT;\n");
append_to_file("$scripts/vacuum.sql", "VACUUM (FREEZE) shelf;\n");
my ($stdout, $stderr) = ('', '');
my $bench = IPC::Run::run(
	[
		'pgbench', '-n', '-c', '8', '-t', '400', '-M', 'prepared', (map { ('-f', "$scripts/$_") } 'read.sql@8', 'repeat.sql@4',
			'write.sql@2', 'roll_back.sql@1', 'exchange.sql@2', 'vacuum.sql@1'),
		'-h', $node->host, '-p', $node->port, 'postgres'
	],
	'<', \'', '>', \$stdout, '2>', \$stderr);
ok($bench, 'the same by a relation as by an array, whatever others do');
unlike($stderr, qr/ERROR/, '... without an error') or diag $stderr;

$session->quit;
$other->quit;
done_testing();
