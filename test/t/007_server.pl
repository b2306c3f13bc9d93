# A training and what happens to the server around it: the postmaster dies, the library is preloaded, objects and roles that
# a job needs go away, everything is published, many jobs come at once.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "tagrec.threads = 2\nshared_preload_libraries = 'tagrec'\nmax_worker_processes = 12\n");
$node->start;

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
});

my $long = q{'{"epochs": 100000, "layers": [64, 32], "batch": 16}'};
my $worker = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'tagrec worker'};

# Submits a training that does not end by itself; returns its job when it trains.
sub start_training
{
	my ($model, $database, @more) = @_;
	my $job = $node->safe_psql($database, "SELECT tagrec_train('$model', 'a', 'hdlpr_ns', $long, wait => false)", @more);
	$node->poll_query_until($database, "SELECT phase = 'training' AND epoch > 0 FROM tagrec_jobs WHERE job = $job")
	  or die 'the job does not start';
	return $job;
}

# A process that nobody has reaped yet has ended, too.
sub has_ended
{
	my $pid = shift;
	return 1 unless kill 0, $pid;
	return -r "/proc/$pid/stat" && slurp_file("/proc/$pid/stat") =~ /^\d+ \(.*\) Z/s;
}

# ---------------------------------------------------------------- the postmaster

my $job = start_training('m', 'postgres');
my $pid = $node->safe_psql('postgres', $worker);

SKIP:
{
	skip 'no /proc here', 2 unless -d "/proc/$pid/task";
	my @threads = glob('/proc/' . (slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/)[0] . '/task/*');
	is(scalar(@threads), 1, 'preloaded, the library starts no thread in the postmaster');
	@threads = glob("/proc/$pid/task/*");
	cmp_ok(scalar(@threads), '>', 1, '(a worker that trains has some)');
}

# As often as it takes: what lived on keeps the server from starting.
sub again
{
	my $step = shift;
	for (my $i = 0; $i < 10 * $PostgreSQL::Test::Utils::timeout_default; $i++)
	{
		return 1 if $step->();
		usleep(100_000);
	}
	return 0;
}

$node->kill9;
my $ended = again(sub { has_ended($pid) });
ok($ended, 'a worker ends when the postmaster has died');
kill 9, $pid unless $ended;
ok( again(
		sub {
			return 1 if $node->start(fail_ok => 1);
			# the file of the dead one's number is still there
			$node->{_pid} = undef;
			return 0;
		}),
	'... so the server can be started');
is($node->safe_psql('postgres', "SELECT state FROM tagrec_jobs WHERE job = $job"), 'lost', '... its job is lost');
$node->safe_psql('postgres', q{SELECT tagrec_train('m', 'a', 'popularity')});
is($node->safe_psql('postgres', q{SELECT deployed_version FROM tagrec_models}), '1', '... and the server trains again');

done_testing();
