#!/usr/bin/env python3
"""Changes stored rows, weights, columns and the registry of models of every algorithm at random, asks every query function, and
reports crashes, hangs, internal errors (XX000) and answers that are NaN. Needs a superuser's connection to a server with tagrec that may be
crashed; PGHOST and the like say which. Each round is undone. With --commit a round may also be committed in a copy of the database, asked in two
new sessions, and the model refreshed and trained again, so that workers read what was changed. With --large the models have rows enough for
the files that sessions share.

    test/bench/fuzz_rows.py [--rounds 10000] [--seed 1] [--only ccs,blend] [--commit 0.01] [--large]
"""
import argparse
import collections
import os
import random
import re
import subprocess
import sys
import time

DATABASE = 'tagrec_fuzz'
FIXTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fixture', 'hostile_rows.sql')
BATCH = 40
LARGE = False
INTS = [0, 1, -1, 2, 3, 5, 6, 7, 8, 9, 10, 12, 13, 100, 1023, 1024, 1025, 65535, 65536, 32768, 1000000, 2147483647, -2147483648, 2147483646]
FLOATS = ["'NaN'", "'infinity'", "'-infinity'", '0', '-0.0', '1', '-1', '0.5', '1.5', '2', '3', '6', '8', '1024', '-1024', '16777217', '2147483648', '-2147483649',
          '4294967296', '1e-45', '3e38', '-3e38', '1e18']
COLUMNS = {
    'user': {'embedding': 'real', 'seen': 'int', 'tags': 'int', 'counts': 'real', 'features': 'int', 'feature_values': 'real', 'post_ends': 'int', 'post_tags': 'int'},
    'item': {'position': None, 'embedding': 'real', 'tags': 'int', 'counts': 'real', 'posts': None},
    'tag': {'position': None, 'tag': 'text'},
    'weight': {'name': 'text', 'part': None, 'rows': None, 'cols': None, 'value': 'real'},
    'neighbour': {'feature': None, 'items': 'int', 'weights': 'real'},
}
ROWS = {'user': ['user_id = 1', 'user_id = 2', 'true'], 'item': ['item_id = 1', 'item_id = 2', 'true'], 'tag': ['position = 1', 'true'],
        'weight': ["name = (SELECT name FROM {0} ORDER BY md5(name || '{1}') LIMIT 1)"] * 8 + ['true'],
        'neighbour': ["feature = (SELECT feature FROM {0} ORDER BY md5(feature || '{1}') LIMIT 1)"] * 2 + ['true']}
TYPES = ['int', 'bigint', 'smallint', 'text', 'real', 'float8', 'boolean', 'int[]', 'bigint[]', 'real[]', 'float8[]', 'text[]', 'jsonb', 'numeric', 'record[]', 'name', 'bytea']
REGISTRY_INTS = ['width', 'unit_width', 'features', 'users', 'items', 'tags', 'format', 'assignments', 'pairs']


def psql(database, script, limit=300):
    """Output, messages, and whether it had to be ended."""
    try:
        done = subprocess.run(['psql', '-qXAt', '-d', database], input=script, capture_output=True, text=True, timeout=limit)
        return done.stdout, done.stderr, False
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b'').decode(errors='replace'), (late.stderr or b'').decode(errors='replace'), True


def element(r, kind):
    if r.random() < 0.08:
        return 'NULL'
    return str(r.choice(INTS)) if kind == 'int' else r.choice(FLOATS)


