"""Tiny volumes, predictions and leaderboards for the tests of the benchmark wing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mitobench.benchmark.container import PredictionWriter
from mitobench.benchmark.record import Record
from mitobench.benchmark.score import score_prediction
from mitobench.volume import LabelKind, Volume

SHAPE = (6, 20, 24)
MANIFEST_SHA256 = "ab" * 32
ASKED = {"dataset": "fake", "version": "1", "split": "test", "track": "auto"}


def blobs(shift: int = 0) -> NDArray[np.uint16]:
    """Three boxes with ids 1, 2, 3 (48, 75 and 20 voxels), moved along x."""
    labels = np.zeros(SHAPE, np.uint16)
    for name, box in enumerate(((1, 5, 2, 6, 2, 5), (2, 5, 10, 15, 12, 17), (0, 2, 15, 20, 4, 6)), start=1):
        z0, z1, y0, y1, x0, x1 = box
        labels[z0:z1, y0:y1, x0 + shift : x1 + shift] = name
    return labels


def volume(
    name: str = "a",
    *,
    labels: NDArray[np.uint16] | None = None,
    kind: LabelKind = "instance",
    ignore: NDArray[np.bool_] | None = None,
) -> Volume:
    """A volume of three blobs."""
    found = blobs() if labels is None else labels
    return Volume(
        name=name,
        image=np.zeros(found.shape, np.uint8),
        labels=(found > 0).astype(np.uint8) if kind == "semantic" else found,
        label_kind=kind,
        voxel_size_nm=(30.0, 8.0, 8.0),
        ignore=ignore,
    )


def write_prediction(
    folder: Path,
    labels: Mapping[str, NDArray[np.integer]],
    *,
    kind: LabelKind = "instance",
    model: str = "some-model",
    seed: int = 0,
    **other: str,
) -> Path:
    """A prediction folder as the package writes it."""
    writer = PredictionWriter(folder, **{**ASKED, **other}, model=model, seed=seed)
    for name, array in labels.items():
        writer.add(name, labels=array, kind=kind)
    return writer.finish()


def score(path: Path, volumes: Sequence[Volume], **options: object) -> Record:
    """Score a fake prediction."""
    given = {**ASKED, "manifest_sha256": MANIFEST_SHA256, **options}
    return score_prediction(path, volumes=volumes, **given)  # type: ignore[arg-type]


def model_toml(key: str, **fields: str) -> str:
    """Text of a model.toml; fields are TOML values."""
    plain = {
        "key": f'"{key}"',
        "title": f'"Model {key}"',
        "kind": '"baseline"',
        "authors": '["Ada Example", { name = "Ben Example" }]',
        "licence": '"MIT"',
        "initialisation": '"random"',
        "training_data": '["fake@1/train"]',
        "commands": '["mitobench predict x"]',
        **fields,
    }
    return "".join(f"{name} = {value}\n" for name, value in plain.items())


def add_entry(
    board: Path,
    key: str,
    *,
    shift: int = 1,
    seeds: Sequence[int] = (0,),
    track: str = "auto",
    dataset: str = "fake",
    **fields: str,
) -> Path:
    """An entry folder with one record per seed; a larger shift is a worse model, a seed shifts one more."""
    entry = board / key
    entry.mkdir(parents=True, exist_ok=True)
    (entry / "model.toml").write_text(model_toml(key, **fields))
    for place, seed in enumerate(seeds):
        path = write_prediction(
            board.parent / f"{key}-{track}-{seed}",
            {"a": blobs(shift + place)},
            model=key,
            seed=seed,
            track=track,
            dataset=dataset,
        )
        score(path, [volume()], track=track, dataset=dataset).write(entry)
    return entry
