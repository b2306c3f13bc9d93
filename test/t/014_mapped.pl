# What sessions share: files that they map, made by whoever is first, and never an error. The scan by bounds gives what the
# plain one gives.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('mapped');
$node->init(allows_streaming => 1, extra => ['--wal-segsize=1']);
$node->append_conf('postgresql.conf', "autovacuum = off\nclient_min_messages = warning\nlog_min_messages = debug1");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION tagrec');

sub make_models
{
	my ($database) = @_;

	$node->safe_psql($database, slurp_file("$FindBin::Bin/../fixture/$_.sql")) foreach ('hand_made', 'large');
	$node->safe_psql($database, q(
		SELECT large_model('texts', 'text', 6000, 5000, 65, 64);
		SELECT large_model('numbers', 'int', 5000, 40, 40, 40);));
}
make_models('postgres');

my $directory = $node->data_dir . '/base/pgsql_tmp';

sub files
{
	my @names = sort map { s{.*/}{}r } glob("$directory/pgsql_tmp.tagrec.*");
	return @names;
}

sub file_of
{
	my ($relation, $database) = @_;

	return "$directory/pgsql_tmp.tagrec." . $node->safe_psql($database || 'postgres',
		"SELECT d.oid || '.' || c.oid || '.' || c.relfilenode FROM pg_class c, pg_database d
		WHERE c.relname = '$relation' AND d.datname = current_database()");
}

# A new session's answers, all of the functions that search: as one line. %settings go before.
my $questions = q(
	SELECT md5(string_agg(r::text, ' ')) FROM generate_series(0, 30) u,
		LATERAL tagrec_recommend('texts', large_key(u), CASE WHEN u % 5 = 0 THEN 100 ELSE 10 END, u % 3 > 0) r;
	SELECT md5(string_agg(r::text, ' ')) FROM generate_series(0, 30) u, LATERAL tagrec_recommend('numbers', u, 7) r;
	SELECT md5(string_agg(r::text, ' ')) FROM generate_series(0, 30) u, LATERAL tagrec_similar_items('texts', large_key(u * 100), 9) r;
	SELECT md5(string_agg(r::text, ' ')) FROM generate_series(0, 30) u, LATERAL tagrec_similar_users('texts', large_key(u * 9), 9) r;
	SELECT md5(string_agg(r::text, ' ')) FROM generate_series(0, 9) u, LATERAL tagrec_similar_items('numbers', u * 10, 3) r;
	SELECT string_agg(item, ' ') FROM tagrec_recommend('texts', '00000003', 2, true, ARRAY['00000003', '00000005', '00000006', 'x']);
	SELECT md5(string_agg(r::text, ' ')) FROM tagrec_recommend_as(NULL::int, 'numbers', 3, 10) r;
);

sub answers
{
	my ($settings, $where) = @_;

	return ($where || $node)->safe_psql('postgres', "$settings; $questions");
}

# ---- the same answers with and without bounds, shared or not
my $expected = answers('SET tagrec.mapped_size = 0; SET tagrec.fast_scan = off');
like($expected, qr/^([0-9a-f]{32}\n){5}0000000\d 0000000\d\n[0-9a-f]{32}$/, 'all functions answer');
is_deeply([ files() ], [], 'nothing is shared when mapped_size is 0');
is(answers('SET tagrec.mapped_size = 0'), $expected, 'bounds of a session leave the answers as they are');
is_deeply([ files() ], [], 'that takes no file');
is(answers(''), $expected, 'so do bounds from a file: the session that makes it');
is(scalar(files()), 3, 'there is a file for items and users of one model, and for the items of the other')
  or diag(join("\n", files()));
is(answers(''), $expected, 'and the next one');
is(answers('SET tagrec.fast_scan = off'), $expected, 'without bounds from the file');
is((stat(file_of('texts_item_v1')))[2] & 07777, 0600, 'it is for the server alone');

# ---- what was used is seen from SQL
is($node->safe_psql('postgres', q(SELECT relation FROM tagrec_mapped ORDER BY relation::text)),
	"numbers_item_v1\ntexts_item_v1\ntexts_user_v1", 'the view of what is mapped');
my $counted = q(SELECT searches, by_bounds, searched_rows, scored_rows < searched_rows / 2 FROM tagrec_searches);
my $five = q(SELECT count(*) FROM generate_series(1, 5) u, LATERAL tagrec_recommend('texts', large_key(u), 10) r;);
is($node->safe_psql('postgres', "$five $counted"), "50\n5|5|30000|t", 'searches go by bounds, and score a part of the rows');
is($node->safe_psql('postgres', "SET tagrec.fast_scan = off; $five $counted"), "50\n5|0|30000|f", 'but for those that are not to');
is($node->safe_psql('postgres', "SET tagrec.mapped_size = 0; $five $counted"), "50\n5|2|30000|f",
	'a session that comes back for more makes bounds of its own');

unlink file_of('texts_item_v1');
is($node->safe_psql('postgres', q(SELECT tagrec_warm('texts'))), -s file_of('texts_item_v1'), 'tagrec_warm() makes the file');
is($node->safe_psql('postgres', q(BEGIN; CREATE TABLE written (); SELECT tagrec_warm('texts'); ROLLBACK)), 0,
	'but not in a transaction that has written');

# ---- the file is what the second session reads
sub reads_of
{
	my ($relation) = @_;
	return $node->safe_psql('postgres', "SELECT coalesce(seq_scan, 0) FROM pg_stat_user_tables WHERE relname = '$relation'");
}
my $reads = reads_of('texts_item_v1');
answers('');
is(reads_of('texts_item_v1'), $reads, 'a new session does not read the items');

# ---- files that are not what they should be
sub spoil
{
	my ($name, $change) = @_;
	my $path = file_of('texts_item_v1');
	my $content = slurp_file($path);

	$change->(\$content);
	# under the same name another file: those that are mapped are never changed
	unlink $path;
	open my $out, '>:raw', $path or die "$path: $!";
	print $out $content;
	close $out;
	my $mark = -s $node->logfile;
	is(answers(''), $expected, "$name: the answers are right");
	like(slurp_file($node->logfile, $mark), qr/is not used: it is not what it should be/, "$name: it was noticed");
	isnt(slurp_file($path), $content, "$name: and made again");
}
spoil('a header cut short', sub { ${ $_[0] } = substr(${ $_[0] }, 0, 300) });
spoil('a file cut short', sub { ${ $_[0] } = substr(${ $_[0] }, 0, -100) });
spoil('a flipped bit in the header', sub { substr(${ $_[0] }, 20, 1) ^= "\x10" });
spoil('a flipped bit in the numbers', sub { substr(${ $_[0] }, 100_000, 1) ^= "\x01" });
spoil('a flipped bit at the end', sub { substr(${ $_[0] }, -70, 1) ^= "\x01" });
spoil('another format', sub { substr(${ $_[0] }, 8, 4) = pack('L', 99) });
spoil('another relation\'s file', sub { ${ $_[0] } = slurp_file(file_of('numbers_item_v1')) });

# written to, under the same name
sub write_to
{
	my ($where, $bytes) = @_;
	open my $file, '+<:raw', file_of('texts_item_v1') or die;
	seek $file, $where, 0;
	print $file $bytes;
	close $file;
}
my $mark = -s $node->logfile;
write_to(100_000, 'abcd');
is(answers(''), $expected, 'a file that was written to: the answers are right');
like(slurp_file($node->logfile, $mark), qr/is not used: it is not what it should be/, 'it was noticed');

# as a disk might: nothing but the bytes tells
my @times = (stat(file_of('texts_item_v1')))[8, 9];
write_to(100_000, 'abcd');
utime @times, file_of('texts_item_v1');
$mark = -s $node->logfile;
is($node->safe_psql('postgres', q(SELECT tagrec_warm('texts'))), -s file_of('texts_item_v1'), 'tagrec_warm() reads a file as a whole');
like(slurp_file($node->logfile, $mark), qr/is made again because its checksum is wrong/, 'and says so');
is(answers(''), $expected, 'its new file is right');

# ---- unlinked while mapped
my $session = $node->background_psql('postgres');
my $ask = q(SELECT md5(string_agg(r::text, ' ')) FROM generate_series(0, 30) u, LATERAL tagrec_recommend('texts', large_key(u), 10) r);
my $answer = $session->query_safe($ask);
unlink file_of('texts_item_v1');
is($session->query_safe($ask), $answer, 'a session goes on with a file that was unlinked');
is($node->safe_psql('postgres', $ask), $answer, 'another makes it again');
ok(-e file_of('texts_item_v1'), 'there it is');

# ---- two at once: both are right, and nothing is left behind
unlink map { "$directory/$_" } files();
my @out = map { { out => '', err => '' } } (1 .. 4);
my @runs = map {
	IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $ask ],
		'>', \$out[$_]{out}, '2>', \$out[$_]{err})
} (0 .. 3);
$_->finish foreach (@runs);
is($out[$_]{out}, "$answer\n", "session $_ of four at once") foreach (0 .. 3);
is_deeply([ grep { /new/ } files() ], [], 'nothing half made is left');

