"""Whether a prediction can be scored as what was asked for: truth, split, track and prompts. Computes nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mitobench.benchmark.container import OpenPrediction
from mitobench.errors import BadInputError
from mitobench.prompts import STARTS
from mitobench.volume import Volume


def check_truth(volumes: Sequence[Volume], dataset: str, split: str) -> None:
    """Refuse a split that has no truth, or truth of two kinds."""
    if not volumes:
        raise BadInputError(f"Split {split!r} of {dataset} has no volumes; nothing can be scored.")
    hidden = [volume.name for volume in volumes if volume.labels is None]
    if hidden:
        raise BadInputError(
            f"The truth of {', '.join(hidden)} in {dataset} {split} is not public, so it cannot be scored "
            "here. Choose a split with labels."
        )
    kinds = sorted({volume.label_kind for volume in volumes})
    if len(kinds) > 1:
        raise BadInputError(
            f"Split {split!r} of {dataset} mixes {' and '.join(kinds)} truth; expected one kind."
        )


def check_same(opened: OpenPrediction, path: Path, **asked: str) -> None:
    """Refuse to score a prediction of one split against the truth of another."""
    if opened.manifest is None:
        return
    wrong = [
        f"{field} {getattr(opened.manifest, field)!r}, not {value!r}"
        for field, value in asked.items()
        if getattr(opened.manifest, field) != value
    ]
    if wrong:
        raise BadInputError(
            f"{path}: prediction.json says {'; '.join(wrong)}. Score it as what it is, or predict again."
        )


def check_prompts(opened: OpenPrediction, shipped: Mapping[str, str], split: str, track: str) -> None:
    """Refuse prompts that nobody else was given: their row would compare with no other."""
    for name, digest in (opened.manifest.prompts if opened.manifest else {}).items():
        fits = track in STARTS and name.startswith(f"{split}.{STARTS[track]}.")
        if not fits or shipped.get(name) != digest:
            raise BadInputError(
                f"prediction.json says that the model was given the prompts {name} with sha256 {digest[:12]}..., which "
                f"are none of those shipped for track {track!r} of {split}. Predict again with the shipped file."
            )
