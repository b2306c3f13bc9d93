# Serving from sessions that live on: threads, memory of versions, other sessions' deployments, a standby.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "autovacuum = off\nclient_min_messages = warning");
$primary->start;

# An extension in a schema that nobody's search_path has, models in another one.
$primary->safe_psql('postgres', 'CREATE SCHEMA fixture; CREATE SCHEMA ext; CREATE EXTENSION tagrec SCHEMA ext');
$primary->append_conf('postgresql.conf', "search_path = 'fixture, ext'");
$primary->reload;
$primary->safe_psql('postgres', slurp_file("$FindBin::Bin/../fixture/hand_made.sql"));
$primary->safe_psql('postgres', q(
	SELECT fixture_model('songs', 'text');
	SELECT fixture_version('songs', 2, 'text', 'text', 'popularity', '{}', 4, 3);
	SELECT fixture_model('books', 'int');
	SELECT fixture_network('net', 'text');));

my $top = q(SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('songs', 'alice', 5));
my %oracle = map {
	my $version = $_;
	$version => $primary->safe_psql('postgres', qq(
		BEGIN;
		UPDATE tagrec_model SET deployed_version = $version WHERE model = 'songs';
		SELECT string_agg(item, ' ' ORDER BY rank) FROM fixture_recommend('songs', 'alice', 5, true);
		ROLLBACK;))
} (1, 2);
isnt($oracle{1}, $oracle{2}, 'the versions differ');

# ---- one session, many calls: no thread comes, memory stays where it is
sub status_of
{
	my ($pid) = @_;
	my @threads = glob("/proc/$pid/task/*");
	my ($rss) = slurp_file("/proc/$pid/status") =~ /^VmRSS:\s+(\d+) kB/m;

	return (scalar(@threads), $rss);
}

my $session = $primary->background_psql('postgres', on_error_stop => 0);
my $pid = $session->query_safe('SELECT pg_backend_pid()');
my $many = q(SELECT count(*) FROM generate_series(1, 1000) i,
	LATERAL tagrec_recommend('songs', (ARRAY['alice', 'bob', 'carol'])[i % 3 + 1], 2) r);
my $embeddings = q(SELECT count(tagrec_embed('net', '{synth}')) FROM generate_series(1, 1000) i);

is($session->query_safe($many), 2000, '1,000 recommendations');
is($session->query_safe($embeddings), 1000, '1,000 embeddings');

SKIP:
{
	skip 'no /proc here', 2 unless -d "/proc/$pid/task";

	my ($threads, $before) = status_of($pid);
	is($threads, 1, 'the backend has one thread');
	$session->query_safe($many) for (1 .. 5);
	$session->query_safe($embeddings) for (1 .. 5);
	my ($threads_after, $after) = status_of($pid);
	cmp_ok($after - $before, '<', 4096, "10,000 calls later it has not grown ($before kB, $after kB)");
}

# ---- nothing is read twice
sub reads_of
{
	my ($relation) = @_;

	return $primary->safe_psql('postgres',
		"SELECT coalesce(seq_scan, 0) || ' ' || coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = '$relation'");
}
$session->query_safe('SELECT pg_stat_force_next_flush()');
my $reads = reads_of('songs_item_v2');
my $looks = reads_of('songs_user_v2');
$session->query_safe($many);
$session->query_safe('SELECT pg_stat_force_next_flush()');
is(reads_of('songs_item_v2'), $reads, 'the items are not read again');
isnt(reads_of('songs_user_v2'), $looks, '(the counters work: users are looked up)');

# two models fit into the cache, so going back and forth reads neither
$session->query_safe(q(SELECT count(*) FROM tagrec_recommend('books', 1)));
$session->query_safe('SELECT pg_stat_force_next_flush()');
my $both = reads_of('songs_item_v2') . reads_of('books_item_v1');
$session->query_safe($top);
$session->query_safe(q(SELECT count(*) FROM tagrec_recommend('books', 1)));
$session->query_safe('SELECT pg_stat_force_next_flush()');
is(reads_of('songs_item_v2') . reads_of('books_item_v1'), $both, 'two models are kept');
# with no room but for one, they push each other out
$session->query_safe('SET tagrec.cache_size = 0');
$session->query_safe($top);
$session->query_safe(q(SELECT count(*) FROM tagrec_recommend('books', 1)));
$session->query_safe($top);
$session->query_safe('SELECT pg_stat_force_next_flush()');
isnt(reads_of('songs_item_v2'), (split(/ /, $both))[0], 'tagrec.cache_size limits what is kept');
$session->query_safe('RESET tagrec.cache_size');

