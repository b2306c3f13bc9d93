#!/usr/bin/env python3
"""Trains models with options at random, most at an end of their range, some beyond it, on data of a few rows, asks every query function, and
reports crashes, lost jobs, internal errors (XX000) and answers that are NaN. Needs a superuser's connection to a server with tagrec that may be
crashed; PGHOST and the like say which.

    test/bench/fuzz_options.py [--rounds 1000] [--seed 1] [--only ccs,blend] [--seconds 600]
"""
import argparse
import collections
import json
import random
import re
import sys
import time

import fuzz_rows
from fuzz_rows import DATABASE, psql, wait_for_server

SOURCES = {
    'a': '', 'tiny': 'SELECT * FROM (VALUES (1, 1, \'x\'), (1, 2, \'y\'), (2, 1, \'x\')) v (user_id, item_id, tag)',
    'one_user': 'SELECT 1 AS user_id, item_id, tag FROM a', 'one_tag': 'SELECT user_id, item_id, \'t\'::text AS tag FROM a',
    'own_tags': 'SELECT user_id, item_id, user_id || tag || item_id AS tag FROM a',
    'wide': 'SELECT 1 AS user_id, i AS item_id, \'t\' || i % 5000 AS tag FROM generate_series(1, 20000) i UNION ALL SELECT i, 1, \'t\' FROM generate_series(1, 20000) i',
    'heavy': 'SELECT user_id, item_id, tag, (ARRAY[0, 1e-30, 1e12, 1])[1 + item_id % 4]::float8 AS w FROM a',
}
BLENDS = ['ease_tags; hybrid layers=2 epochs=1', 'ials factors=2; bpr factors=3', 'popularity; ccs', 'blend', 'ccf; ccf', 'acf layers=1; tag_bm25', 'item_knn; user_knn; ease',
          'hdlpr layers=1,1,1 epochs=1', 'tag_product', ';', 'ease lambda=0.001; tag_cosine', 'popularity; ' * 40 + 'popularity']


def value(r, option, kind, limits):
    if option == 'members':
        return r.choice(BLENDS)
    if option == 'weights':
        return r.choice(['1, 1', '0, 0', '1e308, 1e308', '-1, 1', 'NaN, 1', '1', '1, 2, 3', '1e-308, 1e38', ''])
    if option == 'validation':
        return r.choice([0, 0.01, 0.2, 0.5])
    if option in ('core', 'min_tag_count'):
        return r.choice([0, 1, 2])
    if option == 'threads':
        return r.choice([0, 1, 2])
    if limits.startswith('one of'):
        return r.choice(limits[7:].split(', ') + (['x'] if r.random() < 0.02 else []))
    if kind == 'boolean':
        return r.choice([True, False])
    numbers = [float(n) for n in re.findall(r'from (\S+) to (\S+)', limits)[0]] if 'from' in limits else [0.0, 1.0]
    if option == 'epochs':
        return r.choice([1, 2, 3])
    ends = [numbers[0], numbers[0] + (numbers[1] - numbers[0]) * 1e-3, numbers[1], 1, 2, 7, numbers[0] * 2]
    if r.random() < 0.01:
        ends = [-1, numbers[1] + 1, 1e308, -1e308, 2147483648, 0.5]
    one = r.choice(ends)
    if kind.startswith('integer') or option == 'layers':
        one = int(one) if abs(one) < 1e18 else one
    if option == 'layers':
        return [max(1, int(r.choice([1, 2, 3, 8, 64, 65536]))) for _ in range(r.choice([1, 1, 2, 3, 8]))]
    return one


def settings(r, algorithm, known):
    options = {'epochs': 1}
    for option, kind, limits in r.sample(known, min(len(known), r.choice([1, 2, 3, 5, 8, 12]))):
        if option not in ('device', 'keep_versions', 'preset', 'schema', 'validation_source'):
            options[option] = value(r, option, kind, limits)
    if algorithm == 'blend' and 'members' not in options:
        options['members'] = r.choice(BLENDS)
    return options


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('--rounds', type=int, default=1000)
    arguments.add_argument('--seed', type=int, default=1)
    arguments.add_argument('--only')
    arguments.add_argument('--seconds', type=float, default=600)
    asked = arguments.parse_args()

    fuzz_rows.DATABASE = database = DATABASE + '_options'
    fuzz_rows.ALGORITHMS = []
    fuzz_rows.set_up()
    head = "SET search_path = fuzz, public; SET client_min_messages = error; SET statement_timeout = '20s';\n\\set VERBOSITY verbose\n"
    psql(database, head + ''.join(f'CREATE TABLE {n} AS {q};\n' for n, q in SOURCES.items() if q))
    known = collections.defaultdict(list)
    for line in psql(database, "SELECT algorithm, option, type, coalesce(range, '') FROM tagrec_options ORDER BY 1, 2;\n")[0].splitlines():
        algorithm, option, kind, limits = line.split('|')
        known[algorithm].append((option, kind, limits))
    names = asked.only.split(',') if asked.only else sorted(known)
    r = random.Random(asked.seed)
    found = collections.Counter()
    trained = number = 0
    began = time.time()
    while number < asked.rounds and time.time() - began < asked.seconds:
        number += 1
        algorithm = r.choice(names)
        source = r.choice(list(SOURCES) + ['a'] * 5)
        options = json.dumps(settings(r, algorithm, known[algorithm])).replace("'", "''")
        weight = ", weight_column => 'w'" if source == 'heavy' else ''
        call = f"SELECT tagrec_train('o', '{source}', '{algorithm}', '{options}'{weight});"
        out, err, late = psql(database, head + "SET tagrec.max_memory = '1GB';\n" + call + "\nSELECT q || ' => ' || a FROM unnest(hostile_queries('o'), hostile_answers('o')) x (q, a);\n"
                              "SELECT tagrec_refresh('o');\nSELECT tagrec_drop('o');\n", 180)
        trained += 'recommend(' in out and 'ERROR' not in err.split('tagrec_refresh')[0]
        bad = [line for line in err.splitlines() if re.search(r'XX000|server closed|was lost|has ended without|terminated', line)]
        bad += [line for line in out.splitlines() if re.search(r'=> XX000|=> 57014', line) or ('NaN' in line and not re.search(r'=> [0-9A-Z]{5} ', line))]
        if bad or late:
            found['late' if late else bad[0][:40]] += 1
            print(f'{call}\n  ' + '\n  '.join(b[:250] for b in bad[:4]), flush=True)
        wait_for_server()
        if 'canceling' in err or late:
            psql(database, head + "SELECT tagrec_cancel(job) FROM tagrec_jobs WHERE state IN ('queued', 'running');\nSELECT tagrec_drop(model) FROM tagrec_models;\n")
    lost = psql(database, "SELECT count(*) FROM tagrec_jobs WHERE state = 'lost';\n")[0].strip()
    print(f'{number} rounds, {trained} trained, {lost} jobs lost, {time.time() - began:.0f} s, seed {asked.seed}: {dict(found) or "nothing found"}')
    sys.exit(1 if found or lost != '0' else 0)


if __name__ == '__main__':
    main()
