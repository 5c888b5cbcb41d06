"""A made-up leaderboard in the shape that the site generator takes: several tracks and datasets, one hostile entry."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from mitobench.benchmark.ask import packed
from mitobench.benchmark.gallery import write_gallery
from mitobench.benchmark.pages.facts import DatasetFacts, EntryFacts
from mitobench.benchmark.pages.sources import duel_facts
from mitobench.benchmark.schema import Region
from mitobench.benchmark.tables import ObjectRow
from mitobench.benchmark.tiles import tile_counts
from mitobench.benchmark.tracks import TRACKS
from mitobench.metrics import METRICS, overlap_table
from mitobench.volume import Volume

NASTY = (
    "<script>alert(1)</script> | `tick` [x](javascript:alert(2)) "
    '<img src=x onerror="alert(3)"> &lt;b&gt; {{ 7*7 }} {: .x } :smile: *_~'
)
"""Every mark that Markdown, HTML, a table, a template or an emoji plugin could act on."""
NASTY_MULTILINE = f"{NASTY}\n\n# heading\n\n    code\n</pre></code><script>alert(4)</script>"

REPOSITORY = Path(__file__).resolve().parents[1]

TISSUE, SEALED, ABSENT = "fakeem", "sealed", "absent"
"""Datasets: shown, licence forbids, data not on this machine."""

_SCORES = {
    # entry: (kind, parameters, {(dataset, track): headline IoU})
    "empty": ("control", 0, {(TISSUE, "auto"): 0.0, (SEALED, "auto"): 0.0, (ABSENT, "auto"): 0.0}),
    "everything": ("control", 0, {(TISSUE, "auto"): 0.062, (SEALED, "auto"): 0.094, (ABSENT, "auto"): 0.071}),
    "threshold": ("control", 0, {(TISSUE, "auto"): 0.243, (SEALED, "auto"): 0.208, (ABSENT, "auto"): 0.231}),
    "box-filled": ("control", 0, {(TISSUE, "patch-box"): 0.271}),
    "unet": (
        "baseline",
        1_940_000,
        {(TISSUE, "auto"): 0.762, (SEALED, "auto"): 0.811, (ABSENT, "auto"): 0.7},
    ),
    "sam-vit-tiny": (
        "baseline",
        512_000,
        {(TISSUE, "auto"): 0.594, (SEALED, "auto"): 0.633, (TISSUE, "patch-box"): 0.655},
    ),
    "sam-vit-b-zero-shot": ("baseline", 91_000_000, {(TISSUE, "auto"): 0.118}),
    "nasty": ("submission", None, {(TISSUE, "auto"): 0.801}),
    "second-lab": ("submission", 31_000_000, {(TISSUE, "auto"): 0.834, (SEALED, "auto"): 0.842}),
}
_NAMES = {
    "empty": "Empty",
    "everything": "Everything is mitochondrion",
    "threshold": "Blur and threshold",
    "box-filled": "Filled patch box (blind)",
    "unet": "U-Net 2-D",
    "sam-vit-tiny": "SAM ViT-tiny, fine-tuned",
    "sam-vit-b-zero-shot": "SAM ViT-B, zero-shot",
    "nasty": NASTY,
    "second-lab": "Second lab 3-D net",
}


def tissue(depth: int = 5, side: int = 300) -> Volume:
    """Smooth noise with membranes and bright-rimmed blobs; seeded."""
    draw = np.random.default_rng(3)
    rows, columns = np.mgrid[:side, :side]
    image = np.empty((depth, side, side), dtype=np.uint8)
    labels = np.zeros((depth, side, side), dtype=np.uint16)
    blobs = [
        (draw.uniform(20, side - 20), draw.uniform(20, side - 20), draw.uniform(10, 24), draw.uniform(0, 3))
        for _ in range(12)
    ]
    for z in range(depth):
        membrane = (
            np.abs(np.sin(rows / 21 + 1.7 * np.sin(columns / 33)) + np.sin(columns / 27 + z / 6)) < 0.09
        )
        grey = 168 + 16 * np.sin(rows / 5) * np.cos(columns / 7) + draw.normal(0, 13, (side, side))
        grey[membrane] = 70
        for number, (y, x, size, angle) in enumerate(blobs):
            along = (rows - y) * math.cos(angle) + (columns - x - z) * math.sin(angle)
            across = (columns - x - z) * math.cos(angle) - (rows - y) * math.sin(angle)
            distance = np.hypot(along / 1.8, across) / size
            inside = distance < 1
            labels[z][inside] = number + 1
            grey[inside] = 112 + 22 * np.sin(along / 2.4)[inside] + draw.normal(0, 9, inside.sum())
            grey[(distance > 0.93) & (distance < 1.05)] = 48
        image[z] = np.clip(grey, 0, 255).astype(np.uint8)
    return Volume(
        name="block1",
        image=image,
        labels=labels,
        label_kind="instance",
        voxel_size_nm=(40.0, 6.0, 6.0),
        origin=(16, 0, 0),
    )


VOLUME = tissue()
REGION = Region(volume="block1", origin=(16, 0, 0), shape=(5, 300, 300), voxel_size_nm=(40.0, 6.0, 6.0))


def volumes(dataset: str, version: str, split: str) -> list[Volume] | None:
    """The floor-4 function that opens data; here from memory."""
    return None if dataset == ABSENT else [VOLUME]


def predicted(entry: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probability: the truth shifted by an amount that depends on the entry, with one object lost."""
    assert VOLUME.labels is not None
    shift = 1 + sum(map(ord, entry)) % 5
    labels = np.roll(VOLUME.labels, shift, axis=2).copy()
    labels[labels == 3] = 0
    labels[:, 40:70, 200:240] = 99
    soft = (labels > 0).astype(np.float32)
    for axis in (1, 2):
        soft = sum(np.roll(soft, step, axis=axis) for step in range(-4, 5)) / 9
    return labels, np.rint(255 * soft).astype(np.uint8)


