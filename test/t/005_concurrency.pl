# Queries while a model is trained again: nobody fails, nobody waits, and a snapshot that cannot be served says so.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('concurrency');
$node->init;
$node->append_conf('postgresql.conf', "tagrec.threads = 1\n");
$node->start;

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
	SELECT tagrec_train('m', 'a', 'popularity')});

# keeping no old version is the hardest case: what a query is about to read may be dropped
sub train_again
{
	$node->safe_psql('postgres', q{SELECT tagrec_train('m', 'a', 'popularity', '{"keep_versions": 0}')});
	return;
}

# ---------------------------------------------------------------- many sessions

my $scripts = PostgreSQL::Test::Utils::tempdir();
append_to_file("$scripts/recommend.sql",
	"\\set u random(1, 100)\nSELECT 1 / count(*) FROM tagrec_recommend('m', :u, 3, false);\n");
append_to_file("$scripts/view.sql", "SELECT 1 / count(*) FROM m_item_embedding;\n");

foreach my $mode ('simple', 'prepared')
{
	my ($stdout, $stderr) = ('', '');
	local $ENV{PGOPTIONS} = '-c statement_timeout=10s';
	my $bench = IPC::Run::start(
		[
			'pgbench', '-n', '-c', '4', '-T', '4', '-M', $mode,
			'-f', "$scripts/recommend.sql", '-f', "$scripts/view.sql", '-h', $node->host, '-p', $node->port, 'postgres'
		],
		'<', \'', '>', \$stdout, '2>', \$stderr);
	{
		local $ENV{PGOPTIONS} = '';
		train_again() foreach 1 .. 15;
	}
	ok($bench->finish, "queries ($mode) go on while the model is trained again");
	unlike($stderr, qr/ERROR/, '... without an error') or diag $stderr;
	like($stdout, qr/transactions actually processed: [1-9]\d\d/, '... many of them');
}

# ---------------------------------------------------------------- a snapshot older than what is left

my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe(
	q{BEGIN; DECLARE c CURSOR FOR SELECT count(*) FROM generate_series(1, 3) u, LATERAL tagrec_recommend('m', u, 2)});
train_again();
is($session->query_safe('FETCH c'), '6', 'a statement whose version has been taken away gets the one deployed by now');
$session->query_safe('COMMIT');

$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
train_again();
my ($stdout, $failed) = $session->query(q{SELECT tagrec_recommend('m', 1, 1)});
like($session->{stderr}, qr/ERROR:  version \d+ of model "m" has been taken away since this transaction began/,
	'a transaction with a snapshot of its own is told to begin again');
$session->query('ROLLBACK');

# a query holds its version until the transaction ends
$session->{stderr} = '';
$session->query_safe('BEGIN');
$session->query_safe(q{SELECT count(*) FROM tagrec_recommend('m', 1, 2)});
my $held = $node->safe_psql('postgres', q{SELECT deployed_version FROM tagrec_models});
train_again();
is($node->safe_psql('postgres', qq{SELECT count(*) FROM pg_class WHERE relname = 'm_user_v$held'}),
	'1', 'a version in use is left to the next training');
$session->query_safe('COMMIT');
train_again();
is($node->safe_psql('postgres', qq{SELECT count(*) FROM pg_class WHERE relname = 'm_user_v$held'}), '0', '... which takes it away');
$session->quit;

done_testing();
