# More than one server, with what Debian packages: users on two shards behind PL/Proxy, a model trained where both are seen
# through postgres_fdw and sent to the shards; and two standbys that share the reading.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub server
{
	my ($name, @more) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(@more);
	$node->append_conf('postgresql.conf', "tagrec.threads = 1\n");
	$node->start;
	return $node;
}

sub has_extension
{
	my ($node, $extension) = @_;
	return $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = '$extension'") eq '1';
}

# ---------------------------------------------------------------- shards

my @shards = map { server("shard$_") } 0, 1;
my $center = server('center');

# A user is on the shard that the hash of the id says.
my $rows = q{SELECT u::bigint AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u * u + k) % 20 AS tag
	FROM generate_series(1, 100) u, generate_series(1, 10) k};
foreach my $i (0, 1)
{
	$shards[$i]->safe_psql('postgres', qq{
		CREATE EXTENSION tagrec;
		CREATE TABLE bookmarks AS SELECT * FROM ($rows) r WHERE hashint8(user_id) & 1 = $i;
		CREATE INDEX ON bookmarks (user_id)});
}
my $answer = q{SELECT string_agg(item || ' ' || score, ', ' ORDER BY rank) FROM tagrec_recommend('links', 42, 5)};

SKIP:
{
	skip 'postgres_fdw is not installed', 1 unless has_extension($center, 'postgres_fdw');
	$center->safe_psql('postgres', join ';', 'CREATE EXTENSION tagrec', 'CREATE EXTENSION postgres_fdw',
		'CREATE TABLE bookmarks (user_id bigint, item_id text, tag text) PARTITION BY LIST ((hashint8(user_id) & 1))',
		map {
			my $shard = $shards[$_];
			my ($host, $port) = ($shard->host, $shard->port);
			"CREATE SERVER shard$_ FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres')",
			"CREATE USER MAPPING FOR CURRENT_USER SERVER shard$_",
			"CREATE FOREIGN TABLE bookmarks$_ PARTITION OF bookmarks FOR VALUES IN ($_) SERVER shard$_ OPTIONS (table_name 'bookmarks')"
		} 0, 1);
	$center->safe_psql('postgres', "CREATE TABLE here AS $rows");
	$center->safe_psql('postgres', "SELECT tagrec_train('$_->[0]', '$_->[1]', 'hdlpr_ns', '{\"epochs\": 2}')")
	  foreach [ 'links', 'bookmarks' ], [ 'local', 'here' ], [ 'half', 'bookmarks0' ];
	is($center->safe_psql('postgres', $answer), $center->safe_psql('postgres', $answer =~ s/links/local/r),
		'a model of two foreign partitions is that of the same rows in one table');
	is($center->safe_psql('postgres', q{SELECT users FROM tagrec_models WHERE model = 'half'}),
		$shards[0]->safe_psql('postgres', 'SELECT count(DISTINCT user_id) FROM bookmarks'), 'a single foreign table is a source, too');

	$shards[1]->stop;
	my ($ret, $stdout, $stderr) = $center->psql('postgres', q{SELECT tagrec_train('links', 'bookmarks')});
	like($stderr, qr/ERROR:  could not connect to server "shard1"/, 'a shard that is down fails the training');
	is($center->safe_psql('postgres', q{SELECT deployed_version FROM tagrec_models WHERE model = 'links'}), '1',
		'... and the model stays as it is');
	$shards[1]->start;

	skip 'dblink is not installed', 1 unless has_extension($center, 'dblink');
	my $connection = sprintf 'host=%s port=%s dbname=postgres', $center->host, $center->port;
	my $fetch = qq{SELECT tagrec_import('links', archive)
		FROM dblink('$connection', \$\$SELECT tagrec_export('links')\$\$) AS t (archive bytea)};
	foreach my $shard (@shards)
	{
		$shard->safe_psql('postgres', 'CREATE EXTENSION dblink');
		$shard->safe_psql('postgres', $fetch);
		is($shard->safe_psql('postgres', $answer), $center->safe_psql('postgres', $answer), 'a shard has the model and answers the same');
	}

	skip 'PL/Proxy is not installed', 1 unless has_extension($center, 'plproxy');
	my $proxy = server('proxy');
	$proxy->safe_psql('postgres', sprintf q{
		CREATE EXTENSION plproxy;
		CREATE SERVER users FOREIGN DATA WRAPPER plproxy OPTIONS (p0 'host=%s port=%d dbname=postgres', p1 'host=%s port=%d dbname=postgres');
		CREATE USER MAPPING FOR PUBLIC SERVER users;
		CREATE FUNCTION recommend(who bigint, n int, OUT rank int, OUT item text, OUT score real) RETURNS SETOF record LANGUAGE plproxy AS $$
			CLUSTER 'users';
			RUN ON hashint8(who);
			SELECT rank, item, score FROM tagrec_recommend('links', who, n);
		$$}, map { ($_->host, $_->port) } @shards);
	my $all = q{SELECT string_agg(u || ' ' || r, ' ' ORDER BY u, r.rank) FROM generate_series(1, 100) u, LATERAL %s r};
	my $expected = $center->safe_psql('postgres', sprintf $all, q{tagrec_recommend('links', u, 3)});
	is($proxy->safe_psql('postgres', sprintf $all, 'recommend(u::bigint, 3)'), $expected, 'each user is answered by a shard');

	# a new version, while others ask
	my $load = q{SELECT count(*) FROM generate_series(1, 20) t, generate_series(1, 100) u, LATERAL recommend(u::bigint, 3) r};
	my @loads = map {
		my $output = '';
		{ output => \$output,
			run => IPC::Run::start([ 'psql', '-XAt', '-d', $proxy->connstr('postgres'), '-c', $load ], '>', \$output, '2>&1') }
	} 1, 2;
	$center->safe_psql('postgres', q{SELECT tagrec_train('links', 'bookmarks', 'popularity')});
	$_->safe_psql('postgres', $fetch) foreach @shards;
	foreach my $session (@loads)
	{
		$session->{run}->finish;
		is(${ $session->{output} }, "6000\n", 'every question has its three answers meanwhile');
	}
	is($proxy->safe_psql('postgres', sprintf $all, 'recommend(u::bigint, 3)'),
		$center->safe_psql('postgres', sprintf $all, q{tagrec_recommend('links', u, 3)}), 'afterwards the new version answers');
	$proxy->stop;
}
$_->stop foreach @shards, $center;

