# An exported model, read by Python: the program of doc/how-to/export.md gives what the model answers. And one that goes to
# another database, whose encoding and collation are others.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('export');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "tagrec.threads = 1\n");
$node->start;
$node->safe_psql('postgres', $_)
  foreach (q{CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'}, 'CREATE ROLE guest LOGIN',
	q{CREATE EXTENSION tagrec;
	CREATE TABLE bookmarks AS SELECT u::bigint AS user_id, chr(192 + (u * 7 + k * k) % 50) || '''s' AS item_id,
		chr(224 + (u * u + k * 3) % 23) AS tag FROM generate_series(1, 100) u, generate_series(1, 10) k;
	SELECT tagrec_train('links', 'bookmarks', 'hdlpr_ns', '{"epochs": 3}')}, 'GRANT SELECT ON links_item_embedding TO guest');

sub archive_of
{
	my ($file) = @_;
	my $archive = $node->safe_psql('postgres', q{SELECT encode(tagrec_export('links'), 'hex')});
	open my $out, '>:raw', $file or die "$file: $!";
	print $out pack('H*', $archive);
	close $out or die "$file: $!";
	return $archive;
}

my $directory = PostgreSQL::Test::Utils::tempdir();
my $archive = archive_of("$directory/links.safetensors");
my $answer = q{SELECT item || ' ' || round(score::numeric, 3) FROM tagrec_recommend('links', 42, 3)};
my $expected = $node->safe_psql('postgres', $answer);
is(scalar(split /\n/, $expected), 3, 'there is an answer');

my $python = $ENV{TAGREC_PYTHON} // 'python3';
SKIP:
{
	skip 'Python with numpy and safetensors is not installed', 1
	  unless `$python -c 'import numpy, safetensors.numpy' 2>&1` eq '' && $? == 0;
	my ($program) = slurp_file("$FindBin::Bin/../../doc/how-to/export.md") =~ /^```python\n(.*?)^```/ms;
	append_to_file("$directory/program.py", $program);
	my ($stdout, $stderr);
	local $ENV{PYTHONIOENCODING} = 'UTF-8';
	IPC::Run::run([ 'sh', '-c', "cd '$directory' && $python program.py" ], '>', \$stdout, '2>', \$stderr);
	$stdout =~ s/^(.*) (\S+)$/sprintf('%s %.3f', $1, $2)/gme;
	chomp $stdout;
	is($stdout, $expected, 'the program of the documentation gives the same') or diag $stderr;
}

$node->safe_psql('latin', "CREATE EXTENSION tagrec; SELECT tagrec_import('links', decode('$archive', 'hex'))");
is($node->safe_psql('latin', "SET client_encoding = 'UTF8'; $answer"), $expected, 'a database of another encoding answers the same');

my ($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT tagrec_export('links')}, extra_params => [ '-U', 'guest' ]);
like($stderr, qr/must be owner of model "links"/, 'who may ask a model may not export it');
($ret, $stdout, $stderr) = $node->psql('postgres', qq{SELECT tagrec_import('links', decode('$archive', 'hex'))},
	extra_params => [ '-U', 'guest' ]);
like($stderr, qr/must be owner of model "links"/, '... nor import into it');
$node->safe_psql('postgres', 'CREATE SCHEMA guest AUTHORIZATION guest');
is($node->safe_psql('postgres', qq{SELECT tagrec_import('own', decode('$archive', 'hex'), 'guest')},
	extra_params => [ '-U', 'guest' ]), '1', 'what he was given he may import as his own');
is($node->safe_psql('postgres', q{SELECT owner FROM tagrec_models WHERE model = 'own'}), 'guest', '... and owns');

# A text that the database's encoding has no letter for
$node->safe_psql('postgres', q{UPDATE bookmarks SET tag = chr(8364) WHERE user_id = 1;
	SELECT tagrec_train('links', 'bookmarks', 'popularity')});
$archive = archive_of("$directory/links.safetensors");
($ret, $stdout, $stderr) = $node->psql('latin', "SELECT tagrec_import('links', decode('$archive', 'hex'))");
like($stderr, qr/has no equivalent in encoding "LATIN1"/, 'a letter that the encoding lacks is an error');

$node->stop;
done_testing();
