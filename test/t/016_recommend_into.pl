# Ending tagrec_recommend_into(): the table's rows stay, whoever ends it and when; and on a standby there is none.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('into');
$node->init;
$node->append_conf('postgresql.conf', 'client_min_messages = warning');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION tagrec');
$node->safe_psql('postgres', slurp_file("$FindBin::Bin/../fixture/$_.sql")) foreach ('hand_made', 'large');
$node->safe_psql('postgres', q{
	SELECT large_model('many', 'int', 5000, 3000, 65, 64);
	CREATE TABLE best (user_id int, rank int, item int, score real);
	INSERT INTO best VALUES (-1, 1, -1, 0);
	-- the writing takes its time
	CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$;
	CREATE TRIGGER slow BEFORE INSERT ON best FOR EACH ROW EXECUTE FUNCTION slow();
});
my $old = '-1|1|-1|0';

sub rows
{
	return $node->safe_psql('postgres', 'SELECT * FROM best');
}

# The job's number, once it writes
sub writing
{
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM tagrec_jobs WHERE kind = 'recommend' AND state = 'running' AND phase = 'writing'")
	  or die 'the job does not write';
	return $node->safe_psql('postgres', "SELECT max(job) FROM tagrec_jobs");
}

sub state_of
{
	my ($job, $state) = @_;
	$node->poll_query_until('postgres', "SELECT state = '$state' FROM tagrec_jobs WHERE job = $job")
	  or die "job $job is not $state";
	return 1;
}

# ---- cancelled
$node->safe_psql('postgres', "CALL tagrec_recommend_into('best', 'many', wait => false)");
my $job = writing();
like($node->safe_psql('postgres', "SELECT query FROM pg_stat_activity WHERE application_name LIKE 'tagrec job%'"),
	qr/recommending with model many, writing/, 'seen in pg_stat_activity');
is($node->safe_psql('postgres', "SELECT tagrec_cancel($job)"), 't', 'the job is cancelled');
ok(state_of($job, 'cancelled'), 'its state says so');
is(rows(), $old, 'the rows are the old ones');

# ---- the client that waits goes
my %client = (out => '', err => '');
$client{handle} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'),
	'-c', 'SET application_name = waiting', '-c', "CALL tagrec_recommend_into('best', 'many')" ], '>', \$client{out}, '2>', \$client{err});
$job = writing();
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'waiting'");
eval { $client{handle}->finish };
ok(state_of($job, 'cancelled'), 'a job whose client has gone ends');
is(rows(), $old, 'the rows are the old ones');

# ---- the worker is killed: the job is lost
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->reload;
$node->safe_psql('postgres', "CALL tagrec_recommend_into('best', 'many', wait => false)");
$job = writing();
my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tagrec job%'");
kill 'KILL', $pid;
$node->poll_query_until('postgres', 'SELECT 1', '1');
$node->poll_query_until('postgres', "SELECT state = 'lost' FROM tagrec_jobs WHERE job = $job") or die 'the job is not lost';
is(rows(), $old, 'the rows are the old ones after a crash');
my ($rc, $out, $err) = $node->psql('postgres', "CALL tagrec_wait($job)");
like($err, qr/job $job is lost.*Call tagrec_recommend_into\(\) again/s, 'the error says what to do');

# ---- and at last it is written
$node->safe_psql('postgres', 'DROP TRIGGER slow ON best');
$node->safe_psql('postgres', "CALL tagrec_recommend_into('best', 'many', 3)");
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT user_id), max(rank) FROM best'), '9000|3000|3', 'the new rows');
is($node->safe_psql('postgres', q(SELECT count(*) FROM (SELECT user_id::text, rank, item::text, score FROM best
	EXCEPT ALL SELECT * FROM tagrec_recommend_all('many', 3)) x)), 0, 'are those of a query');
$node->stop;

done_testing();
