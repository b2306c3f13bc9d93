"""Called by diversity.sh, with a server that has the models: what diversity costs, as a table and a plot."""
import subprocess
import sys

import numpy as np

DIVERSITIES = [0, .1, .2, .3, .4, .5, .6, .8, 1]
LENGTH = 20


def rows(sql):
    out = subprocess.run(["psql", "-qXAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", sql], check=True, capture_output=True,
                         text=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def directions(model):
    """The unit parts of the items' embeddings."""
    width = int(rows(f"SELECT unit_width FROM tagrec_versions WHERE model = '{model}' AND deployed")[0][0])
    found = {}
    for item, embedding in rows(f"SELECT item_id, array_to_string(embedding[1:{width}], ' ') FROM {model}_item_embedding"):
        v = np.array(embedding.split(), dtype=float)
        found[item] = v / max(np.linalg.norm(v), 1e-12)
    return found


def held_out():
    relevant = {}
    for user, item in rows("SELECT DISTINCT user_id, item_id FROM test WHERE user_id IN (SELECT user_id FROM train) "
                           "EXCEPT SELECT user_id, item_id FROM train"):
        relevant.setdefault(user, set()).add(item)
    return relevant


def measure(model, diversity, relevant, direction):
    lists = {}
    for user, item in rows(f"SELECT user_id, item FROM tagrec_recommend_all('{model}', {LENGTH}, diversity => {diversity}) "
                           "ORDER BY user_id, rank"):
        lists.setdefault(user, []).append(item)
    gain = 1 / np.log2(np.arange(LENGTH) + 2)
    ndcg = np.mean([gain[:len(lists[u])][[i in r for i in lists[u]]].sum() / gain[:min(len(r), LENGTH)].sum()
                    for u, r in relevant.items()])
    distance = []
    for u in relevant:
        x = np.array([direction[i] for i in lists[u]])
        n = len(x)
        distance.append(1 - ((x @ x.T).sum() - n) / (n * (n - 1)))
    return ndcg, np.mean(distance), len({i for u in relevant for i in lists[u]})


def polyline(points, style):
    return f'<polyline fill="none" {style} points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def plot(path, figures):
    """x: how much the items differ; y: NDCG as a share of that without diversity."""
    x_of = lambda d: 60 + 460 * d / 0.7
    y_of = lambda share: 300 - 270 * share
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="640" height="350" font-family="sans-serif" font-size="12">',
           '<rect width="640" height="350" fill="white"/>']
    for tick in np.arange(0, .71, .1):
        out.append(f'<text x="{x_of(tick):.0f}" y="318" text-anchor="middle">{tick:.1f}</text>')
    for tick in np.arange(0, 1.01, .2):
        out.append(f'<text x="52" y="{y_of(tick) + 4:.0f}" text-anchor="end">{tick:.1f}</text>')
        out.append(polyline([(x_of(0), y_of(tick)), (x_of(.7), y_of(tick))], 'stroke="#ddd"'))
    out.append('<text x="290" y="340" text-anchor="middle">mean distance (1 - cosine) of the items of a list of 20</text>')
    out.append('<text x="16" y="165" text-anchor="middle" transform="rotate(-90 16 165)">'
               'share of NDCG@20 that is left</text>')
    for (model, line), colour in zip(figures.items(), ("#1f5fa8", "#c0562b", "#3a8a3a")):
        points = [(x_of(distance), y_of(ndcg / line[0][1])) for _, ndcg, distance, _ in line]
        out.append(polyline(points, f'stroke="{colour}" stroke-width="2"'))
        labelled = -np.inf
        for (x, y), (diversity, *_) in zip(points, line):
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
            if x - labelled > 15:   # labels do not cover each other
                out.append(f'<text x="{x + 5:.1f}" y="{y - 5:.1f}" fill="{colour}" font-size="10">{diversity:g}</text>')
                labelled = x
        out.append(f'<text x="{points[-1][0] + 12:.1f}" y="{points[-1][1] + 14:.1f}" fill="{colour}">{model}</text>')
    out.append("</svg>")
    with open(path, "w") as f:
        f.write("\n".join(out) + "\n")


def main():
    path, *models = sys.argv[1:]
    relevant = held_out()
    figures = {}
    print("| diversity | " + " | ".join(f"{m}: NDCG@20, distance, different items" for m in models) + " |")
    for model in models:
        direction = directions(model)
        figures[model] = [(d, *measure(model, d, relevant, direction)) for d in DIVERSITIES]
    for i, diversity in enumerate(DIVERSITIES):
        print(f"| {diversity:g} | " + " | ".join("{:.4f}, {:.3f}, {}".format(*figures[m][i][1:]) for m in models) + " |")
    plot(path, figures)


if __name__ == "__main__":
    main()