def record(entry: str, dataset: str, track: str, iou: float) -> dict[str, Any]:
    """A record with the fields that pages read, as decoded JSON."""
    scores = {
        key: None if entry == "empty" and key == "precision" else round(min(1.0, iou * 1.07), 4)
        for key in METRICS
    }
    scores["iou"] = iou
    scores |= {key: round((1 - scores["f1_50"]) / 5, 4) for key in scores if key.startswith("f1_lost_")}
    return {
        "schema": 1,
        "scorer": "mitobench 0.1.0",
        "model": entry,
        "dataset": dataset,
        "version": "1",
        "split": "test",
        "track": track,
        "seed": 0,
        "manifest_sha256": "ab" * 32,
        "status": "rescored" if entry == "second-lab" else "self-scored",
        "regions": [
            {
                "volume": "block1",
                "origin": [16, 0, 0],
                "shape": [5, 300, 300],
                "voxel_size_nm": [40.0, 6.0, 6.0],
                "ignored_voxels": 0,
            }
        ],
        "prediction": {
            "kind": "instance",
            "connectivity": None,
            "label_roots": {"block1": "cd" * 32},
            "missing": [],
        },
        "counts": {
            "voxels": {"tp": 31_000, "fp": 4_100, "fn": 5_200, "tn": 409_700},
            "objects": [{"threshold": 0.5, "n_true": 12, "n_pred": 12, "tp": 9, "fp": 3, "fn": 3}],
        },
        "scores": scores,
        "per_volume": {"block1": scores},
        "intervals": {
            "iou": {
                "low": iou - 0.04,
                "high": iou + 0.035,
                "level": 0.95,
                "method": "tiles",
                "units": 12 if dataset == SEALED else 64,
                "reliable": dataset != SEALED,
            }
        },
        "provenance": {
            "python": "3.12.1",
            "packages": {"numpy": "2.1"},
            "platform": "Linux x86_64",
            "seconds": 4.2,
            "command": f"mitobench score {NASTY if entry == 'nasty' else 'out/'}",
            "who": "submitter",
            "date": "2026-11-20",
        },
    }


def peers_of(dataset: str, track: str) -> list[float]:
    """Headline scores of a group."""
    return [found[dataset, track] for _, _, found in _SCORES.values() if (dataset, track) in found]


def _behind(peers: list[float], iou: float) -> dict[str, Any]:
    """The comparison with the best; two rows that lie within 0.05 count as tied."""
    gap = max(peers) - iou
    tied = gap < 0.05
    return {
        "difference": gap,
        "low": gap - 0.01,
        "high": gap + 0.01,
        "p": 0.31 if tied else 0.001,
        "tied": tied,
    }


def _given(iou: float) -> dict[str, Any]:
    """Scores over the objects that were given: a little above the pooled ones."""
    mean = round(iou + 0.05, 4)
    return {
        "objects": 12,
        "iou": mean,
        "low": mean - 0.08,
        "high": mean + 0.08,
        "share_50": 0.75,
        "share_75": 0.25,
    }