# ---------------------------------------------------------------- standbys

my $primary = server('primary', allows_streaming => 1);
$primary->safe_psql('postgres', "CREATE EXTENSION tagrec; CREATE TABLE bookmarks AS $rows");
$primary->safe_psql('postgres', q{SELECT tagrec_train('links', 'bookmarks', 'hdlpr_ns', '{"epochs": 2}')});
$primary->backup('backup');
my @standbys = map {
	my $standby = PostgreSQL::Test::Cluster->new("standby$_");
	$standby->init_from_backup($primary, 'backup', has_streaming => 1);
	$standby->start;
	$standby
} 0, 1;

# A client that names both takes the first that it reaches.
sub ask
{
	my @hosts = @_;
	my $connection = sprintf 'host=%s port=%s dbname=postgres', join(',', map { $_->host } @hosts), join(',', map { $_->port } @hosts);
	my ($stdout, $stderr);
	IPC::Run::run([ 'psql', '-XAt', '-d', $connection, '-c', $answer ], '>', \$stdout, '2>', \$stderr);
	return ($stdout // '') =~ s/\n$//r;
}

my $before = ask($primary);
is(ask(@standbys), $before, 'one standby answers as the primary does');
is(ask(reverse @standbys), $before, '... and so does the other');
$standbys[0]->stop('immediate');
is(ask(@standbys), $before, 'when one is gone, a client goes to the other');
$primary->safe_psql('postgres', q{SELECT tagrec_train('links', 'bookmarks', 'popularity')});
$standbys[0]->start;
$primary->wait_for_catchup($_) foreach @standbys;
is(ask($_), ask($primary), 'a new version is on both') foreach @standbys;

$primary->stop('immediate');
$standbys[0]->promote;
$standbys[1]->enable_streaming($standbys[0]);
$standbys[1]->restart;
$standbys[0]->safe_psql('postgres', q{SELECT tagrec_train('links', 'bookmarks', 'item_knn')});
$standbys[0]->wait_for_catchup($standbys[1]);
is(ask($standbys[1]), ask($standbys[0]), 'after a promotion the new primary trains, and its standby has the model');
isnt(ask($standbys[1]), $before, '... which is another one');
$_->stop foreach @standbys;

done_testing();
