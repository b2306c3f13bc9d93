#!/usr/bin/env python3
"""The clean split of Last.fm (HetRec 2011) as three TSV files of (user, item, tag): train.tsv, valid.tsv, test.tsv.

    make_splits.py OUTPUT_DIRECTORY [LASTFM_DIRECTORY]

The data's licence is non-commercial, so it is not in this repository: it is read from LASTFM_DIRECTORY, else $TAGREC_DATA, else
../shared/data/lastfm, and OUTPUT_DIRECTORY belongs outside the repository. Exits with 77 when the data is not there.

Rules: duplicates are dropped; tags of fewer than 5 assignments are dropped, once; a (user, item) pair goes, with all its
tags, by its fold = the first 8 hex digits of md5('user:item:tagrec') modulo 100: below 80 train, 80..84 validation, 85 up test.
"""
import collections
import gzip
import hashlib
import os
import sys

MIN_TAG_COUNT = 5
SEED = "tagrec"
# (assignments, pairs) of each part, as an independent implementation counted them
EXPECTED = {"train": (139732, 54508), "valid": (9068, 3445), "test": (26841, 10318)}


def read_assignments(path):
    with gzip.open(path, "rt", encoding="ascii", newline=None) as lines:
        header = next(lines).rstrip("\r\n").split("\t")
        columns = [header.index(name) for name in ("userID", "artistID", "tagID")]
        rows = (line.rstrip("\r\n").split("\t") for line in lines)
        return {tuple(int(row[c]) for c in columns) for row in rows}


def drop_rare_tags(assignments):
    count = collections.Counter(tag for _, _, tag in assignments)
    return [a for a in assignments if count[a[2]] >= MIN_TAG_COUNT]


def part(user, item):
    fold = int(hashlib.md5(f"{user}:{item}:{SEED}".encode()).hexdigest()[:8], 16) % 100
    return "train" if fold < 80 else "valid" if fold < 85 else "test"


def main(arguments):
    if len(arguments) not in (1, 2):
        sys.exit(__doc__)
    output = arguments[0]
    data = arguments[1] if len(arguments) == 2 else os.environ.get("TAGREC_DATA", "../shared/data/lastfm")
    path = os.path.join(data, "user_taggedartists.dat.gz")
    if not os.path.exists(path):
        print(f"skipped: no {path}; TAGREC_DATA names the directory that holds it", file=sys.stderr)
        sys.exit(77)

    parts = {name: [] for name in EXPECTED}
    for assignment in sorted(drop_rare_tags(read_assignments(path))):
        parts[part(assignment[0], assignment[1])].append(assignment)

    os.makedirs(output, exist_ok=True)
    for name, rows in parts.items():
        counts = len(rows), len({row[:2] for row in rows})
        print(f"{name}: {counts[0]} assignments, {counts[1]} pairs")
        if counts != EXPECTED[name]:
            sys.exit(f"{name} should have {EXPECTED[name][0]} assignments and {EXPECTED[name][1]} pairs")
        with open(os.path.join(output, name + ".tsv"), "w", encoding="ascii") as out:
            out.write("user\titem\ttag\n")
            out.writelines(f"{user}\t{item}\t{tag}\n" for user, item, tag in rows)


main(sys.argv[1:])