def _effort(entry: str, iou: float, track: str) -> list[dict[str, Any]]:
    """Points of score against prompts: none before, then one, for the second laboratory three."""
    prompts = [1.0, 2.0, 3.0] if entry == "second-lab" else [float(TRACKS[track].prompted)]
    return [
        {"prompts": one, "iou": min(1.0, iou + one / 40), "low": iou - 0.05, "high": None} for one in prompts
    ]


def board() -> dict[str, Any]:
    """board.json, decoded."""
    rows = []
    for entry, (kind, parameters, results) in _SCORES.items():
        for (dataset, track), iou in results.items():
            made = record(entry, dataset, track, iou)
            peers = peers_of(dataset, track)
            rows.append(
                {
                    "entry": entry,
                    "name": _NAMES[entry],
                    "kind": kind,
                    "dataset": dataset,
                    "version": "1",
                    "split": "test",
                    "track": track,
                    "seeds": [0, 1, 2] if entry == "second-lab" else [0],
                    "status": made["status"],
                    "rank": 1 + sum(other > iou for other in peers)
                    if TRACKS[track].ranked and kind != "control"
                    else None,
                    "scores": {key: made["scores"][key] for key in made["scores"]},
                    "intervals": made["intervals"] if iou > 0 else {},
                    "blind": 0.271 if track == "patch-box" else None,
                    "gain": round((iou - 0.271) / (1 - 0.271), 3)
                    if track == "patch-box" and kind != "control"
                    else None,
                    "prompted": _given(iou) if TRACKS[track].prompted else None,
                    "effort": _effort(entry, iou, track),
                    "rank_range": [1, 3] if entry == "second-lab" else None,
                    "versus_best": _behind(peers_of(dataset, track), iou)
                    if TRACKS[track].ranked and kind != "control"
                    else None,
                    "parameters": parameters,
                    "prompts": "" if entry == "nasty" else "oracle" if track == "patch-box" else "none",
                    "open_weights": kind == "baseline",
                    "trained_on": NASTY
                    if entry == "nasty"
                    else f"{dataset}@1/train"
                    if kind != "control"
                    else "",
                    "initialisation": "random" if entry.startswith("sam") else "none",
                    "contaminated": entry == "nasty",
                    "contaminated_by": [NASTY] if entry == "nasty" else [],
                    "date": "2026-11-20",
                }
            )
    reported = [
        {
            "model": f"{NASTY} net",
            "dataset": "lucchi",
            "metric": "IoU",
            "value": 0.872,
            "protocol": NASTY,
            "source": NASTY,
            "url": "https://example.org/a?b=<c>",
            "spread": None,
            "caveat": NASTY,
        },
        {
            "model": "Fine-tuned SAM",
            "dataset": "lucchi",
            "metric": "mean patch IoU",
            "value": 0.76,
            "protocol": "one oracle box per patch",
            "source": "a notebook",
            "url": "javascript:alert(5)",
            "spread": 0.02,
            "caveat": "",
        },
    ]
    return {"schema": 1, "rows": rows, "reported": reported}


def two_hundred() -> dict[str, Any]:
    """A board of 200 entries in 451 rows, every number another."""
    made = board()["rows"]
    models = {"unet", "sam-vit-tiny", "sam-vit-b-zero-shot", "second-lab"}
    rows = [row for row in made if row["kind"] == "control"] + [
        {**row, "entry": f"{row['entry']}-{number}", "name": f"{row['entry']} of laboratory {number}"}
        for number in range(49)
        for row in made
        if row["entry"] in models
    ]
    for number, row in enumerate(rows):
        row["scores"] = {
            key: (number * 7919 + place * 104_729) % 9973 / 9973 for place, key in enumerate(row["scores"])
        }
        low, high = row["scores"]["iou"] * 0.97, row["scores"]["iou"] * 0.98 + 0.02
        row["intervals"] = {"iou": {"low": low, "high": high, "units": 64, "reliable": True}}
    assert len({row["entry"] for row in rows}) == 200
    return {"rows": rows}


def objects_of(side: Any, labels: np.ndarray) -> list[ObjectRow]:
    """Objects of a volume, and whether they touch one of its faces in the plane."""
    rows = []
    for label in np.unique(labels[labels > 0]).tolist():
        inside = labels == label
        cut = inside[:, [0, -1]].any() or inside[:, :, [0, -1]].any()
        rows.append(
            ObjectRow(
                volume="block1",
                side=side,
                id=label,
                voxels=int(inside.sum()),
                centroid=tuple(float(c) for c in np.argwhere(inside).mean(axis=0)),
                touches_border=bool(cut),
            )
        )
    return rows


