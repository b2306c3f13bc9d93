"""Data with known structure, for what real data of free licences does not have."""
import random

USERS = 1500
CIRCLES = 1000
POOL = 30
ITEMS = 40000
KNOWN = 300
SUBJECTS = 75
WORDS = 40


def sparse():
    """Assignments (user, item, tag) of bookmarks of a kind: most items have one to three users, who are in a circle together.

    A user is in two of the circles, of three users each on average, and has 15 to 120 items. Two in three of them are out of the POOL that
    these circles pass on; one in ten is out of the KNOWN that all may have; the rest are the user's own. An item has a
    subject, of which a user or a circle follows five, and three words of the subject's, each of which three users in ten replace by any
    other: tags say a little of who likes what, circles much.
    """
    draw = random.Random(1)
    subject_of = [draw.randrange(SUBJECTS) for _ in range(ITEMS)]
    by_subject = [[i for i in range(ITEMS) if subject_of[i] == s] for s in range(SUBJECTS)]

    def of_interest(subjects):
        return draw.choice(by_subject[draw.choice(subjects)])

    def interests():
        return draw.sample(range(SUBJECTS), 5)

    circles = [[of_interest(subjects) for _ in range(POOL)] for subjects in (interests() for _ in range(CIRCLES))]
    known = draw.sample(range(ITEMS), KNOWN)
    assignments = set()
    for user in range(USERS):
        mine = draw.sample(circles, 2)
        subjects = interests()
        for _ in range(round(15 * 8 ** draw.random())):
            x = draw.random()
            item = (draw.choice(draw.choice(mine)) if x < 0.65 else known[int(KNOWN * draw.random() ** 2)] if x < 0.7
                    else of_interest(subjects))
            for word in range(3):
                tag = subject_of[item] * WORDS + (item * 7 + word * 13) % WORDS
                assignments.add((user, item, tag if draw.random() < 0.7 else draw.randrange(SUBJECTS * WORDS)))
    return assignments