# ---- no room: no error, and no file
sub without_room
{
	my ($name, $before, $after) = @_;

	unlink map { "$directory/$_" } files();
	$before->();
	is(answers(''), $expected, "$name: the answers are right");
	is_deeply([ files() ], [], "$name: no file");
	$after->();
}
without_room('a directory that cannot be written', sub { rename $directory, "$directory.away"; append_to_file($directory, 'x') },
	sub { unlink $directory; rename "$directory.away", $directory });
my $small = $node->safe_psql('postgres', "SET tagrec.mapped_size = 1; $ask");
is($small, $answer, 'a limit that is too small: the answer is right');
is_deeply([ files() ], [], 'no file');

$session->quit;

# a file limit as of a full disk: the space is asked for before anything is written
answers('');
my $blocks = int((-s file_of('texts_item_v1')) / 1024) - 8;
$node->stop;
my $limited = "ulimit -f $blocks; exec " . join(' ', map { "'$_'" } 'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile,
	'-o', '--cluster-name=mapped', 'start');
SKIP:
{
	# the log is longer than the limit
	rename $node->logfile, $node->logfile . '.before';
	skip 'no ulimit -f here', 3 unless system('bash', '-c', $limited) == 0;
	$node->_update_pid(1);
	my $mark = -s $node->logfile;
	is($node->safe_psql('postgres', $ask), $answer, 'no space: the answer is right');
	like(slurp_file($node->logfile, $mark), qr/could not write file .*File too large/, 'the reason is in the log');
	is_deeply([ files() ], [], 'nothing is left of it');
	$node->stop;
}
$node->start;

