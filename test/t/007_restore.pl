# Dump and restore by a database's owner who is no superuser; and what the rights that a restore needs are not good for.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('restore');
$node->init;
$node->append_conf('postgresql.conf', 'tagrec.threads = 1');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE ROLE ann LOGIN CREATEDB;
	CREATE ROLE ben LOGIN;
	CREATE ROLE guest LOGIN;
	CREATE ROLE auditor LOGIN;
	CREATE DATABASE anns OWNER ann;
	CREATE DATABASE team OWNER ann});

# As a role, in a database: exit status, output and messages.
sub as
{
	my ($role, $database, $sql) = @_;
	my ($stdout, $stderr);
	my $ret = $node->psql($database, $sql, stdout => \$stdout, stderr => \$stderr, extra_params => [ '-U', $role ]);
	return ($ret, $stdout, $stderr);
}

sub works
{
	my ($role, $database, $sql, $what) = @_;
	my ($ret, $stdout, $stderr) = as($role, $database, $sql);
	is($ret, 0, $what) or diag $stderr;
	return $stdout;
}

sub refused
{
	my ($role, $database, $sql, $pattern, $what) = @_;
	my ($ret, $stdout, $stderr) = as($role, $database, $sql);
	like($stderr, $pattern, $what);
	return;
}

# Dumps one database and restores the dump in a new one, both as ann; more options of pg_restore may follow.
sub copy
{
	my ($from, $to, @options) = @_;
	my $file = $node->basedir . "/$to.dump";
	command_ok([ 'pg_dump', '-U', 'ann', '-Fc', '-f', $file, '-d', $node->connstr($from) ], "$from is dumped by its owner");
	works('ann', 'postgres', "CREATE DATABASE $to", "$to is made");
	command_ok([ 'pg_restore', '-U', 'ann', '--exit-on-error', @options, '-d', $node->connstr($to), $file ],
		"... and the dump restored in it without an error");
	return;
}

my $data = q{CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k};
my $tune = q{SELECT tagrec_tune('tuned', 'a', 'ials', '{"factors": [4, 8]}', 2, '{"epochs": 2, "validation": 0.2}')};

# ---------------------------------------------------------------- a database of the owner's own

works('ann', 'anns', "CREATE EXTENSION tagrec; $data", 'the owner of a database creates the extension');
works('ann', 'anns', q{SELECT tagrec_train('deep', 'a', 'hdlpr_ns', '{"layers": [4], "epochs": 2, "validation": 0.1}') FROM generate_series(1, 2)},
	'... trains a model twice');
works('ann', 'anns', q{SELECT tagrec_train('near', 'a', 'item_knn'), tagrec_train('labels', 'a', 'tag_product')},
	'... and others');
works('ann', 'anns', $tune, '... and tunes one');
refused('ann', 'anns', q{CREATE VIEW broken AS SELECT user_id, item_id, tag::int AS tag FROM a; SELECT tagrec_train('none', 'broken', 'popularity')},
	qr/invalid input syntax/, '... and has a job that fails');
works('ann', 'anns', q{GRANT SELECT ON deep_item_embedding TO guest}, '... and lets somebody use a model');

my $answers = q{
	SELECT string_agg(r::text, ' ' ORDER BY r.user_id, r.rank) FROM tagrec_recommend_all('deep', 3) r
	UNION ALL SELECT string_agg(r::text, ' ' ORDER BY r.user_id, r.rank) FROM tagrec_recommend_all('near', 3) r
	UNION ALL SELECT string_agg(n::text, ' ' ORDER BY n::text) FROM near_item_neighbour n
	UNION ALL SELECT string_agg(r::text, ' ' ORDER BY r.rank) FROM tagrec_recommend_tags('labels', 1, 'i8', 5) r
	UNION ALL SELECT tagrec_embed('deep', '{t1,t2}')::text};
my $registry = q{
	SELECT string_agg(v::text, ' ' ORDER BY v.model, v.version) FROM tagrec_versions v
	UNION ALL SELECT string_agg((j.job, j.model, j.kind, j.state, j.role, j.version, j.sqlstate, j.finished_at)::text, ' ' ORDER BY j.job) FROM tagrec_jobs j
	UNION ALL SELECT string_agg(e::text, ' ' ORDER BY e.job, e.trial, e.epoch) FROM tagrec_epochs e
	UNION ALL SELECT string_agg(t::text, ' ' ORDER BY t.job, t.trial) FROM tagrec_trials t};
