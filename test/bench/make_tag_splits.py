#!/usr/bin/env python3
"""Splits of Last.fm (HetRec 2011) for recommending tags, as TSV files of (user, item, tag).

    make_tag_splits.py OUTPUT_DIRECTORY [--core P] [--holdout hash|last] [--data LASTFM_DIRECTORY]

The data's licence is non-commercial, so it is not in this repository: it is read from LASTFM_DIRECTORY, else $TAGREC_DATA, else
../shared/data/lastfm, and OUTPUT_DIRECTORY belongs outside the repository. Exits with 77 when the data is not there.

Rules: duplicates are dropped. The P-core keeps the assignments whose user, item and tag each stand in at least P of the kept
assignments: all that fall short are dropped together, again and again, until none does. Every post (user, item) then holds out one
tag: the one with the smallest md5('user:item:tag:tagrec'), ties by tag, or the last in the file. Three files:

    test.tsv     the held-out tag of every post
    train.tsv    all the rest: what a figure on test.tsv is trained on
    valid.tsv    of the posts with md5('user:item:tagrec') below 10 %, first 8 hex digits modulo 100, and tags left: one more of
                 their tags, by the same rule; for choosing options
    fit.tsv      train.tsv without valid.tsv: what a figure on valid.tsv is trained on
"""
import argparse
import collections
import gzip
import hashlib
import os
import sys

SEED = "tagrec"
# users, items, tags, assignments, posts of a core, as an independent implementation counted them
EXPECTED = {5: (1348, 6927, 2132, 162047, 59849), 10: (966, 3870, 1204, 133945, 48578)}


def digest(*key):
    return hashlib.md5(":".join(map(str, key + (SEED,))).encode()).hexdigest()


def read_assignments(path):
    """The distinct assignments, in the order of the file."""
    with gzip.open(path, "rt", encoding="ascii", newline=None) as lines:
        header = next(lines).rstrip("\r\n").split("\t")
        columns = [header.index(name) for name in ("userID", "artistID", "tagID")]
        rows = (line.rstrip("\r\n").split("\t") for line in lines)
        return list(dict.fromkeys(tuple(int(row[c]) for c in columns) for row in rows))


def core(assignments, least):
    while True:
        count = [collections.Counter(a[k] for a in assignments) for k in range(3)]
        kept = [a for a in assignments if all(count[k][a[k]] >= least for k in range(3))]
        if len(kept) == len(assignments):
            return kept
        assignments = kept


def choose(tags, pair, rule):
    return tags[-1] if rule == "last" else min(tags, key=lambda tag: (digest(*pair, tag), tag))


def split(assignments, rule):
    posts = collections.defaultdict(list)
    for user, item, tag in assignments:
        posts[user, item].append(tag)
    parts = {"test": [], "train": [], "valid": [], "fit": []}
    for pair, tags in sorted(posts.items()):
        held_out = choose(tags, pair, rule)
        rest = [tag for tag in tags if tag != held_out]
        valid = choose(rest, pair, rule) if rest and int(digest(*pair)[:8], 16) % 100 < 10 else None
        parts["test"].append(pair + (held_out,))
        parts["train"] += [pair + (tag,) for tag in sorted(rest)]
        parts["valid"] += [pair + (valid,)] if valid is not None else []
        parts["fit"] += [pair + (tag,) for tag in sorted(rest) if tag != valid]
    return parts


def main():
    parser = argparse.ArgumentParser(description="Splits of Last.fm for recommending tags.")
    parser.add_argument("output")
    parser.add_argument("--core", type=int, default=5)
    parser.add_argument("--holdout", choices=("hash", "last"), default="hash")
    parser.add_argument("--data", default=os.environ.get("TAGREC_DATA", "../shared/data/lastfm"))
    arguments = parser.parse_args()
    path = os.path.join(arguments.data, "user_taggedartists.dat.gz")
    if not os.path.exists(path):
        print(f"skipped: no {path}; TAGREC_DATA names the directory that holds it", file=sys.stderr)
        sys.exit(77)

    assignments = core(read_assignments(path), arguments.core)
    counts = tuple(len({a[k] for a in assignments}) for k in range(3)) + (len(assignments), len({a[:2] for a in assignments}))
    print("%d-core: %d users, %d items, %d tags, %d assignments, %d posts" % ((arguments.core,) + counts))
    if counts != EXPECTED.get(arguments.core, counts):
        sys.exit("it should have %d users, %d items, %d tags, %d assignments, %d posts" % EXPECTED[arguments.core])
    os.makedirs(arguments.output, exist_ok=True)
    for name, rows in split(assignments, arguments.holdout).items():
        print(f"{name}: {len(rows)} assignments")
        with open(os.path.join(arguments.output, name + ".tsv"), "w", encoding="ascii") as out:
            out.write("user\titem\ttag\n")
            out.writelines(f"{user}\t{item}\t{tag}\n" for user, item, tag in rows)


main()