# ---- the limit: those used longest ago go
answers('');
is(scalar(files()), 3, 'three files');
my $before = -s file_of('texts_item_v1');
utime 1, 1, file_of('texts_user_v1');
unlink file_of('numbers_item_v1');
my $all = 0;
$all += -s "$directory/$_" foreach (files());
my $limit = int($all / 1048576);
$node->safe_psql('postgres', "SET tagrec.mapped_size = $limit; SELECT count(*) FROM tagrec_recommend('numbers', 1)");
ok(!-e file_of('texts_user_v1') && -e file_of('texts_item_v1') && -e file_of('numbers_item_v1'), 'the oldest made room')
  or diag(join("\n", files()));

# ---- nothing is shared that is not committed
$node->safe_psql('postgres', q(BEGIN; SELECT large_model('draft', 'int', 5000, 10, 40, 40);
	SELECT count(*) FROM tagrec_recommend('draft', 1); ROLLBACK;));
is(scalar(files()), 2, 'a transaction that writes makes no file');

# ---- what is dropped goes
$session = $node->background_psql('postgres');
is($session->query_safe($ask), $answer, 'a session maps the first version');
$node->safe_psql('postgres', q(SELECT large_model('texts', 'text', 6000, 10, 65, 64, 2)));
my $old = file_of('texts_item_v1');
my $other = $session->query_safe($ask);
isnt($other, $answer, 'the session follows a deployment');
$session->query_safe(q(SELECT pg_backend_pid()));
ok(-e $old, 'the old version has its file');
$node->safe_psql('postgres', 'DROP TABLE texts_item_v1');
$node->safe_psql('postgres', q(SELECT large_model('last', 'int', 5000, 10, 40, 40)));
$node->safe_psql('postgres', q(SELECT count(*) FROM tagrec_recommend('last', 1)));
ok(!-e $old, 'its file is gone with the next one that is made');
$session->query_safe(q(SELECT count(*) FROM tagrec_recommend('last', 1)));
SKIP:
{
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	skip 'no /proc here', 1 unless -r "/proc/$pid/maps";
	my ($base) = $old =~ m{([^/]*)$};
	unlike(slurp_file("/proc/$pid/maps"), qr/\Q$base\E/, 'and no longer mapped by a session that has gone on');
}

# ---- sessions recommend while versions are deployed and files go: every answer is a version's
$node->safe_psql('postgres', "SELECT large_model('last', 'int', 5000, 10, 40, 40, $_)") foreach (2, 3);
my $last = q(SELECT md5(string_agg(r::text, ' ')) FROM generate_series(0, 9) u, LATERAL tagrec_recommend('last', u, 10) r);
my %right = map {
	my $version = $_;
	$node->safe_psql('postgres', qq(BEGIN; UPDATE tagrec_model SET deployed_version = $version WHERE model = 'last'; $last; ROLLBACK))
	  => $version
} (1 .. 3);
is(scalar(keys %right), 3, 'three versions, three answers');
append_to_file($node->basedir . '/many.sql', "$last;\n" x 150);
my @clients = map { { out => '', err => '' } } (1 .. 6);
$_->{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'),
	'-f', $node->basedir . '/many.sql' ], '>', \$_->{out}, '2>', \$_->{err}) foreach (@clients);