my $before = works('ann', 'anns', $answers, 'the models answer');
my $known = works('ann', 'anns', $registry, '... and the registry tells of them');

copy('anns', 'annas');
is(works('ann', 'annas', $answers, 'the restored models answer'), $before, '... the same');
is(works('ann', 'annas', $registry, 'the registry is there'), $known, '... and says the same');
like(works('guest', 'annas', q{SELECT item FROM tagrec_recommend('deep', 1, 1)}, 'who might use a model may use it'), qr/^i\d+$/, '... and is answered');
refused('guest', 'annas', q{SELECT * FROM tagrec_recommend('near', 1)}, qr/permission denied for model "near"/, '... and no other');
is(works('ann', 'annas', q{SELECT tagrec_train('deep', 'a', 'popularity')}, 'a restored model is trained again'), '7',
	'... by the next job');
is(works('ann', 'annas', q{SELECT string_agg(version || ' ' || deployed, ', ' ORDER BY version) FROM tagrec_versions WHERE model = 'deep'}, 'its versions'),
	'2 false, 3 true', '... go on');
is(works('ann', 'annas', q{SELECT tagrec_rollback('deep')}, '... and back'), '2', '... to the restored one');
works('ann', 'annas', q{SELECT tagrec_refresh('deep')}, '... which is refreshed');
works('ann', 'annas', q{SELECT tagrec_train('new', 'a', 'popularity')}, 'a new model has a number of its own');
my $again = works('ann', 'annas', $tune, 'a tuning');
is(works('ann', 'annas', "SELECT string_agg(done_by::text, ' ') FROM tagrec_trials WHERE job = $again", 'its trials'),
	'5 5', '... are those of the tuning before the dump');
works('ann', 'annas', q{SELECT tagrec_drop(model) FROM tagrec_models}, 'and all are dropped');
is(works('ann', 'annas', q{SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND relname ~ '^(deep|near|labels|tuned|new)_'}, 'nothing of them'),
	'0', '... is left');

# in parallel, pg_restore keeps no order among the registry's tables: what has come too early is loaded again
works('ann', 'postgres', 'CREATE DATABASE parallel', 'a database to restore in, in parallel');
IPC::Run::run([ 'pg_restore', '-U', 'ann', '-j', '2', '-d', $node->connstr('parallel'), $node->basedir . '/annas.dump' ], '2>', \my $errors);
unlike($errors, qr/ERROR(?!.*(model \d+ does not exist|permission denied for job|foreign key))/, '... in which nothing else fails');
IPC::Run::run([ 'pg_restore', '-U', 'ann', '-a', '-t', "tagrec_$_", '-d', $node->connstr('parallel'), $node->basedir . '/annas.dump' ], '2>', \$errors)
  foreach qw(version epoch trial);
is(works('ann', 'parallel', $registry, 'then the registry'), $known, '... is whole');
is(works('ann', 'parallel', $answers, '... and the models'), $before, '... answer the same');

# ---------------------------------------------------------------- models of others in the database

works('ann', 'team', "CREATE EXTENSION tagrec; $data; GRANT SELECT ON a TO ben; CREATE SCHEMA ben", 'a database for a team');
$node->safe_psql('team', q{ALTER SCHEMA ben OWNER TO ben; GRANT USAGE ON SCHEMA ben TO ann; CREATE TABLE ben.secret AS SELECT * FROM a; ALTER TABLE ben.secret OWNER TO ben});
works('ben', 'team', q{SELECT tagrec_train('bens', 'secret', 'tag_bm25'), tagrec_train('bens2', 'a', 'popularity')}, 'in which others train, too');
works('ben', 'team', q{SELECT tagrec_tune('bens', 'secret', 'ials', '{"factors": [4]}', 1, '{"epochs": 1, "validation": 0.2}')}, '... and tune');
works('ben', 'team', q{GRANT SELECT ON bens_item_embedding TO ann}, '... and share');
works('ann', 'team', q{SELECT tagrec_train('m', 'a', 'popularity')}, '... beside the owner');
works('ann', 'team', q{SELECT tagrec_drop('m'); SELECT tagrec_train('m', 'a', 'popularity')}, '... who trains again');

# ---------------------------------------------------------------- what its owner's INSERT on the registry does not allow

