# Devices: the CUDA library missing, broken, without what it needs, without a device; one that works, one that fails, one that cannot do all.
use strict;
use warnings;

use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir();
my $library = "$directory/tagrec_cuda.so";

my $node = PostgreSQL::Test::Cluster->new('devices');
$node->init;
$node->append_conf('postgresql.conf', "tagrec.threads = 1\ndynamic_library_path = '$directory:\$libdir'\n");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 60) u, generate_series(1, 10) k;
});

# Trains a model; returns what psql put on stderr: NOTICEs and ERRORs.
sub train
{
	my ($device, $algorithm, $options) = @_;
	my ($status, $out, $err) = $node->psql('postgres',
		sprintf(q{SELECT tagrec_train('m', 'a', '%s', '%s', device => '%s')}, $algorithm // 'popularity', $options // '{}', $device));
	return $err;
}

# What happens with a library that cannot be used: one clear error, or the CPU and a notice; and the server is well.
sub check_unusable
{
	my ($what, $reason) = @_;
	my $err = train('cuda');
	like($err, qr/ERROR:  device "cuda" is not available\s+DETAIL:  .*$reason/s, "$what: an error for cuda");
	unlike($err, qr/connection|trained version/, '... and no more than that');
	$err = train('auto');
	like($err, qr/NOTICE:  training on the CPU because device "cuda" is not available\s+DETAIL:  .*$reason/s,
		"$what: a notice for auto");
	like($err, qr/trained version \d+ of model "m".*cpu, /s, '... and it trains on the CPU');
	unlike(train('cpu'), qr/cuda/, "$what: no word of it for cpu");
	($_, my $out, $err) = $node->psql('postgres', 'SELECT device FROM tagrec_devices()');
	is($out, 'cpu', "$what: tagrec_devices() lists the CPU");
	like($err, qr/NOTICE:  device "cuda" is not available\s+DETAIL:  .*$reason/s, '... and says why not more');
}

# ---------------------------------------------------------------- no library

SKIP:
{
	skip 'tagrec_cuda is installed', 4 if -e $node->config_data('--pkglibdir') . '/tagrec_cuda.so';
	like(train('cuda'), qr/ERROR:  device "cuda" is not available\s+DETAIL:  Library "tagrec_cuda" is not installed\.\s+HINT:  Build/,
		'no library: an error for cuda');
	unlike(train('auto'), qr/cuda/, '... and no word of it for auto');
	my ($status, $out, $err) = $node->psql('postgres', 'SELECT device, memory > 1e6, compute_capability IS NULL FROM tagrec_devices()');
	is($out, 'cpu|t|t', '... and tagrec_devices() lists the CPU');
	like($err, qr/NOTICE:  device "cuda" is not available\s+DETAIL:  Library "tagrec_cuda" is not installed\./, '... and says why not more');
}

# ---------------------------------------------------------------- precision on a CPU

my $layers = '"layers": [64], "epochs": 1, "threads": 1';
like(train('cpu', 'hdlpr_ns', "{$layers, \"precision\": \"tf32\"}"),
	qr/NOTICE:  matrices are multiplied in fp32 because precision "tf32" is not available\s+DETAIL:  A CPU multiplies in fp32 or bf16\./,
	'a CPU has no tf32: a notice');
unlike(train('cpu', 'hdlpr_ns', "{$layers}"), qr/because precision/, 'fp32: no word of it');

my $bf16 = train('cpu', 'hdlpr_ns', "{$layers, \"precision\": \"bf16\"}");
my $with = $bf16 =~ /trained version \d+ of model "m".*bf16 by oneDNN \d/s;
my $without = $bf16 =~ /because precision "bf16" is not available\s+DETAIL:  The \S+/;
ok(($with xor $without), 'bf16: it is told either what multiplies or why not: ' . ($with ? 'oneDNN' : 'fp32'));

# oneDNN cannot be loaded: it trains all the same
{
	mkdir "$directory/broken";
	append_to_file("$directory/broken/libdnnl.so.$_", 'not a library') foreach 2, 3;
	local $ENV{LD_LIBRARY_PATH} = "$directory/broken";
	$node->restart;
	$bf16 = train('cpu', 'hdlpr_ns', "{$layers, \"precision\": \"bf16\"}");
	like($bf16, qr/fp32 because precision "bf16" is not available\s+DETAIL:  The (library oneDNN \(libdnnl\) is not installed|processor has no AVX512-BF16 instructions)\./,
		'no oneDNN: a notice');
	like($bf16, qr/trained version \d+ of model "m"/, '... and a model');
}
$node->restart;

# ---------------------------------------------------------------- a library that cannot be loaded

append_to_file($library, 'not a library');
check_unusable('a broken file', 'Could not open library "tagrec_cuda.so": .*(too short|invalid ELF header)');
unlink $library;

# Compiles C text to a library.
sub compile
{
	my ($to, $text, @flags) = @_;
	open(my $file, '>', "$directory/source.c") or die;
	print $file $text;
	close $file;
	return system('cc', '-shared', '-fPIC', '-o', $to, "$directory/source.c", @flags) == 0;
}

# As the start of TrBackendOps and TrError; the version is that of the installed CPU library.
my $declarations = q{
	#include <stdio.h>
	typedef struct { int status; char message[512], detail[1024], hint[512]; } Error;
	typedef struct { unsigned version; const char *name; int (*open)(void **, const void *, Error *); void *rest[64]; } Ops;
};

SKIP:
{
	skip 'there is no cc', 28 unless compile("$directory/libabsent.so", 'int absent_function(void) { return 1; }');

	compile($library, 'int absent_function(void); void *tagrec_backend_ops(void) { absent_function(); return 0; }',
		"-L$directory", '-labsent');
	unlink "$directory/libabsent.so";
	check_unusable('a library that needs one that is missing', 'libabsent\.so: cannot open shared object file');

	compile($library, 'int cuLaunchKernel(void); void *tagrec_backend_ops(void) { cuLaunchKernel(); return 0; }');
	check_unusable('a library whose dependency lacks a symbol', 'undefined symbol: cuLaunchKernel');

	compile($library, 'int nothing;');
	check_unusable('a library without the entry point', 'is not compatible with this version of tagrec');

	compile($library, "$declarations static Ops ops = {9999, \"cuda\"}; Ops *tagrec_backend_ops(void) { return &ops; }");
	check_unusable('a library of another version', 'is not compatible with this version of tagrec');
}

# ---------------------------------------------------------------- a library that works: the CPU's under another name

unlink $library;
copy($node->config_data('--pkglibdir') . '/tagrec_cpu.so', $library) or die "copy: $!";
like(train('cuda'), qr/trained version \d+ of model "m"/, 'cuda trains with the library that is there');
unlike(train('auto'), qr/not available/, '... and auto, too');
like(train('cuda:3', 'popularity', '{"precision": "tf32"}'), qr/trained version \d+ of model "m"/, '... a card by its number, and a precision');
like($node->safe_psql('postgres', 'SELECT count(*) FROM tagrec_devices()'), qr/^1$/, 'a library that lists no devices');

# Compiles a library that is the CPU's with a changed table of operations, ops: functions and what becomes of it. False without cc or source.
sub compile_changed
{
	my ($functions, $changes) = @_;
	my $text = sprintf(q{
		#include <dlfcn.h>
		#include <unistd.h>
		#include "core/backend.h"
		static TrBackendOps ops;
		static TrStatus (*open_device) (TrBackend **, const TrBackendConfig *, TrError *);
		static TrStatus open_cpu(TrBackend **b, const TrBackendConfig *config, TrError *err)
		{
			TrStatus status = open_device(b, config, err);
			if (status == TR_OK)
				(*b)->ops = &ops;
			return status;
		}
		%s
		__attribute__((visibility("default"))) const TrBackendOps *tagrec_backend_ops(void)
		{
			TrBackendSymbol symbol;
			*(void **) &symbol = dlsym(dlopen("%s/tagrec_cpu.so", RTLD_NOW), TR_BACKEND_SYMBOL);
			ops = *symbol();
			open_device = ops.open;
			ops.open = open_cpu;
			%s
			return &ops;
		}
	}, $functions, $node->config_data('--pkglibdir'), $changes);
	unlink $library;
	return -f 'src/core/status.h' && compile($library, $text, '-Isrc', '-fvisibility=hidden', '-D_GNU_SOURCE', '-ldl');
}

# ---------------------------------------------------------------- a device that fails, and takes its process with it

SKIP:
{
	my $lose = sprintf(q{
		static TrStatus (*finish) (TrBackend *, TrError *);
		static bool dead;
		static TrStatus lose(TrBackend *b, TrError *err)
		{
			dead = unlink("%s/lose") == 0 || dead;
			return dead ? tr_fail(err, TR_BACKEND, "the device was lost") : finish(b, err);
		}
	}, $directory);
	skip 'there is no cc, or no source', 3 unless compile_changed($lose, 'finish = ops.finish; ops.finish = lose;');
	train('cuda', 'hdlpr_ns', '{"epochs": 1}');
	$node->safe_psql('postgres', q{
		INSERT INTO tagrec_job (model, state, role, request)
		SELECT model, 'queued', role, request FROM tagrec_job WHERE state = 'done' AND request->>'device' = 'cuda' ORDER BY job DESC LIMIT 1});
	append_to_file("$directory/lose", 'once');
	like(train('cuda', 'hdlpr_ns', '{"epochs": 1}'), qr/ERROR:  .*the device was lost/, 'a device that fails: its job says so');
	ok($node->poll_query_until('postgres', q{SELECT state IN ('done', 'failed') FROM tagrec_job ORDER BY job LIMIT 1 OFFSET (
		SELECT count(*) - 2 FROM tagrec_job)}), 'the job that was queued behind it ends');
	is($node->safe_psql('postgres', q{SELECT string_agg(state, ' ' ORDER BY job) FROM (SELECT * FROM tagrec_job ORDER BY job DESC LIMIT 2) j}),
		'done failed', '... well, in another worker');
}

# ---------------------------------------------------------------- a device that lacks an operation

SKIP:
{
	skip 'there is no cc, or no source', 5 unless compile_changed('', 'ops.name = "lesser"; ops.regress_rows = NULL;');
	my $err = train('cuda', 'ials', '{"epochs": 1, "factors": 2}');
	like($err, qr/ERROR:  algorithm "ials" cannot be trained on device "lesser"\s+HINT:  Train it on the CPU/,
		'an algorithm that needs what the device cannot do: an error for cuda');
	unlike($err, qr/trained version/, '... and no more than that');
	$err = train('auto', 'ials', '{"epochs": 1, "factors": 2}');
	like($err, qr/NOTICE:  training on the CPU because algorithm "ials" cannot use device "lesser"\s+DETAIL:  Algorithm "ials" cannot be/,
		'... a notice for auto');
	like($err, qr/trained version \d+ of model "m".*cpu, /s, '... and it trains on the CPU');
	unlike(train('auto', 'popularity'), qr/lesser/, '... where another algorithm finds all it needs');
}

# ---------------------------------------------------------------- a device with little memory

SKIP:
{
	skip 'there is no cc, or no source', 3
		unless compile_changed('static size_t available(TrBackend *b) { (void) b; return 1 << 10; }', 'ops.name = "small"; ops.available = available;');
	like(train('cuda', 'hdlpr_ns', '{"epochs": 1}'),
		qr/WARNING:  training needs about \d+ MB, but device "small" has 0 MB free\s+HINT:.*trained version \d+ of model "m"/s,
		'a device that may be too small: a warning, and a trial');
	unlike(train('cpu', 'hdlpr_ns', '{"epochs": 1}'), qr/WARNING/, '... which the CPU is spared');
	compile_changed('static size_t available(TrBackend *b) { (void) b; return (size_t) 1 << 40; }', 'ops.available = available;');
	unlike(train('cuda', 'hdlpr_ns', '{"epochs": 1}'), qr/WARNING/, '... and a large device');
}

$node->stop;
done_testing();