def entries(folder: Path, *, only: tuple[str, ...] = tuple(_SCORES)) -> list[EntryFacts]:
    """Every entry with its records, curves and gallery, written under `folder`."""
    made = []
    for entry in only:
        kind, parameters, results = _SCORES[entry]
        records, curves, gallery, overlaps, duels = {}, {}, {}, {}, {}
        labels, probability = predicted(entry)
        tables = {"block1": overlap_table(labels_true=VOLUME.labels, labels_pred=labels)}
        objects = [*objects_of("true", VOLUME.labels), *objects_of("pred", labels)]
        duel = duel_facts(tile_counts([REGION], tables, objects), tables, objects)
        for (dataset, track), iou in results.items():
            stem = f"{dataset}@1.{track}.0"
            records[stem] = record(entry, dataset, track, iou)
            gallery[stem] = folder / entry / "gallery" / stem
            for seed in (0, 1, 2) if entry == "second-lab" else (0,):
                overlaps[f"{dataset}@1.{track}.{seed}"] = packed(tables, objects)
                duels[f"{dataset}@1.{track}.{seed}"] = duel
            write_gallery(
                gallery[stem],
                volume_name="block1",
                labels=labels,
                probability=None if kind == "control" else probability,
            )
            if kind == "baseline":
                steps = list(range(0, 400, 4))
                curves[stem] = {
                    "step": steps,
                    "train_loss": [
                        1.4 * math.exp(-step / 90) + 0.2 + 0.05 * math.sin(step) for step in steps
                    ],
                    "val_step": list(range(0, 400, 50)),
                    "val_iou": [iou * (1 - math.exp(-(step + 20) / 80)) for step in range(0, 400, 50)],
                }
        made.append(
            EntryFacts(
                key=entry,
                model=_model(entry, parameters),
                records=records,
                curves=curves,
                gallery=gallery,
                overlaps=overlaps,
                duels=duels,
            )
        )
    return made


def _model(entry: str, parameters: int | None) -> dict[str, Any]:
    free = NASTY_MULTILINE if entry == "nasty" else "Made up for the tests of the site."
    return {
        "title": _NAMES[entry],
        "summary": free,
        "authors": [{"name": free, "orcid": NASTY}]
        if entry == "nasty"
        else ["Ada Example", {"name": "Bo", "orcid": "0000-0002-1825-0097"}],
        "code": {
            "url": "javascript:alert(6)" if entry == "nasty" else "https://example.org/code",
            "commit": "f" * 40,
        },
        "weights": {"url": "https://example.org/w.safetensors", "sha256": "e" * 64},
        "licence": free,
        "parameters": parameters,
        "commands": [NASTY, "mitobench score out/ --dataset fakeem"],
        "initialisation": free,
        "training_data": [NASTY] if entry == "nasty" else ["fakeem@1 train"],
        "notes": free,
    }


def dataset_cards() -> dict[str, DatasetFacts]:
    """Three datasets, one of them hostile in its free text."""
    facts = [
        ("Modality", "ssTEM"),
        ("Voxel size (z, y, x)", "40 x 6 x 6 nm"),
        ("Citation", NASTY),
        ("Licence", "CC BY 4.0, https://example.org/l"),
    ]
    splits = [("1", "test", "block1", "[16, 21) x [0, 300) x [0, 300)", "5 x 300 x 300")]
    return {
        key: DatasetFacts(
            key=key,
            title=f"{key} {NASTY}" if key == ABSENT else f"Made-up tissue {key}",
            summary=f"A dataset for tests. {NASTY}" if key == ABSENT else "A dataset for tests.",
            facts=facts,
            shows_tissue=key != SEALED,
            licence="CC BY 4.0" if key != SEALED else "Ask the owner",
            url="https://example.org/data",
            flaws=[NASTY],
            splits=splits,
        )
        for key in (TISSUE, SEALED, ABSENT)
    }


CLI_HELP = {
    "mitobench": " Usage: mitobench [OPTIONS] COMMAND [ARGS]...\n\n <b>Not bold</b> | `tick`\n",
    "mitobench score": " Usage: mitobench score [OPTIONS] PATH\n",
}


def arguments(folder: Path, *, only: tuple[str, ...] = tuple(_SCORES)) -> dict[str, Any]:
    """Keyword arguments of `write_site_pages`, for some or all of the entries."""
    made = board()
    return {
        "board": {**made, "rows": [row for row in made["rows"] if row["entry"] in only]},
        "entries": entries(folder, only=only),
        "dataset_cards": dataset_cards(),
        "metric_cards": METRICS,
        "track_cards": TRACKS,
        "volumes": volumes,
        "cli_help": CLI_HELP,
    }