my $job = q{INSERT INTO tagrec_job (model, kind, state, role, request) SELECT 'm', 'train', '%s', '%s', request FROM tagrec_job WHERE model = 'bens2' LIMIT 1};
my $version = q{INSERT INTO tagrec_version SELECT (jsonb_populate_record(v, '%s')).* FROM tagrec_version v JOIN tagrec_model USING (model_id) WHERE model = '%s' LIMIT 1};
my $denied = qr/permission denied to insert a job in state/;
refused('ann', 'team', sprintf($job, 'queued', 'ben'), qr/$denied "queued"/, 'no job is queued for another role');
refused('ann', 'team', sprintf($job, 'queued', 'ann'), qr/$denied "queued"/, '... or past tagrec_train()');
refused('ann', 'team', sprintf($job, 'running', 'ben'), qr/$denied "running"/, '... or running');
is(works('ann', 'team', sprintf($job, 'done', 'ben') . ' RETURNING role', 'a job that is done'), 'ann', '... is not another role\'s');
refused('ann', 'team', q{INSERT INTO tagrec_model (model, schema) VALUES ('bens', 'ben') ON CONFLICT (model) DO UPDATE SET schema = 'public'},
	qr/permission denied for table tagrec_model/, 'no row is changed');
refused('ann', 'team', q{DELETE FROM tagrec_version}, qr/permission denied for table tagrec_version/, '... or deleted');
refused('ann', 'team', q{COPY tagrec_job_error FROM STDIN}, qr/permission denied for table tagrec_job_error/, '... and errors are not restored');
$node->safe_psql('team', q{CREATE VIEW ben.forged_item_embedding AS SELECT 1 AS item_id; ALTER VIEW ben.forged_item_embedding OWNER TO ben;
	CREATE TABLE ben.hoped_user_versions (); ALTER TABLE ben.hoped_user_versions OWNER TO ben});
refused('ann', 'team', q{INSERT INTO tagrec_model (model, schema) VALUES ('forged', 'ben')}, qr/must be owner of relation ben\.forged_item_embedding/,
	'no model is made of another role\'s relations');
refused('ann', 'team', q{INSERT INTO tagrec_model (model, schema) VALUES ('hoped', 'ben')}, qr/must be owner of relation ben\.hoped_user_versions/, '... of any of them');
refused('ann', 'team', sprintf($version, '{"version": 7}', 'bens'), qr/must be owner of relation ben\.bens_user_embedding/,
	'another role\'s model has no version more');
refused('ann', 'team', q{WITH m AS (INSERT INTO tagrec_model (model_id, model, schema) OVERRIDING SYSTEM VALUE VALUES (99, 'x', 'public'))
	} . sprintf($version, '{"model_id": 99, "version": 1}', 'm'), qr/model 99 does not exist in tagrec_model/, 'nothing comes in between');
refused('ann', 'team', sprintf($version, '{"version": 7, "source": "ben.secret"}', 'm'), qr/permission denied for relation ben\.secret/,
	'one\'s own has no source that one may not read');
refused('ann', 'team', sprintf($version, '{"version": 7, "source": "secret"}', 'm'), qr/source secret of a version is not schema-qualified/,
	'... nor one that the search path is to find');
$node->safe_psql('team', q{CREATE TABLE public.m_item_v7 ()});
refused('ann', 'team', sprintf($version, '{"version": 7}', 'm'), qr/must be owner of relation public\.m_item_v7/, '... nor another role\'s partition');
refused('ann', 'team', sprintf($version, '{"version": 8, "items": -1}', 'm'), qr/violates check constraint/, '... nor impossible sizes');
refused('ann', 'team', sprintf($version, qq({"version": 8, $_}), 'm'), qr/violates check constraint/, "... none of whoever has it: $_")
  foreach ('"version": 0', '"version": 2147483647', '"items": 2147483647', '"users": 2100000000', '"tags": -2147483648',
	'"width": 2147483647, "unit_width": 0', '"width": -1', '"unit_width": 1000000', '"features": 8', '"features": -1', '"epochs": -1',
	'"best_epoch": 2147483647', '"assignments": -1', '"pairs": -1', '"task": "weather"', '"format": 0', '"refreshed_from": -1');
my $result = q{INSERT INTO tagrec_result SELECT (jsonb_populate_record(r, '%s')).* FROM tagrec_result r JOIN tagrec_model USING (model_id) WHERE model = '%s' LIMIT 1};
refused('ann', 'team', sprintf($result, '{"version": 7}', 'bens'), qr/must be owner of relation ben\.bens_user_embedding/,
	'another role\'s model has no result more');
