# On a standby nothing is trained, and what is refused says why; models arrive there and can be used, and after a promotion
# training works.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
	SELECT tagrec_train('m', 'a', 'popularity');
	SELECT tagrec_train('t', 'a', 'tag_popular')});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

sub refused
{
	my ($sql, $pattern, $what) = @_;
	my ($ret, $stdout, $stderr) = $standby->psql('postgres', $sql);
	like($stderr, $pattern, $what);
	return;
}

refused(q{SELECT tagrec_train('m', 'a', 'popularity')}, qr/ERROR:  cannot execute tagrec_train\(\) during recovery/,
	'tagrec_train is refused on a standby');
refused(q{SELECT tagrec_train('m', 'a', 'popularity', wait => false)}, qr/HINT:  Train on the primary server/,
	'... with a hint');
refused(q{SELECT tagrec_refresh('m')}, qr/cannot execute tagrec_refresh\(\) during recovery/, 'tagrec_refresh is');
refused(q{SELECT tagrec_deploy('m', 1)}, qr/cannot execute tagrec_deploy\(\)/, 'tagrec_deploy is');
refused(q{SELECT tagrec_drop('m')}, qr/cannot execute tagrec_drop\(\)/, 'tagrec_drop is');

my $tags = q{SELECT string_agg(tag || ' ' || score, ', ' ORDER BY rank) FROM tagrec_recommend_tags('t', 1, 'i8')};
is($standby->safe_psql('postgres', $tags), $primary->safe_psql('postgres', $tags), 'tags are recommended on a standby');
like($standby->safe_psql('postgres', $tags), qr/^t\d+ [\d.]+, /, '... and there are some');

my $job = $primary->safe_psql('postgres',
	q{SELECT tagrec_train('long', 'a', 'hdlpr_ns', '{"epochs": 100000, "batch": 16}', wait => false)});
$primary->poll_query_until('postgres', "SELECT phase = 'training' FROM tagrec_jobs WHERE job = $job");
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "SELECT state FROM tagrec_jobs WHERE job = $job"),
	'running', 'a job of the primary is seen running');
refused("SELECT tagrec_cancel($job)", qr/ERROR:  cannot execute tagrec_cancel\(\) during recovery\n.*on the primary server/,
	'... but cannot be cancelled there');
# longer than it takes to find that a job is lost
refused("CALL tagrec_wait($job, '3 s')", qr/ERROR:  job $job did not finish within the timeout/, '... and can be waited for');
$primary->safe_psql('postgres', "SELECT tagrec_train('m', 'a', 'popularity')");
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT version FROM tagrec_versions WHERE model = 'm' AND deployed}),
	'2', 'a version that is deployed on the primary is deployed on the standby');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM m_item_embedding'), '50', '... with its embeddings');

my $short = $primary->safe_psql('postgres', q{SELECT tagrec_train('n', 'a', 'popularity', wait => false)});
$primary->wait_for_catchup($standby);
$standby->safe_psql('postgres', "CALL tagrec_wait($short)");
is($standby->safe_psql('postgres', "SELECT state FROM tagrec_jobs WHERE job = $short"), 'done',
	'waiting on a standby ends when the job does');

$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql('postgres', "SELECT state FROM tagrec_jobs WHERE job = $job"),
	'lost', 'after a promotion the job is lost');
$standby->safe_psql('postgres', q{SELECT tagrec_train('m', 'a', 'popularity')});
is($standby->safe_psql('postgres', q{SELECT version FROM tagrec_versions WHERE model = 'm' AND deployed}),
	'3', '... and models can be trained');

done_testing();