my $turns = 0;
while ($turns < 50 || grep { $_->{run}->pumpable } @clients)
{
	$node->safe_psql('postgres', "UPDATE tagrec_model SET deployed_version = $turns % 3 + 1 WHERE model = 'last'");
	unlink file_of('last_item_v' . ($turns % 3 + 1)) if $turns % 4 == 0;
	$_->{run}->pump_nb foreach (grep { $_->{run}->pumpable } @clients);
	last if ++$turns > 2000;
}
$_->{run}->finish foreach (@clients);
is(join('', map { $_->{err} } @clients), '', "no error in $turns deployments");
my @answered = map { split /\n/, $_->{out} } @clients;
is(scalar(@answered), 900, 'all answered');
is(scalar(grep { !$right{$_} } @answered), 0, 'nothing but answers of one version or another');
is_deeply([ grep { /new/ } files() ], [], 'nothing half made is left');
$node->safe_psql('postgres', q(UPDATE tagrec_model SET deployed_version = 1 WHERE model = 'last'));

# ---- databases: copied ones have files of their own, dropped ones leave none
$session->quit;
$node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');
is($node->safe_psql('copy', $ask), $other, 'a copied database recommends the same');
my $copied = file_of('texts_item_v2', 'copy');
ok(-e $copied && $copied ne file_of('texts_item_v2'), 'from a file of its own');
$node->safe_psql('postgres', 'DROP DATABASE copy');
unlink file_of('texts_item_v2');
is($node->safe_psql('postgres', $ask), $other, 'the other database goes on');
ok(!-e $copied, 'a dropped database leaves no file');

# ---- a crash: what was half made is removed, like everything else
append_to_file(file_of('texts_item_v2') . '.new', 'half');
$node->stop('immediate');
$node->start;
is_deeply([ files() ], [], 'a server that starts removes the files');
is($node->safe_psql('postgres', $ask), $other, 'and makes them again');
append_to_file(file_of('last_item_v1') . '.new', 'half');
$node->safe_psql('postgres', q(SELECT count(*) FROM tagrec_recommend('last', 1)));
ok(-e file_of('last_item_v1') && !-e file_of('last_item_v1') . '.new', 'what somebody left half made is finished');

# ---- a standby makes files of its own; a base backup has none
$node->backup('base');
is_deeply([ glob($node->backup_dir . '/base/base/pgsql_tmp/*') ], [], 'a base backup leaves the files out');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', $ask), $other, 'a standby recommends');
ok(scalar(glob($standby->data_dir . '/base/pgsql_tmp/pgsql_tmp.tagrec.*')), 'from its own file');
$standby->promote;
is($standby->safe_psql('postgres', $ask), $other, 'promoted as well');

# ---- a training makes the files before it is done; its model's sessions read no table
$node = PostgreSQL::Test::Cluster->new('trained');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nclient_min_messages = warning");
$node->start;
$directory = $node->data_dir . '/base/pgsql_tmp';
$node->safe_psql('postgres', q(
	CREATE EXTENSION tagrec;
	CREATE ROLE trainer LOGIN;
	GRANT CREATE ON SCHEMA public TO trainer;
	CREATE TABLE assignments AS SELECT u AS user_id, (u * 37 + i * 101) % 3000 AS item_id, 't' || i AS tag
		FROM generate_series(1, 300) u, generate_series(1, 30) i;
	GRANT SELECT ON assignments TO trainer;));

sub trains_with_files
{
	my ($name, $call, @relations) = @_;

	$node->safe_psql('postgres', $call, extra_params => [ '-U', 'trainer' ]);
	is_deeply([ files() ], [ sort map { s{.*/}{}r } map { file_of($_) } @relations ], "$name: the files are there")
	  or diag(join("\n", files()));
}
my $options = q('{"factors": 64, "epochs": 1, "keep_versions": 0}');
trains_with_files('a training', "SELECT tagrec_train('ours', 'assignments', 'ials', $options)", 'ours_item_v1');
$reads = reads_of('ours_item_v1');
$node->safe_psql('postgres', "SELECT count(*) FROM tagrec_recommend('ours', 1)");
is(reads_of('ours_item_v1'), $reads, 'the first session does not read the items');
trains_with_files('another version, whose predecessor goes', "SELECT tagrec_train('ours', 'assignments', 'ials', $options)",
	'ours_item_v2');

# what goes wrong with a file is no error of the job's
$node->append_conf('postgresql.conf', 'tagrec.mapped_size = 0');
$node->reload;
unlink map { "$directory/$_" } files();
trains_with_files('no files are wanted', "SELECT tagrec_train('ours', 'assignments', 'ials', $options)");

done_testing();