refused('ann', 'team', sprintf($result, '{"version": 2147483647}', 'm'), qr/violates check constraint/, '... nor one\'s own one that the next version could not follow');
is($node->psql('team', q{INSERT INTO tagrec_model (model, schema) VALUES ('x', 'pg_temp')}), 3, '... even a superuser');
foreach my $row (q{'', 'public'}, q{repeat('x', 45), 'public'}, q{'x', 'pg_catalog'}, q{'x', 'pg_toast'}, q{'x', 'pg_temp'},
	q{'x', 'pg_temp_3'}, q{'x', 'information_schema'}, q{'x', ''})
{
	refused('ann', 'team', "INSERT INTO tagrec_model (model, schema) VALUES ($row)", qr/violates check constraint/, "no model is ($row)");
}
refused('ann', 'team', q{INSERT INTO tagrec_model (model_id, model, schema) OVERRIDING SYSTEM VALUE VALUES (-1, 'x', 'public')},
	qr/violates check constraint/, '... or has such a number');
refused('ann', 'team', sprintf(q{INSERT INTO tagrec_job SELECT (jsonb_populate_record(j, '{"job": %s, "epoch": %s}')).* FROM tagrec_job j LIMIT 1}, @$_),
	qr/violates check constraint/, "no job has number $$_[0] and epoch $$_[1]") foreach ([ 0, 1 ], [ -1, 1 ], [ 2000, -1 ]);
is(works('ann', 'team', q{BEGIN; INSERT INTO tagrec_model (model, schema, owner) VALUES ('x', 'public', 'ben') RETURNING owner; ROLLBACK},
	'a model of another role'), 'ann', '... is the restoring role\'s');
refused('ann', 'team', q{INSERT INTO tagrec_trial SELECT (jsonb_populate_record(t, '{"trial": 2, "value": 1}')).* FROM tagrec_trial t},
	qr/permission denied for job \d+\nDETAIL:  It belongs to another role/, 'another role\'s tuning has no trial more');
refused('ann', 'team', q{INSERT INTO tagrec_epoch SELECT job, 1, 1, 0, 0, 0, 0 FROM tagrec_job WHERE model = 'bens2' AND role = 'ben'},
	qr/permission denied for job \d+\nDETAIL:  It belongs to another role/, '... or epoch');
refused('ann', 'team', q{SET session_replication_role = replica}, qr/permission denied/, 'triggers are not switched off');
$node->safe_psql('team', 'GRANT SET ON PARAMETER session_replication_role TO ann');
refused('ann', 'team', 'SET session_replication_role = replica; ' . sprintf($job, 'queued', 'ben'), qr/$denied "queued"/, '... nor would it help');
$node->safe_psql('team', 'REVOKE SET ON PARAMETER session_replication_role FROM ann');
refused('ben', 'team', q{INSERT INTO tagrec_model (model, schema) VALUES ('x', 'ben')}, qr/permission denied for table tagrec_model/,
	'who does not own the database inserts nothing at all');
refused('ben', 'team', "SELECT * FROM $_", qr/permission denied for table $_/, '... and reads nothing of its own accord')
  foreach qw(tagrec_model tagrec_version tagrec_result tagrec_job tagrec_epoch tagrec_trial);
refused('ann', 'team', q{CREATE TRIGGER x BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION tagrec_guard()}, qr/permission denied for function tagrec_guard/,
	'the guard is for the registry alone');
# a job that has tuned another role's model on the same data, with a figure that cannot be beaten
works('ann', 'team', q{
	INSERT INTO tagrec_job SELECT (jsonb_populate_record(j, '{"job": 1000}')).* FROM tagrec_job j WHERE kind = 'tune' AND role = 'ben';
	INSERT INTO tagrec_trial SELECT (jsonb_populate_record(t, '{"job": 1000, "done_by": 1000, "value": 1}')).* FROM tagrec_trial t}, 'a forged tuning');
works('ben', 'team', q{SELECT tagrec_tune('bens', 'ben.secret', 'ials', '{"factors": [4]}', 1, '{"epochs": 1, "validation": 0.2}')}, 'the same once more');
is(works('ben', 'team', q{SELECT string_agg(DISTINCT (done_by = (SELECT min(job) FROM tagrec_jobs WHERE kind = 'tune' AND role = 'ben')) ||
	' ' || (value < 1), ' ') FROM tagrec_trials t JOIN tagrec_jobs j USING (job) WHERE j.role = 'ben'}, 'its trials'), 'true true',
	'... are the role\'s own');
