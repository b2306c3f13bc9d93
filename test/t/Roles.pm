# Statements as roles of a test's server, and what is to come of them.
package Roles;
use strict;
use warnings;

use Exporter 'import';
use Test::More;

our @EXPORT = qw(roles_of as refused works);

my ($node, $database);

# Where the statements run.
sub roles_of
{
	($node, $database) = @_;
	return;
}

# As a role: exit status, output and messages.
sub as
{
	my ($role, $sql) = @_;
	my ($stdout, $stderr);
	my $ret = $node->psql($database, $sql, stdout => \$stdout, stderr => \$stderr, extra_params => [ '-U', $role ]);
	return ($ret, $stdout, $stderr);
}

sub refused
{
	my ($role, $sql, $pattern, $what) = @_;
	my ($ret, $stdout, $stderr) = as($role, $sql);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($stderr, $pattern, $what);
	return;
}

sub works
{
	my ($role, $sql, $what) = @_;
	my ($ret, $stdout, $stderr) = as($role, $sql);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($ret, 0, $what) or diag $stderr;
	return $stdout;
}

1;
