#!/usr/bin/env python3
"""Splits of a data set of (user, item, tag) for recommending items, as TSV files with a header.

    make_splits.py OUTPUT_DIRECTORY [LASTFM_DIRECTORY] [--split clean|paper|new]
                   [--data lastfm|debtags|citeulike-t|ml-100k|sparse]

lastfm is HetRec 2011 Last.fm. Its licence is non-commercial, so it is not in this repository: it is read from LASTFM_DIRECTORY,
else $TAGREC_DATA, else ../shared/data/lastfm, and OUTPUT_DIRECTORY belongs outside the repository. Exits with 77 when the data is
not there. debtags is test/data/debtags.tsv.gz: Debian's maintainers, their packages, the packages' debtags. Duplicates are
dropped; tags of fewer than 5 assignments are dropped, once.

citeulike-t and ml-100k are in directories of these names beside Last.fm's; they are for research only, too. In both, a pair
has the tags of its item. CiteULike-t: tags of 5 or more items, of which an item keeps the 20 with the most items.
MovieLens 100k: every rating is a pair, whatever its value; a movie's genres and its year are its tags. sparse is made up
(synthetic.py): many items of few users each, and tags that say little.

fold(key) = the first 8 hex digits of md5(key) modulo 100, which is tagrec_fold() in SQL.

    clean   a (user, item) pair goes, with all its tags, by fold('user:item:tagrec'): below 80 train.tsv, 80..84 valid.tsv, 85 up
            test.tsv. The split that counts.
    paper   a single assignment goes by fold('user:item:tag:tagrec') in the same way. Most pairs of test.tsv then stand in
            train.tsv too; they are kept, as in Xu et al. (IJCAI 2017). Only for comparison with that paper.
    new     items whose md5('item:ITEM:tagrec') has first 8 hex digits that 10 divides are new: all posts of the other items are
            train.tsv; of the new items' posts, those with fold('user:item:half') below 50 are profiles.tsv, in which every post
            has a user of its own that nobody knows, and the others are test.tsv. A package of debtags has one maintainer, and its
            tags are not the maintainer's choice: all its tags are in profiles.tsv, and its maintainer in test.tsv.
"""
import argparse
import collections
import gzip
import hashlib
import os
import sys

import synthetic

MIN_TAG_COUNT = 5
MOST_TAGS = 20
SOURCES = {"lastfm": ("userID", "artistID", "tagID"), "debtags": ("maintainer", "package", "tag")}
# (assignments, pairs) of each part, as an independent implementation counted them; None = it did not
EXPECTED = {
    ("lastfm", "clean"): {"train": (139732, 54508), "valid": (9068, 3445), "test": (26841, 10318)},
    ("lastfm", "paper"): {"train": (140693, 61633), "test": (26201, 20554)},
    ("lastfm", "new"): {"test": (None, 3485)},
}


def find_source(data, directory):
    """The data's file, or its directory."""
    if data == "debtags":
        return os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/debtags.tsv.gz")
    directory = directory or os.environ.get("TAGREC_DATA", "../shared/data/lastfm")
    if data == "lastfm":
        return os.path.join(directory, "user_taggedartists.dat.gz")
    return os.path.join(os.path.dirname(os.path.normpath(directory)), data)


def read_assignments(path, names):
    key = int if names == SOURCES["lastfm"] else str
    with gzip.open(path, "rt", encoding="utf-8", newline=None) as lines:
        header = next(lines).rstrip("\r\n").split("\t")
        columns = [header.index(name) for name in names]
        rows = (line.rstrip("\r\n").split("\t") for line in lines)
        return {tuple(key(row[c]) for c in columns) for row in rows}


def read_lines(*path):
    with gzip.open(os.path.join(*path), "rt", encoding="utf-8") as lines:
        return [line.rstrip("\n") for line in lines]


def common_tags(items_of):
    """item => its tags of MIN_TAG_COUNT items or more, MOST_TAGS of them at most, those of the most items"""
    tags_of = collections.defaultdict(list)
    for tag, items in sorted(items_of.items(), key=lambda tag_items: (-len(tag_items[1]), tag_items[0])):
        if len(items) >= MIN_TAG_COUNT:
            for item in items:
                tags_of[item].append(tag)
    return {item: tags[:MOST_TAGS] for item, tags in tags_of.items()}


