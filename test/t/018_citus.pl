# A cluster of Citus, where that is installed: a model is trained on the coordinator from distributed rows, and sent to the
# nodes, where queries on distributed users are answered.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $pkglibdir = `pg_config --pkglibdir`;
chomp $pkglibdir;
plan skip_all => 'Citus is not installed' unless -e "$pkglibdir/citus.so";

my @nodes = map {
	my $node = PostgreSQL::Test::Cluster->new("node$_", own_host => 1);
	$node->init;
	$node->append_conf('postgresql.conf', join "\n", q{shared_preload_libraries = 'citus'}, q{listen_addresses = '127.0.0.1'},
		'wal_level = logical', 'max_prepared_transactions = 50', 'max_worker_processes = 32', 'max_connections = 200',
		'tagrec.threads = 1', '');
	$node->append_conf('pg_hba.conf', "host all all 127.0.0.1/32 trust\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION citus');
	$node
} 0 .. 2;
my ($coordinator, @workers) = @nodes;

sub query
{
	my ($node, $sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub refused
{
	my ($node, $sql, $pattern, $what) = @_;
	my ($ret, $stdout, $stderr) = $node->psql('postgres', $sql);
	like($stderr, $pattern, $what);
	return;
}

query($coordinator, sprintf q{SELECT citus_set_coordinator_host('127.0.0.1', %d)}, $coordinator->port);
query($coordinator, sprintf q{SELECT citus_add_node('127.0.0.1', %d)}, $_->port) foreach @workers;
query($coordinator, $_)
  foreach ('CREATE EXTENSION tagrec', 'CREATE TABLE users (id bigint PRIMARY KEY, name text)',
	'CREATE TABLE bookmarks (user_id bigint, item_id text, tag text, stars int)', q{SELECT create_distributed_table('users', 'id')},
	q{SELECT create_distributed_table('bookmarks', 'user_id', colocate_with => 'users')},
	q{INSERT INTO users SELECT u, 'user ' || u FROM generate_series(1, 100) u},
	q{INSERT INTO bookmarks SELECT u::bigint AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u * u + k) % 20 AS tag,
		1 + (u + k * k) % 5 AS stars FROM generate_series(1, 100) u, generate_series(1, 10) k});

my ($ret, $stdout, $stderr) =
  $coordinator->psql('postgres', q{SELECT tagrec_train('links', 'bookmarks', 'hdlpr_ns', '{"epochs": 2}')});
is($ret, 0, 'trained from distributed rows');
unlike($stderr, qr/WARNING/, '... without a warning that relations are on this node alone');

refused($workers[0], q{SELECT tagrec_train('links', 'bookmarks')}, qr/ERROR:  cannot train on a worker node of a cluster/,
	'training on a worker node is refused');
refused($coordinator, q{SELECT r.* FROM users u, LATERAL tagrec_recommend('links', u.id) r},
	qr/ERROR:  model "links" does not exist on this node\n.*another node/, 'a node that lacks the model says that it does');

# As the page about several servers has it.
# The statement that sends a model is the page's.
my ($send) = slurp_file('doc/how-to/scale-out.md') =~ /(SELECT nodename, .*?);\n/s;
sub send_model
{
	my $model = shift;
	return query($coordinator, $send =~ s/'links'/'$model'/gr) =~ s/^127\.0\.0\.1\|\d+\|//gmr =~ tr/\n/ /r;
}
is(send_model('links'), 't|1 t|1', 'the model is sent to the workers');

my $each = q{SELECT string_agg(u || ' ' || r, ' ' ORDER BY u, r.rank) FROM generate_series(1, 100) u, LATERAL tagrec_recommend('links', u, 3) r};
my $pushed = q{SELECT u.id || ' ' || r FROM users u, LATERAL tagrec_recommend('links', u.id, 3) r ORDER BY u.id, r.rank};
my $expected = query($coordinator, $each);
foreach my $i (0 .. 2)
{
	is(query($nodes[$i], $each), $expected, "node $i answers");
	is(join(' ', split /\n/, query($nodes[$i], $pushed)), $expected, "... and asks the nodes of distributed users");
}

# Every function that asks a model, on every node. Some need a model of tags, of values, or of neighbours.
query($coordinator, q{SELECT tagrec_train('posts', 'bookmarks', 'dae_ptr', '{"epochs": 2}')});
query($coordinator, q{SELECT tagrec_train('stars', 'bookmarks', 'mf', '{"epochs": 2}', value_column => 'stars')});
query($coordinator, q{SELECT tagrec_train('near', 'bookmarks', 'item_knn')});
is(send_model($_), 't|1 t|1', "$_ is sent, too") foreach 'posts', 'stars', 'near';
my @functions = split /\n/, <<'END';
tagrec_recommend('links', 42, 3)
tagrec_recommend('links', 42, 3, candidates_from => 'few')
tagrec_recommend('links', 42, 3, fresh => true)
tagrec_recommend_as(NULL::text, 'links', 42, 3)
tagrec_recommend_all('links', 1)
tagrec_recommend_all_as(NULL::bigint, NULL::text, 'links', 1)
tagrec_recommend_for_tags('links', '{t3,t4}', n => 3)
tagrec_recommend_for_tags_as(NULL::text, 'links', '{t3,t4}', n => 3)
tagrec_recommend_for_items('links', ARRAY['i7', 'i8'], n => 3)
tagrec_recommend_for_items_as(NULL::text, 'links', ARRAY['i7', 'i8'], n => 3)
tagrec_recommend_users('links', 'i7', 3)
tagrec_recommend_users_as(NULL::bigint, 'links', 'i7', 3)
tagrec_recommend_tags('posts', 42, 'i7', 3)
tagrec_similar_items('links', 'i7', 3)
tagrec_similar_items_as(NULL::text, 'links', 'i7', 3)
tagrec_similar_users('links', 42, 3)
tagrec_similar_users_as(NULL::bigint, 'links', 42, 3)
tagrec_score('links', 42, 'i7')
tagrec_predict('stars', 42, 'i7')
tagrec_embed('links', '{t3,t4}')
tagrec_explain('links', 42, 'i7', 3)
tagrec_explain_items('near', 42, 'i7', 3)
tagrec_feature_tags('links', 1, 3)
tagrec_topics('links', 2, 3)
tagrec_evaluate('links', 'bookmarks', '{5}', false)
tagrec_evaluate_lists('links', 'bookmarks', '{5}', false)
tagrec_evaluate_users('links', 'bookmarks', '{5}', false)
tagrec_compare('{links,near}', 'bookmarks', '{5}', exclude_seen => false)
tagrec_stale('links')
END
query($coordinator, $_) foreach 'CREATE TABLE few (item text)', q{SELECT create_reference_table('few')},
	q{INSERT INTO few SELECT 'i' || i FROM generate_series(1, 20) i};
foreach my $function (@functions)
{
	my $sql = "SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM $function r";
	my $answer = query($coordinator, $sql);
	isnt($answer, '', "$function on the coordinator");
	is(query($_, $sql), $answer, '... and on ' . $_->name) foreach @workers;
}

# New versions and moving shards, while others ask: each list is of one version, and has three items.
my %load = map {
	my ($node, $output) = ($_, '');
	$node->port => { output => \$output,
		run => IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \ join('', map {
				q{SELECT count(*) = 300 FROM users u, LATERAL tagrec_recommend('links', u.id, 3) r;} . "\n" } 1 .. 40), '>', \$output, '2>&1') }
} @nodes;
foreach my $algorithm (qw(popularity item_knn hdlpr_ns))
{
	query($coordinator, "SELECT tagrec_train('links', 'bookmarks', '$algorithm')");
	like(send_model('links'), qr/^t.* t/, "$algorithm is sent");
}
query($coordinator, q{SELECT citus_move_shard_placement(shardid, nodename, nodeport, '127.0.0.1',
	(SELECT nodeport FROM pg_dist_node WHERE groupid <> 0 AND nodeport <> s.nodeport LIMIT 1), 'block_writes')
	FROM (SELECT * FROM citus_shards WHERE table_name = 'users'::regclass ORDER BY shardid LIMIT 1) s});
foreach my $node (@nodes)
{
	$load{ $node->port }{run}->finish;
	is(${ $load{ $node->port }{output} }, "t\n" x 40, 'whole answers through ' . $node->name . ' meanwhile');
}
is(join(' ', split /\n/, query($workers[0], $pushed)), query($coordinator, $each), 'afterwards the new version answers');

# Privileges are each node's.
query($coordinator, 'CREATE ROLE reader LOGIN');
query($coordinator, 'GRANT SELECT ON users TO reader');
my ($code, $out, $err) = $workers[0]->psql('postgres', $each, extra_params => [ '-U', 'reader' ]);
like($err, qr/permission denied for model "links"|may not use|permission denied/, 'a role without privileges on a node is refused there');
query($coordinator, q{SELECT run_command_on_all_nodes('GRANT SELECT ON links_item_embedding TO reader')});
is($workers[0]->safe_psql('postgres', $each, extra_params => [ '-U', 'reader' ]), query($coordinator, $each), '... and with them is answered');

# A node that is down
my $one = q{SELECT u.id || ' ' || r FROM users u, LATERAL tagrec_recommend('links', u.id, 3) r WHERE u.id = %d ORDER BY r.rank};
my %home = map { split /\|/ } split /\n/, query($coordinator, q{SELECT u, nodeport FROM generate_series(1, 100) u
	JOIN citus_shards s ON s.table_name = 'users'::regclass AND s.shardid = get_shard_id_for_distribution_column('users', u)});
my ($here) = grep { $home{$_} == $workers[0]->port } sort keys %home;
my ($gone) = grep { $home{$_} == $workers[1]->port } sort keys %home;
my %answer = map { $_ => query($coordinator, sprintf $one, $_) } $here, $gone;
my $version = q{SELECT deployed_version FROM tagrec_models WHERE model = 'links'};
my $deployed = query($coordinator, $version);
my $unreachable = qr/ERROR:  connection to the remote node \S+ failed with the following error: /;
$workers[1]->stop('immediate');
foreach my $node ($coordinator, $workers[0])
{
	my $name = $node->name;
	refused($node, $pushed, $unreachable, "through $name not all users can be asked for");
	is(query($node, sprintf $one, $here), $answer{$here}, '... a user of a node that is up can');
	refused($node, sprintf($one, $gone), $unreachable, '... one of the node that is down cannot');
	is(query($node, "SELECT $gone || ' ' || r FROM tagrec_recommend('links', $gone, 3) r ORDER BY r.rank"), $answer{$gone},
		'... but for an answer of this node itself');
	refused($node, "SELECT * FROM tagrec_recommend('links', $gone, 3, fresh => true)", $unreachable,
		'... and not with fresh, which reads the rows');
}
refused($coordinator, q{SELECT tagrec_train('links', 'bookmarks', 'popularity')}, $unreachable, 'there is no training from its rows');
is(query($coordinator, $version), $deployed, '... and the model stays as it is');
like(send_model('links'), qr/^t\|\d+ f\|failed to connect/, 'sending a model says which node does not have it');
$workers[1]->start;
is(query($_, sprintf $one, $gone), $answer{$gone}, 'back again, it is asked through ' . $_->name) foreach @nodes;
$_->stop foreach @nodes;

done_testing();