def array_value(r, column, kind):
    """A changed array, as an expression."""
    one = f'{element(r, kind)}::{kind}'
    place = r.randint(1, 12)
    return r.choice([
        *[f'{column}[:{place} - 1] || {one} || {column}[{place} + 1:]'] * 8,
        f'{column}[:cardinality({column}) - 1] || {one}',
        f'{one} || {column}[2:]',
        f'{column} || {one}', f'{one} || {column}', f'{column}[2:]', f'{column}[:cardinality({column}) - 1]', f'{column} || {column}',
        f'{column}[:{place} - 1] || {column}[{place + 1}] || {column}[{place}] || {column}[{place} + 2:]',
        f"(SELECT array_agg(x ORDER BY md5(o || '{r.random()}')) FROM unnest({column}) WITH ORDINALITY y (x, o))",
        f'ARRAY[{column}]', f'(SELECT array_agg(ARRAY[x]) FROM unnest({column}) x)', "'{}'", 'NULL', f'array_fill({one}, ARRAY[{r.choice([0, 1, 7, 1000, 100000])}])',
        f"format('[{r.choice([-5, 0, 2, 2147483000])}:%s]=%s', {r.choice([-6, -1, 1, 2147482999])} + cardinality({column}), {column})::{kind}[]",
        f'ARRAY[{", ".join(element(r, kind) for _ in range(r.randint(1, 8)))}]::{kind}[]',
    ] + ([f'(SELECT array_agg(CASE WHEN o % {r.randint(1, 9)} = 0 THEN {r.choice(["x * 2", "x + 1024", "x - 1", "x + 1", "-x", "x + 0.5", "x * 1e30", "x / 0.001"])} ELSE x END ORDER BY o) FROM unnest({column}) WITH ORDINALITY y (x, o))'] * 4 if kind == 'real' else []))


def cell(r, relation, column):
    kind = COLUMNS[relation][column]
    if kind == 'text':
        return r.choice(['NULL', "''", "'t1'", "repeat('x', 70000)", f"{column} || 'x'", "upper(%s)" % column, "E'\\\\u0001'"])
    if kind is None:
        return r.choice([element(r, 'int'), f'{column} + 1', f'{column} - 1', f'{column} * 2', '0'])
    return array_value(r, column, kind)


def change_row(r, model):
    relation = r.choice(['user', 'item', 'tag', 'weight', 'weight', 'weight', 'neighbour'])
    table = f'm_{model}_{relation}_v1'
    parent = f'm_{model}_{relation}_versions'
    where = r.choice(ROWS[relation]).format(table, r.randint(0, 9))
    # most primary keys stay: without one a relation is refused before its rows are read
    loose = f'ALTER TABLE {parent} DROP CONSTRAINT IF EXISTS {parent}_pkey; ' if r.random() < 0.05 else ''
    if r.random() < 0.1:
        loose += ''.join(f'ALTER TABLE {parent} ALTER {c} DROP NOT NULL; ' for c in COLUMNS[relation] if c not in ('position', 'name', 'part', 'feature'))
    what = r.random()
    if what < 0.06:
        return loose + f'DELETE FROM {table} WHERE {where}', [table]
    if what < 0.12:
        return loose + f'INSERT INTO {table} SELECT * FROM {table} WHERE {where}', [table]
    columns = r.sample(list(COLUMNS[relation]), r.choice([1, 1, 1, 2, 3]) if len(COLUMNS[relation]) > 2 else 1)
    if relation == 'weight' and r.random() < 0.6:
        columns = ['value']
    return loose + f'UPDATE {table} SET ' + ', '.join(f'{c} = {cell(r, relation, c)}' for c in columns) + f' WHERE {where}', [table]


def change_columns(r, model):
    relation = r.choice(list(COLUMNS))
    parent = f'm_{model}_{relation}_versions'
    names = list(COLUMNS[relation]) + ['version']
    column, other = r.sample(names, 2)
    return r.choice([
        f'ALTER TABLE {parent} RENAME {column} TO between; ALTER TABLE {parent} RENAME {other} TO {column}; ALTER TABLE {parent} RENAME between TO {other}',
        f'ALTER TABLE {parent} DROP {column} CASCADE', f'ALTER TABLE {parent} DROP {column}; ALTER TABLE {parent} ADD {column} {r.choice(TYPES)}',
        f'ALTER TABLE {parent} ALTER {column} TYPE {r.choice(TYPES)} USING NULL', f'ALTER TABLE {parent} RENAME {column} TO another']), []


