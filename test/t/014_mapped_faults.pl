# Sessions that are killed at each step of making a shared file, and disks that are full at each: never a wrong answer, nothing
# but whole files, and nothing half made in the end. A library between the server and the C library counts the steps.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs LD_PRELOAD' unless $^O eq 'linux';

# $TAGREC_FAULT names a file with "kill N" or "full N": what becomes of the Nth step; "log" goes to <file>.log
my $shim = q(
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int steps;

/* Is this step to fail? */
static int
fault(const char *step, const char *path)
{
	char		what[32] = "";
	char		name[4096];
	int			n = 0;
	FILE	   *file;

	if (!getenv("TAGREC_FAULT") || !strstr(path, "pgsql_tmp.tagrec.") || !(file = fopen(getenv("TAGREC_FAULT"), "r")))
		return 0;
	if (fscanf(file, "%31s %d", what, &n) < 1)
		what[0] = 0;
	fclose(file);
	snprintf(name, sizeof(name), "%s.log", getenv("TAGREC_FAULT"));
	if ((file = fopen(name, "a")))
	{
		fprintf(file, "%s\n", step);
		fclose(file);
	}
	if (++steps != n)
		return 0;
	if (strcmp(what, "kill") == 0)
		kill(getpid(), SIGKILL);
	return strcmp(what, "full") == 0;
}

static int
fault_at(const char *step, int fd)
{
	char		link[64];
	char		path[4096];
	ssize_t		length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	path[length < 0 ? 0 : length] = 0;
	return fault(step, path);
}

#define REAL(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

int posix_fallocate(int fd, off_t at, off_t n)
{ return fault_at("posix_fallocate", fd) ? ENOSPC : REAL(posix_fallocate)(fd, at, n); }
int posix_fallocate64(int fd, off64_t at, off64_t n)
{ return fault_at("posix_fallocate", fd) ? ENOSPC : REAL(posix_fallocate64)(fd, at, n); }
int ftruncate(int fd, off_t n)
{ return fault_at("ftruncate", fd) ? (errno = ENOSPC, -1) : REAL(ftruncate)(fd, n); }
int ftruncate64(int fd, off64_t n)
{ return fault_at("ftruncate", fd) ? (errno = ENOSPC, -1) : REAL(ftruncate64)(fd, n); }
/* half of it is written */
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{ return fault_at("pwrite", fd) ? (errno = ENOSPC, -1) : REAL(pwrite)(fd, p, n > 1000000 ? n / 2 : n, at); }
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{ return fault_at("pwrite", fd) ? (errno = ENOSPC, -1) : REAL(pwrite64)(fd, p, n > 1000000 ? n / 2 : n, at); }
int futimens(int fd, const struct timespec *t)
{ return fault_at("futimens", fd) ? (errno = ENOSPC, -1) : REAL(futimens)(fd, t); }
int rename(const char *from, const char *to)
{ return fault("rename", from) ? (errno = ENOSPC, -1) : REAL(rename)(from, to); }
);

my $base = PostgreSQL::Test::Utils::tempdir();
append_to_file("$base/shim.c", $shim);
my $compiler = $ENV{CC} || 'cc';
plan skip_all => 'needs a C compiler'
  if system("$compiler -shared -fPIC -w -o '$base/shim.so' '$base/shim.c' -ldl >'$base/cc.log' 2>&1") != 0;

my $node = PostgreSQL::Test::Cluster->new('faults');
$node->init;
# what a session leaves that was killed stays there
$node->append_conf('postgresql.conf', "autovacuum = off\nlog_min_messages = debug1\nremove_temp_files_after_crash = off\nrestart_after_crash = on\nfsync = off");
$ENV{TAGREC_FAULT} = "$base/fault";
{
	local $ENV{LD_PRELOAD} = "$base/shim.so";
	$node->start;
}
$node->safe_psql('postgres', 'CREATE EXTENSION tagrec');
$node->safe_psql('postgres', slurp_file("$FindBin::Bin/../fixture/$_.sql")) foreach ('hand_made', 'large');
$node->safe_psql('postgres', q(SELECT large_model('many', 'int', 6000, 50, 65, 64)));

