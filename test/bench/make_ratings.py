#!/usr/bin/env python3
"""Splits of MovieLens 100k's ratings, as TSV files with a header, and the attributes of users and items.

    make_ratings.py OUTPUT_DIRECTORY [ML100K_DIRECTORY [SALT]]

The licence of the data does not allow copies: it is read from ML100K_DIRECTORY, else the folder ml-100k beside $TAGREC_DATA, else
../shared/data/ml-100k, and OUTPUT_DIRECTORY belongs outside the repository. Exits with 77 when the data is not there.

A rating goes by the first 8 hex digits of md5('user:item:tagrec') modulo 100, which is tagrec_fold() in SQL: below 80 train.tsv,
80..84 valid.tsv, 85 up test.tsv, with the columns user, item, value. With a SALT in place of 'tagrec', 80..89 is valid.tsv,
90 up test.tsv: 80, 10 and 10 percent, as Raziperchikolaei et al. (2020) split. likes_*.tsv are the pairs with a value of 4 or more, with a
third column that is the same for all, and dislikes_*.tsv the others. user.tsv and item.tsv: entity and feature; ages and years in
steps of 5.
"""
import gzip
import hashlib
import os
import re
import sys

SALT = sys.argv[3] if len(sys.argv) > 3 else "tagrec"
VALID_END = 90 if len(sys.argv) > 3 else 85
EXPECTED = {"train": 79957, "valid": 4940, "test": 15103}


def find_source(arguments):
    if len(arguments) > 2:
        return arguments[2]
    if os.environ.get("TAGREC_DATA"):
        return os.path.join(os.environ["TAGREC_DATA"], "..", "ml-100k")
    return "../shared/data/ml-100k"


def read(directory, what):
    with gzip.open(os.path.join(directory, f"ml-100k.{what}.gz"), "rt", encoding="utf-8") as lines:
        next(lines)
        return [line.rstrip("\r\n").split("\t") for line in lines]


def fold(user, item):
    return int(hashlib.md5(f"{user}:{item}:{SALT}".encode()).hexdigest()[:8], 16) % 100


def part_of(user, item):
    f = fold(user, item)
    return "train" if f < 80 else "valid" if f < VALID_END else "test"


def write(path, header, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in [header] + rows:
            file.write("\t".join(map(str, row)) + "\n")


def in_fives(text):
    return int(text) // 5 * 5 if text.isdigit() else "unknown"


def user_features(rows):
    for user, age, gender, occupation, zip_code in rows:
        for feature in (f"age {in_fives(age)}", f"gender {gender}", f"occupation {occupation}", f"zip {zip_code[:1]}"):
            yield user, feature


def item_features(rows):
    for item, title, year, genres in rows:
        yield item, f"year {in_fives(year)}"
        for genre in genres.split():
            yield item, f"genre {genre}"
        for word in sorted(set(re.findall(r"[a-z]{3,}", title.lower()))):
            yield item, f"title {word}"


def main():
    source = find_source(sys.argv)
    if len(sys.argv) < 2 or not os.path.exists(os.path.join(source, "ml-100k.inter.gz")):
        print(f"skipped: no MovieLens 100k in {source}" if len(sys.argv) > 1 else __doc__)
        sys.exit(77)
    os.makedirs(sys.argv[1], exist_ok=True)
    parts = {name: [] for name in EXPECTED}
    for user, item, value, _ in read(source, "inter"):
        parts[part_of(user, item)].append((user, item, value))
    for name, rows in parts.items():
        assert len(sys.argv) > 3 or len(rows) == EXPECTED[name], f"{name}: {len(rows)} ratings, not {EXPECTED[name]}"
        likes = [(user, item, "like") for user, item, value in rows if float(value) >= 4]
        dislikes = [(user, item, "dislike") for user, item, value in rows if float(value) < 4]
        write(os.path.join(sys.argv[1], f"{name}.tsv"), ("user", "item", "value"), rows)
        write(os.path.join(sys.argv[1], f"likes_{name}.tsv"), ("user", "item", "tag"), likes)
        write(os.path.join(sys.argv[1], f"dislikes_{name}.tsv"), ("user", "item", "tag"), dislikes)
    for what, features in (("user", user_features), ("item", item_features)):
        write(os.path.join(sys.argv[1], f"{what}.tsv"), (what, "feature"), list(features(read(source, what))))


if __name__ == "__main__":
    main()