def change_registry(r, model):
    here = f"WHERE model_id = (SELECT model_id FROM tagrec_model WHERE model = 'm_{model}')"
    if r.random() < 0.6:
        column = r.choice(REGISTRY_INTS)
        value = r.choice([f'{column} + 1', f'{column} - 1', f'{column} * 2', '0', str(r.randint(0, 20)), '100000'])
    else:
        column = r.choice(['algorithm', 'task', 'user_type', 'item_type', 'source', 'user_column', 'refreshed_from'])
        value = r.choice(["'item'", "'tag'", "'text'", "'nonsense'"] + [f"'{a}'" for a in ALGORITHMS])
        if column == 'refreshed_from':
            value = r.choice(['1', '2', '-1', 'NULL'])
    if r.random() < 0.1:
        column, value = 'options', "options || '{\"layers\": [%d], \"factors\": %d, \"clusters\": %d, \"neighbours\": 1}'" % tuple(r.choice([1, 2, 3, 4, 64, 4096]) for _ in range(3))
    return f'UPDATE tagrec_version SET {column} = {value} {here}', []


def change(r, model):
    """A few changes, and the tables that are to have new files."""
    statements, tables = [], []
    for _ in range(r.choice([1, 1, 1, 2, 3])):
        made = r.random()
        statement, touched = (change_row if made < 0.85 else change_columns if made < 0.93 else change_registry)(r, model)
        statements.append(statement)
        tables += touched
    return statements, sorted(set(tables + [f'm_{model}_item_v1'])) if tables else []


def script(rounds):
    out = ["SET search_path = fuzz, public; SET client_min_messages = error; SET statement_timeout = '30s'; SET max_parallel_workers_per_gather = 0;\n\\set ON_ERROR_ROLLBACK on\n"]
    for number, model, warm, statements, tables in rounds:
        if warm:
            out.append(f"SELECT cardinality(hostile_answers('m_{model}')) > 99;\n")
        out.append('BEGIN;\n' + ';\n'.join(statements) + ';\n')
        out += [f"SELECT 'rewritten' WHERE hostile_rewrite('{table}') IS NULL;\n" for table in tables]
        out.append(f"\\echo ROUND {number}\nSELECT q || ' => ' || a FROM unnest(hostile_queries('m_{model}'), hostile_answers('m_{model}')) x (q, a);\nROLLBACK;\n")
    return ''.join(out)


def wait_for_server():
    while psql('postgres', 'SELECT 1;')[0].strip() != '1':
        time.sleep(0.3)


def set_up():
    psql('postgres', f'DROP DATABASE IF EXISTS {DATABASE};\nCREATE DATABASE {DATABASE};\n')
    with open(FIXTURE) as f:
        fixture = f.read()
    if LARGE:
        fixture = fixture.replace('generate_series(1, 12) u, generate_series(1, 4) k', 'generate_series(1, 400) u, generate_series(1, 12) k')
        fixture = fixture.replace('% 9 + 1', '% 300 + 1').replace('"layers": [3], "factors": 2, "dimensions": 2', '"layers": [512], "factors": 300, "dimensions": 300')
    out, err, _ = psql(DATABASE, 'SET client_min_messages = error;\nCREATE EXTENSION tagrec;\nCREATE SCHEMA fuzz;\nSET search_path = fuzz, public;\n' + fixture
                       + ''.join(f"SELECT 'trained' WHERE tagrec_train('m_{a}', 'a', '{a}', hostile_options('{a}')) > 0;\n" for a in ALGORITHMS))
    if out.split() != ['trained'] * len(ALGORITHMS):
        sys.exit('training has failed: ' + err)


def report(kind, seed, one, more=''):
    number, model, warm, statements, tables = one
    print(f'{kind}: seed {seed} round {number} model m_{model} {"warm" if warm else "cold"}\n  ' + ';\n  '.join(statements) + (f'\n  {more}' if more else ''), flush=True)


def judge(text, err, late, rounds, seed, found):
    """Reports what the output of a batch shows; the number of rounds that it got through."""
    parts = re.split(r'^ROUND (\d+)\n', text, flags=re.M)[1:]
    by_number = {r[0]: r for r in rounds}
    for number, answers in zip(parts[::2], parts[1::2]):
        for line in answers.splitlines():
            word = re.search(r'=> (XX000 .*|57014 .*)', line)
            nan = re.search(r'=> .*\bNaN\b', line) if not word and not re.search(r'=> [0-9A-Z]{5} ', line) else None
            if word or nan:
                kind = 'internal error' if word and word.group(1).startswith('XX000') else 'cancelled' if word else 'NaN'
                found[kind] += 1
                report(kind, seed, by_number[int(number)], line[:300])
    done = len(parts) // 2
    if done == 0 and not late and 'server closed' not in err:
        sys.exit('nothing has run: ' + err)
    if late or 'server closed the connection' in err or 'connection to server was lost' in err:
        kind = 'hang' if late else 'crash'
        found[kind] += 1
        report(kind, seed, rounds[max(done - 1, 0)], err[-300:] if not late else '')
        return max(done, 1)
    return len(rounds)


