"""How much do labels buy? SAM and the U-Net trained on 1, 2, 4, 8 and all training slices, with the same steps.

    python benchmarks/learning_curves.py                       # writes benchmarks/results/learning_curves.{md,svg,json}
    python benchmarks/learning_curves.py --model sam-vit-b --set weights=FOLDER --device cuda --model unet

Slices are spread evenly over the training stack. Every model sees the same number of crops, whatever the number of
slices; nothing is chosen on val, because its slices are labels too, and the threshold is 0.5. The score is foreground
IoU pooled over the test split. Run again, a stopped run goes on.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import mitobench as mb
from mitobench.baselines import load_checkpoint, train_baseline

RESULTS = Path(__file__).parent / "results"
ALL = 0


def few(volume: mb.Volume, n: int) -> mb.Volume:
    """A volume of `n` slices, spread evenly over this one; ALL keeps it."""
    if n == ALL:
        return volume
    z = ((np.arange(n) + 0.5) * len(volume.image) / n).astype(int)
    cut = {
        name: None if array is None else np.asarray(array[:])[z]
        for name, array in (("image", volume.image), ("labels", volume.labels), ("ignore", volume.ignore))
    }
    return replace(volume, **cut)


def pooled_iou(segmenter: mb.Segmenter, volumes: Sequence[mb.Volume]) -> float:
    """Foreground IoU: shared voxels of all volumes over all voxels of either side."""
    both = either = 0
    for volume in volumes:
        pred = segmenter.segment(volume.image, voxel_size_nm=volume.voxel_size_nm).labels != 0
        true = np.asarray(volume.labels[:]) != 0
        kept = np.ones(true.shape, bool) if volume.ignore is None else ~np.asarray(volume.ignore[:])
        both += int((true & pred & kept).sum())
        either += int(((true | pred) & kept).sum())
    return both / either if either else float("nan")


def measure(dataset: str, model: str, n: int, seed: int, options: argparse.Namespace) -> dict[str, object]:
    """One point: train, predict, score; read back when it was done before."""
    folder = Path(options.work) / f"{model}-{dataset}-{n or 'all'}-{seed}-{options.steps}x{options.batch}"
    kept = folder / "score.json"
    if kept.exists():
        return json.loads(kept.read_text())
    train = [few(volume, n) for volume in mb.load_split(dataset, "train")]
    given = dict(pair.split("=", 1) for pair in options.set or [])
    settings = {
        "steps": options.steps,
        "batch": options.batch,
        "warmup": max(options.steps // 10, 1),
        "choose_threshold": False,
        **({key: value for key, value in given.items() if model.startswith("sam") or key != "weights"}),
    }
    spent = time.process_time()
    train_baseline(
        model,
        train=train,
        val=[],
        out=folder,
        settings=settings,
        device=options.device,
        seed=seed,
        resume=True,
    )
    iou = pooled_iou(load_checkpoint(folder, device=options.device), mb.load_split(dataset, "test"))
    point = {
        "dataset": dataset,
        "model": model,
        "slices": n or sum(len(volume.image) for volume in train),
        "all": n == ALL,
        "seed": seed,
        "iou": round(iou, 4),
        "seconds": round(time.process_time() - spent, 1),
    }
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps(point))
    partial.replace(kept)
    return point


def write_table(points: list[dict], options: argparse.Namespace, out: Path) -> None:
    """The table and what it was measured with."""
    seeds = sorted({point["seed"] for point in points})
    lines = [
        "# Learning curves",
        "",
        (
            f"Foreground IoU on test after {options.steps} steps of {options.batch} crops, threshold 0.5, by "
            f"the number of labelled slices; seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}."
        ),
        "",
        (
            "No pretrained SAM weights were at hand: both SAMs start from random ones, so their curves say what "
            "the architectures learn from so few slices, not what pretrained SAM would."
        ),
        "",
    ]
    for dataset in dict.fromkeys(point["dataset"] for point in points):
        own = [point for point in points if point["dataset"] == dataset]
        counts = sorted({point["slices"] for point in own})
        lines += [
            f"## {dataset}",
            "",
            "| model | " + " | ".join(f"{n} slice{'s' * (n > 1)}" for n in counts) + " |",
        ]
        lines += ["|---|" + "---|" * len(counts)]
        for model in dict.fromkeys(point["model"] for point in own):
            cells = []
            for n in counts:
                scores = [p["iou"] for p in own if p["model"] == model and p["slices"] == n]
                spread = f" ({min(scores):.2f} to {max(scores):.2f})" if len(scores) > 1 else ""
                cells.append(f"{np.mean(scores):.3f}{spread}" if scores else "")
            lines.append(f"| {model} | " + " | ".join(cells) + " |")
        lines.append("")
    total = sum(point["seconds"] for point in points)
    lines += [
        (
            f"Made by `{' '.join(['python', 'benchmarks/learning_curves.py', *sys.argv[1:]])}` in "
            f"{total / 60:.0f} minutes of processor time. Raw numbers: `learning_curves.json`."
        ),
        "",
    ]
    out.with_suffix(".md").write_text("\n".join(lines))
    out.with_suffix(".json").write_text(json.dumps(points, indent=1) + "\n")


def draw(points: list[dict], out: Path) -> None:
    """One panel for each dataset, one line for each model, seeds as points."""
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "mitobench"
    from matplotlib import pyplot

    datasets = list(dict.fromkeys(point["dataset"] for point in points))
    figure, panels = pyplot.subplots(
        1, len(datasets), figsize=(4.2 * len(datasets), 3.4), sharey=True, squeeze=False
    )
    for panel, dataset in zip(panels[0], datasets, strict=True):
        own = [point for point in points if point["dataset"] == dataset]
        for model, colour in zip(
            dict.fromkeys(point["model"] for point in own), ("C0", "C1", "C2", "C3"), strict=False
        ):
            mine = [point for point in own if point["model"] == model]
            counts = sorted({point["slices"] for point in mine})
            means = [np.mean([p["iou"] for p in mine if p["slices"] == n]) for n in counts]
            panel.plot(counts, means, color=colour, label=model)
            panel.plot([p["slices"] for p in mine], [p["iou"] for p in mine], "o", color=colour, markersize=4)
        panel.set_xscale("log", base=2)
        panel.set_xticks(counts, [str(n) for n in counts])
        panel.set(title=dataset, xlabel="labelled slices", ylim=(0, 1))
    panels[0][0].set_ylabel("foreground IoU on test")
    panels[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(out.with_suffix(".svg"), metadata={"Date": None})


def main() -> None:
    """Measure all points, then write table, plot and numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", action="append", help="default: vnc and cdeep3m")
    parser.add_argument("--model", action="append", help="default: sam-vit-tiny, sam-hybrid and unet")
    parser.add_argument("--slices", type=int, nargs="+", default=[1, 2, 4, 8, ALL], help=f"{ALL} = all")
    parser.add_argument("--seed", type=int, action="append", help="default: 0")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--set", action="append", metavar="NAME=VALUE")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", default="runs/learning-curves", help="checkpoints; kept for the next run")
    parser.add_argument("--out", type=Path, default=RESULTS / "learning_curves")
    options = parser.parse_args()
    points = []
    for dataset in options.dataset or ["vnc", "cdeep3m"]:
        for seed in options.seed or [0]:
            for n in options.slices:
                for model in options.model or ["sam-vit-tiny", "sam-hybrid", "unet"]:
                    points.append(measure(dataset, model, n, seed, options))
                    print(json.dumps(points[-1]), flush=True)
    write_table(points, options, options.out)
    draw(points, options.out)


if __name__ == "__main__":
    main()