my $directory = $node->data_dir . '/base/pgsql_tmp';
my $ask = q(SELECT md5(string_agg(r::text, ' ')) FROM generate_series(0, 30) u, LATERAL tagrec_recommend('many', u, 10) r);

sub files
{
	return sort map { s{.*/}{}r } glob("$directory/pgsql_tmp.tagrec.*");
}

# The next session's faults
sub arrange
{
	my ($what) = @_;

	unlink "$base/fault", "$base/fault.log";
	append_to_file("$base/fault", $what);
}

sub up_again
{
	$node->poll_query_until('postgres', 'SELECT 1', '1') or die 'the server does not come back';
}

arrange('log');
my $expected = $node->safe_psql('postgres', "SET tagrec.mapped_size = 0; SET tagrec.fast_scan = off; $ask");
is($node->safe_psql('postgres', $ask), $expected, 'the answer from a file');
my @steps = split /\n/, slurp_file("$base/fault.log");
my @whole = files();
is(scalar(@whole), 1, 'which is there');
my %seen = map { $_ => 1 } @steps;
is_deeply([ sort keys %seen ], [qw(ftruncate futimens posix_fallocate pwrite rename)], 'each kind of step was seen');

foreach my $n (1 .. scalar(@steps))
{
	my $step = "step $n, $steps[$n - 1]";

	unlink map { "$directory/$_" } files();
	arrange("full $n");
	is($node->safe_psql('postgres', $ask), $expected, "the disk is full at $step: the answer is right");
	is_deeply([ files() ], [], 'and nothing is left');

	arrange("kill $n");
	$node->psql('postgres', $ask);
	up_again();
	is_deeply([ files() ], [ "$whole[0].new" ], "killed at $step: a file that has no name yet")
	  or diag(join(' ', files()));
	arrange('log');
	is($node->safe_psql('postgres', "SET tagrec.mapped_size = 0; $ask"), $expected, 'nobody uses it');
	is($node->safe_psql('postgres', $ask), $expected, 'the next session has the right answer');
	is_deeply([ files() ], \@whole, 'and makes the file');
}

# what was left half made does not count, nor stay, when another file is made
unlink map { "$directory/$_" } files();
arrange('kill ' . scalar(@steps));
$node->psql('postgres', $ask);
up_again();
is_deeply([ files() ], [ "$whole[0].new" ], 'one is half made');
arrange('log');
$node->safe_psql('postgres', q(SELECT large_model('others', 'int', 6000, 50, 65, 64)));
my $bytes = -s "$directory/$whole[0].new";
my $room = int($bytes * 1.5 / 1048576) + 1;
$node->safe_psql('postgres', "SET tagrec.mapped_size = $room; SELECT count(*) FROM tagrec_recommend('others', 1, 10)");
my @left = files();
is(scalar(@left), 1, 'the other one has its room');
unlike($left[0], qr/new|\Q$whole[0]\E/, 'and is the only one');

# sessions that make different files at once stay within the limit together
$node->safe_psql('postgres', "SELECT large_model('many$_', 'int', 6000, 50, 65, 64)") foreach (1 .. 6);
unlink map { "$directory/$_" } files();
my $two = int($bytes * 2.5 / 1048576);
my @runs = map {
	my %run = (out => '', err => '');
	$run{handle} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'),
		'-c', "SET tagrec.mapped_size = $two", '-c', "SELECT count(*) FROM tagrec_recommend('many$_', 1, 10)" ],
		'>', \$run{out}, '2>', \$run{err});
	\%run
} (1 .. 6);
my $most = 0;
while (grep { $_->{handle}->pumpable } @runs)
{
	# sizes that were taken while files came or went are not of one moment
	my ($all, @before) = (0, sort(files()));
	$all += -s "$directory/$_" || 0 foreach (@before);
	$most = $all if $all > $most && "@before" eq join(' ', sort(files()));
	$_->{handle}->pump_nb foreach (grep { $_->{handle}->pumpable } @runs);
}
$_->{handle}->finish foreach (@runs);
is(join('', map { "$_->{out}$_->{err}" } @runs), "10\n" x 6, 'six sessions with six files have their answers');
cmp_ok($most, '<=', $two * 1048576, 'and never took more than the limit');
is(scalar(grep { /new/ } files()), 0, 'nothing half made is left');
$node->stop;

done_testing();