def in_workers(r, rounds, seed, found):
    """The last of the rounds, committed in a copy, and read by workers."""
    number, model, warm, statements, tables = rounds[-1]
    copy = DATABASE + '_copy'
    psql('postgres', f'DROP DATABASE IF EXISTS {copy} WITH (FORCE);\nCREATE DATABASE {copy} TEMPLATE {DATABASE};\n')
    head = "SET search_path = fuzz, public; SET client_min_messages = error; SET statement_timeout = '60s';\n"
    psql(copy, head + ';\n'.join(statements) + ';\n')
    for _ in range(2):
        text, err, late = psql(copy, head + f"\\echo ROUND {number}\nSELECT q || ' => ' || a FROM unnest(hostile_queries('m_{model}'), hostile_answers('m_{model}')) x (q, a);\n")
        judge(text, err, late, rounds[-1:], seed, found)
        wait_for_server()
    _, err, late = psql(copy, head + f"\\set VERBOSITY verbose\nSELECT tagrec_refresh('m_{model}');\n"
                        f"SELECT tagrec_train('m_{model}', 'a', '{model}', hostile_options('{model}'));\nSELECT tagrec_drop('m_{model}');\n")
    for line in err.splitlines():
        if re.search(r'ERROR: +(XX000|57014)|server closed|crashed|was lost', line):
            found['worker'] += 1
            report('worker', seed, rounds[-1], line[:300])
    log = psql(copy, head + "SELECT job, kind, sqlstate, left(message, 200) FROM tagrec_jobs WHERE state = 'lost' OR sqlstate = 'XX000';\n")[0]
    if log.strip() or late:
        found['worker'] += 1
        report('worker', seed, rounds[-1], log or 'hang')


def main():
    global ALGORITHMS, LARGE
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('--rounds', type=int, default=10000)
    arguments.add_argument('--seed', type=int, default=1)
    arguments.add_argument('--only', help='algorithms, comma-separated')
    arguments.add_argument('--commit', type=float, default=0.0, help='share of the batches whose last round workers read, too')
    arguments.add_argument('--seconds', type=float, help='stop after as many seconds')
    arguments.add_argument('--large', action='store_true')
    options = arguments.parse_args()

    LARGE = options.large
    ALGORITHMS = options.only.split(',') if options.only else None
    if not ALGORITHMS:
        psql('postgres', f'DROP DATABASE IF EXISTS {DATABASE};\nCREATE DATABASE {DATABASE};\n')
        ALGORITHMS = psql(DATABASE, 'CREATE EXTENSION tagrec;\nSELECT algorithm FROM tagrec_algorithms ORDER BY 1;\n')[0].split()
    set_up()
    r = random.Random(options.seed)
    found = collections.Counter()
    began = time.time()
    done = 0
    pending = []
    while done < options.rounds and not (options.seconds and time.time() - began > options.seconds):
        while len(pending) < BATCH:
            model = r.choice(ALGORITHMS)
            pending.append((done + len(pending), model, r.random() < 0.5, *change(r, model)))
        text, err, late = psql(DATABASE, script(pending))
        through = judge(text, err, late, pending, options.seed, found)
        wait_for_server()
        if r.random() < options.commit:
            in_workers(r, pending[:through], options.seed, found)
            wait_for_server()
        pending = pending[through:]
        done += through
        if done % 1000 < BATCH:
            print(f'{done} rounds, {time.time() - began:.0f} s: {dict(found) or "nothing found"}', flush=True)
    print(f'{done} rounds in {time.time() - began:.0f} s, seed {options.seed}: {dict(found) or "nothing found"}')
    sys.exit(1 if found else 0)


if __name__ == '__main__':
    main()