def read_citeulike(directory):
    rows = [line.split()[1:] for line in read_lines(directory, "tag-item.dat.gz")]
    tags_of = common_tags({tag: set(map(int, row)) for tag, row in enumerate(rows)})
    users = [line.split()[1:] for line in read_lines(directory, "users.dat.gz")]
    return {(user, item, tag) for user, row in enumerate(users) for item in map(int, row) for tag in tags_of.get(item, [])}


def read_movies(directory):
    movies = [line.split("\t") for line in read_lines(directory, "ml-100k.item.gz")[1:]]
    tags_of = {movie[0]: [*movie[3].split(), *([f"year:{movie[2]}"] if movie[2] else [])] for movie in movies}
    pairs = {tuple(line.split("\t")[:2]) for line in read_lines(directory, "ml-100k.inter.gz")[1:]}
    return {(int(user), int(item), tag) for user, item in pairs for tag in tags_of[item]}


def read_data(data, path):
    if data == "sparse":
        return synthetic.sparse()
    if data == "citeulike-t":
        return read_citeulike(path)
    if data == "ml-100k":
        return read_movies(path)
    return drop_rare_tags(read_assignments(path, SOURCES[data]))


def drop_rare_tags(assignments):
    count = collections.Counter(tag for _, _, tag in assignments)
    return [a for a in assignments if count[a[2]] >= MIN_TAG_COUNT]


def number(*key):
    return int(hashlib.md5(":".join(map(str, key)).encode()).hexdigest()[:8], 16)


def fold(*key):
    return number(*key) % 100


def part(share):
    return "train" if share < 80 else "valid" if share < 85 else "test"


def split_clean(assignments):
    for user, item, tag in assignments:
        yield part(fold(user, item, "tagrec")), (user, item, tag)


def split_paper(assignments):
    for user, item, tag in assignments:
        yield part(fold(user, item, tag, "tagrec")), (user, item, tag)


def split_new(assignments):
    one_user = len({a[:2] for a in assignments}) == len({a[1] for a in assignments})
    for user, item, tag in assignments:
        in_profile = fold(user, item, "half") < 50
        if number("item", item, "tagrec") % 10 != 0:
            yield "train", (user, item, tag)
            continue
        if in_profile or one_user:
            yield "profiles", (f"nobody:{user}:{item}", item, tag)
        if not in_profile or one_user:
            yield "test", (user, item, tag)


DATA = [*SOURCES, "citeulike-t", "ml-100k", "sparse"]
SPLITS = {"clean": split_clean, "paper": split_paper, "new": split_new}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("lastfm", nargs="?")
    parser.add_argument("--data", choices=DATA, default="lastfm")
    parser.add_argument("--split", choices=SPLITS, default="clean")
    arguments = parser.parse_args()

    path = find_source(arguments.data, arguments.lastfm)
    if arguments.data != "sparse" and not os.path.exists(path):
        print(f"skipped: no {path}; TAGREC_DATA names the directory that holds it", file=sys.stderr)
        sys.exit(77)
    parts = collections.defaultdict(list)
    for name, row in SPLITS[arguments.split](sorted(read_data(arguments.data, path))):
        parts[name].append(row)

    os.makedirs(arguments.output, exist_ok=True)
    expected = EXPECTED.get((arguments.data, arguments.split), {})
    for name, rows in sorted(parts.items()):
        counts = len(rows), len({row[:2] for row in rows})
        print(f"{name}: {counts[0]} assignments, {counts[1]} pairs")
        for count, wanted in zip(counts, expected.get(name, ())):
            if wanted not in (None, count):
                sys.exit(f"{name} should have {wanted} of them")
        with open(os.path.join(arguments.output, name + ".tsv"), "w", encoding="utf-8") as out:
            out.write("user\titem\ttag\n")
            out.writelines(f"{user}\t{item}\t{tag}\n" for user, item, tag in rows)


if __name__ == "__main__":
    main()
