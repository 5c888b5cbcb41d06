"""How often the intervals of mitobench hold the truth: simulated volumes whose expected scores are known.

    python benchmarks/interval_coverage.py --draws 200 --out benchmarks/results/interval_coverage.md

Objects are drawn with gamma lengths in z and log-normal areas; each is missed, or found with an error that persists
through its slices; false objects are added. Expected scores come from a very large volume of the same law. Beside the
intervals of tiles stands the bootstrap over slices, to show what it hides.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

from mitobench.benchmark.intervals import BOOTSTRAP, JACKKNIFE, intervals
from mitobench.benchmark.tiles import COLUMNS, TileCounts

SLICES, TILES = 165, 36
CELLS = (45, 200, 1000)
METRICS = ("iou", "dice", "f1_50", "f1_75", "pq")
SLICE_DRAWS = 400


def objects(n: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One row per object: voxels found, invented and missed, its IoU, its slices, its tile."""
    true, false = rng.poisson(n), rng.poisson(n * 0.04)
    count = true + false
    length = np.minimum(SLICES, np.maximum(1, rng.gamma(4.0, 45 / 4, count).astype(int)))
    size = rng.lognormal(6.0, 0.6, count) * length
    found = np.where(rng.random(count) < 0.05, 0.0, rng.beta(18, 2.5, count))
    spill = rng.gamma(2.0, 0.05, count)
    real = np.arange(count) < true
    tp = np.where(real, size * found, 0.0)
    fn = np.where(real, size - tp, 0.0)
    fp = np.where(real, np.where(found > 0, size * spill, 0.0), size * 0.3)
    start = np.floor(rng.random(count) * (SLICES - length + 1)).astype(int)
    tile = rng.integers(0, TILES, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = np.nan_to_num(tp / (tp + fp + fn))
    return {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "iou": iou,
        "real": real,
        "start": start,
        "length": length,
        "tile": tile,
    }


def tiles(drawn: dict[str, np.ndarray]) -> TileCounts:
    """The same objects as counts by tile."""
    values = np.zeros((TILES, len(COLUMNS)))
    for place, key in enumerate(("tp", "fp", "fn")):
        np.add.at(values[:, place], drawn["tile"], drawn[key])
    for level, limit in enumerate((0.5, 0.75, 0.5)):
        match = drawn["real"] & (drawn["iou"] >= limit)
        answered = ~drawn["real"] | (drawn["tp"] > 0)
        columns = (match, answered & ~match, drawn["real"] & ~match, np.where(match, drawn["iou"], 0.0))
        for place, column in enumerate(columns):
            np.add.at(values[:, 3 + 4 * level + place], drawn["tile"], column.astype(float))
    n_true = int(drawn["real"].sum())
    return TileCounts(keys=tuple(("a", number) for number in range(TILES)), values=values, n_true=n_true)


def scores(values: np.ndarray) -> dict[str, float]:
    """Scores of summed counts."""
    column = dict(zip(COLUMNS, values.sum(axis=0), strict=True))
    found = {
        "iou": column["tp"] / (column["tp"] + column["fp"] + column["fn"]),
        "dice": 2 * column["tp"] / (2 * column["tp"] + column["fp"] + column["fn"]),
    }
    for key, name, above in (("f1_50", "50", "tp"), ("f1_75", "75", "tp"), ("pq", "strict", "iou")):
        below = column[f"tp_{name}"] + (column[f"fp_{name}"] + column[f"fn_{name}"]) / 2
        found[key] = column[f"{above}_{name}"] / below
    return found


def slice_interval(drawn: dict[str, np.ndarray], rng: np.random.Generator) -> tuple[float, float]:
    """The percentile bootstrap over slices, as many papers do it."""
    counts = np.zeros((SLICES + 1, 3))
    for place, key in enumerate(("tp", "fp", "fn")):
        share = drawn[key] / drawn["length"]
        np.add.at(counts[:, place], drawn["start"], share)
        np.add.at(counts[:, place], drawn["start"] + drawn["length"], -share)
    counts = counts.cumsum(axis=0)[:SLICES]
    sums = counts[rng.integers(0, SLICES, (SLICE_DRAWS, SLICES))].sum(axis=1)
    low, high = np.quantile(sums[:, 0] / sums.sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def run(draws: int) -> str:
    """The table of results."""
    rng = np.random.default_rng(0)
    truth = scores(tiles(objects(2_000_000, rng)).values)
    rows = []
    for n in CELLS:
        hit, width, seen, reliable = (
            dict.fromkeys(METRICS, 0),
            dict.fromkeys(METRICS, 0.0),
            dict.fromkeys(METRICS, 0),
            0,
        )
        slices = 0
        for done in range(draws):
            drawn = objects(n, rng)
            found = intervals([tiles(drawn)])
            for key in METRICS:
                if key in found:
                    seen[key] += 1
                    hit[key] += found[key].low <= truth[key] <= found[key].high
                    width[key] += found[key].high - found[key].low
            reliable += "iou" in found and found["iou"].reliable
            low, high = slice_interval(drawn, rng)
            slices += low <= truth["iou"] <= high
            if sys.stderr.isatty():
                print(f"\r{n} objects: {done + 1} of {draws}", end="", file=sys.stderr)
        cells = [
            f"{hit[key] / max(1, seen[key]):.2f} ({width[key] / max(1, seen[key]):.3f})" for key in METRICS
        ]
        rows.append(f"| {n} | {slices / draws:.2f} | {' | '.join(cells)} | {reliable / draws:.2f} |")
    head = "| objects | IoU, slices | " + " | ".join(METRICS) + " | called reliable |"
    return "\n".join([head, "|" + "---|" * (len(METRICS) + 3), *rows])


def main() -> None:
    """Simulate and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200, help="simulated volumes per row")
    parser.add_argument("--out", type=Path, help="Markdown file; printed when left out")
    options = parser.parse_args()
    started = time.perf_counter()
    table = run(options.draws)
    error = 100 * np.sqrt(0.95 * 0.05 / options.draws)
    text = f"""# How often intervals hold the truth

Made by `python benchmarks/interval_coverage.py --draws {options.draws}` in {time.perf_counter() - started:.0f} s
on {os.cpu_count()} cores. Share of {options.draws} simulated volumes whose nominal 95 % interval holds the
expected score, and in brackets the mean width. One standard error of a share of 0.95 is {error:.1f} points.
{SLICES} slices, {TILES} tiles; errors persist through the slices of an object.
IoU and Dice: {JACKKNIFE}. F1 and PQ: {BOOTSTRAP}.

{table}

"IoU, slices" is the percentile bootstrap over slices, which takes the slices of one object for independent
samples. The law of the simulation is ours: the order of the columns is the lesson, not the second digit.
"""
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