refused('ben', 'team', q{SELECT fingerprint FROM tagrec_trial}, qr/permission denied for table tagrec_trial/, 'what its data hash to is not for everyone');

# a view in a partition's place would run its functions as the model's owner
works('ann', 'team', q{
	CREATE FUNCTION run() RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'ran as %', current_user; END$$;
	DROP TABLE m_item_v1 CASCADE;
	CREATE VIEW m_item_v1 AS SELECT 1 AS version, NULL::text AS item_id, run() AS "position", NULL::real[] AS embedding, NULL::int[] AS tags,
		NULL::real[] AS counts, 1 AS posts}, 'a view in a partition\'s place');
works('ann', 'team', q{CREATE TABLE t AS TABLE a}, '... is found by its name');
refused('ann', 'team', q{SELECT * FROM tagrec_evaluate('m', 't', version => 1)},
	qr/relation public\.m_item_v1 is not a table owned by the owner of model "m"/, '... is not read');

# ---------------------------------------------------------------- dumping and restoring it

$node->safe_psql('team', q{DROP VIEW m_item_v1; DROP TABLE m_item_v7; DROP VIEW ben.forged_item_embedding; DROP TABLE ben.hoped_user_versions});
works('ann', 'team', q{SELECT tagrec_drop('m'); DROP TABLE t; DROP FUNCTION run()}, 'order again');
$node->command_fails_like([ 'pg_dump', '-U', 'ann', '-f', '/dev/null', '-d', $node->connstr('team') ], qr/permission denied for table/,
	'what its owner may not read is not dumped');
$node->safe_psql('postgres', 'GRANT ben TO ann');
copy('team', 'restored');
is(works('ann', 'restored', q{SELECT string_agg(model || ' ' || owner, ', ' ORDER BY model) FROM tagrec_models}, 'the models'),
	'bens ben, bens2 ben', '... belong to whom they did');
is(works('ann', 'restored', q{SELECT string_agg(DISTINCT role, ' ') FROM tagrec_job WHERE kind = 'tune' AND job < 1000}, '... and so'), 'ben', '... do jobs');
works('ben', 'restored', q{SELECT tagrec_train('bens', 'secret', 'popularity')}, '... who train them again');
$node->safe_psql('postgres', 'REVOKE ben FROM ann');

my $file = $node->basedir . '/team.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $file, '-d', $node->connstr('team') ], 'a superuser\'s dump');
works('ann', 'postgres', 'CREATE DATABASE taken', 'is restored');
command_ok([ 'pg_restore', '-U', 'ann', '--exit-on-error', '--no-owner', '--no-acl', '-d', $node->connstr('taken'), $file ], '... with --no-owner');
is(works('ann', 'taken', q{SELECT string_agg(model || ' ' || owner, ', ' ORDER BY model) FROM tagrec_models}, 'its models'),
	'bens ann, bens2 ann', '... are then the restoring role\'s');
is(works('ann', 'taken', q{SELECT string_agg(DISTINCT role, ' ') FROM tagrec_job}, 'and its'), 'ann', '... jobs');
works('ann', 'taken', q{SELECT tagrec_train('bens', 'ben.secret', 'popularity')}, '... which trains them again');

$node->safe_psql('postgres', 'CREATE DATABASE whole');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('whole'), $file ], 'a superuser restores it');
is($node->safe_psql('whole', q{SELECT string_agg(DISTINCT role, ' ') FROM tagrec_job WHERE kind = 'tune' AND job < 1000}), 'ben', '... with jobs of all roles');

# ---------------------------------------------------------------- roles come and go

$node->safe_psql('anns', q{CREATE ROLE heir LOGIN; REASSIGN OWNED BY ann TO heir; DROP OWNED BY ann});
is($node->safe_psql('anns', q{SELECT count(*) FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
	WHERE d.datname = 'anns' AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = 'ann')}), '0',
	'the extension does not hold on to who created it');
command_ok([ 'pg_dump', '-U', 'heir', '-f', '/dev/null', '-d', $node->connstr('anns') ], 'the next owner of the database dumps it');

done_testing();