# ---- what another session deploys counts from the next call on, once it is committed
is($session->query_safe($top), $oracle{2}, 'version 2 is deployed');
my $other = $primary->background_psql('postgres', on_error_stop => 0);
$other->query_safe(q(BEGIN; UPDATE tagrec_model SET deployed_version = 1 WHERE model = 'songs'));
is($other->query_safe($top), $oracle{1}, 'who deploys sees it');
is($session->query_safe($top), $oracle{2}, 'nobody else does before it is committed');
$other->query_safe('ROLLBACK');
is($other->query_safe($top), $oracle{2}, 'a rollback takes it back');
$other->query_safe(q(UPDATE tagrec_model SET deployed_version = 1 WHERE model = 'songs'));
is($session->query_safe($top), $oracle{1}, 'the next call after the commit follows');

$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$other->query_safe(q(UPDATE tagrec_model SET deployed_version = 2 WHERE model = 'songs'));
is($session->query_safe($top), $oracle{1}, 'a snapshot keeps its version');
$session->query_safe('COMMIT');
is($session->query_safe($top), $oracle{2}, 'and no longer');

# ---- a model that is dropped and made again, or renamed, under the same session
my $books = q(SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('books', '1', 3));
my $before = $session->query_safe($books);
$primary->safe_psql('postgres', q(
	DROP TABLE books_user_versions, books_item_versions, books_tag_versions, books_weight_versions,
		books_neighbour_versions CASCADE;
	DELETE FROM tagrec_model WHERE model = 'books';
	SELECT fixture_model('books', 'int', 'text');));
my $after = $session->query_safe($books);
like($before, qr/^-?\d+ /, 'numbers before');
like($after, qr/^i\d+ /, 'and the texts of the new model after');
$primary->safe_psql('postgres', q(
	ALTER TABLE books_user_v1 RENAME TO papers_user_v1;
	ALTER TABLE books_item_v1 RENAME TO papers_item_v1;
	ALTER VIEW books_item_embedding RENAME TO papers_item_embedding;
	UPDATE tagrec_model SET model = 'papers' WHERE model = 'books';));
is($session->query_safe(q(SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('papers', '1', 3))),
	$after, 'a renamed model is found under its new name');

# ---- a call ends when it is told to
my ($rc, $stdout, $stderr) = $primary->psql('postgres',
	q(SET statement_timeout = '50ms'; SELECT count(*) FROM generate_series(1, 10000000) i, LATERAL tagrec_recommend_all('songs') r));
like($stderr, qr/statement timeout/, 'statement_timeout is honoured');

$session->quit;
$other->quit;

# ---- a hot standby
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', $top), $oracle{2}, 'a standby recommends');
is($standby->safe_psql('postgres', q(SELECT count(*) FROM tagrec_recommend_all('songs', 2))), 14, 'to everybody');
is($standby->safe_psql('postgres', q(SELECT tag FROM tagrec_explain('net', 'bob', 'i05', 1))), 'bebop', 'and explains');
$primary->safe_psql('postgres', q(UPDATE tagrec_model SET deployed_version = 1 WHERE model = 'songs'));
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $top), $oracle{1}, 'it follows a deployment');
is($primary->safe_psql('postgres', "BEGIN READ ONLY; $top"), $oracle{1}, 'a read-only transaction recommends');

# ---- the library that sessions load
my $libdir = $primary->config_data('--pkglibdir');
my ($libraries) = run_command([ 'ldd', "$libdir/tagrec.so" ]);
like($libraries, qr/libc\.so/, 'ldd says what the library needs');
unlike($libraries, qr/blas|cuda|pthread|gomp/i, 'and that is neither BLAS nor CUDA nor threads');

done_testing();
