"""Models made ready: trained on a split, or loaded to predict. What a network is lives in the baselines."""

import functools
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mitobench.errors import BadInputError, UnknownNameError
from mitobench.segmenter import Progress, Segmenter, no_progress


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Where a model comes from, so that other processes and machines can load it too.

    Attributes:
        source: A checkpoint folder, or the key of a baseline that runs untrained.
        weights: Official weights for a baseline that takes them.
        seed: Of a random initialisation.
        sha256: Of the checkpoint's weights when this was made; a later checkpoint in that folder is another model.
    """

    source: str
    weights: Path | None = None
    seed: int = 0
    sha256: str = ""

    @classmethod
    def of(cls, source: str | Path, *, weights: Path | None = None, seed: int = 0) -> Self:
        """Take note of a model as it is now; arguments as for `load_segmenter`."""
        card = Path(source) / "checkpoint.json"
        sha256 = hashlib.sha256(card.read_bytes()).hexdigest() if card.is_file() else ""
        where = str(Path(source).resolve()) if sha256 else str(source)
        return cls(source=where, weights=weights, seed=seed, sha256=sha256)

    def load(self, device: str = "cpu") -> Segmenter:
        """The model, ready on a device; kept for the next call. Errors as in `load_segmenter`."""
        return _loaded(self, device)


@functools.lru_cache(maxsize=8)
def _loaded(model: ModelSource, device: str) -> Segmenter:
    return load_segmenter(model.source, device=device, weights=model.weights, seed=model.seed)


def load_segmenter(
    source: str | Path, *, device: str = "cpu", weights: Path | None = None, seed: int = 0
) -> Segmenter:
    """A model ready to predict, from a checkpoint folder or a baseline key.

    Args:
        source: A folder with checkpoint.json, the key of a baseline that runs untrained, or a folder with a SAM of
            Hugging Face transformers (config.json and safetensors).
        device: "cpu", "cuda", "cuda:1".
        weights: Official weights for a baseline that takes them.
        seed: Of a random initialisation.

    Raises:
        UnknownNameError: Neither a checkpoint nor a baseline.
    """
    from mitobench import baselines

    path = Path(source)
    if (path / "checkpoint.json").is_file():
        return baselines.load_checkpoint(path, device=device)
    if (path / "config.json").is_file():
        return baselines.load_hugging(path, device=device)
    if str(source) not in baselines.BASELINES:
        if path.exists():
            raise BadInputError(
                f"{path} holds no checkpoint.json. Expected a folder written by `mitobench finetune`."
            )
        raise UnknownNameError("baseline or checkpoint folder", str(source), baselines.BASELINES)
    return baselines.load_baseline(str(source), device=device, weights=weights, seed=seed)


def train(
    baseline: str,
    *,
    dataset: str,
    out: Path | str,
    version: int | None = None,
    settings: dict[str, object] | None = None,
    epochs: float | None = None,
    device: str = "cpu",
    seed: int = 0,
    resume: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Fit a baseline to the train split; anything chosen is chosen on val. Test is never opened.

    Pre-training without labels (train=masked) sees the images of the unlabelled split too, where there is one.

    Args:
        baseline: Key of a trainable baseline.
        dataset: Dataset key.
        out: Checkpoint folder to write.
        version: Split version; the newest when None.
        settings: Changed settings of the recipe, by name.
        epochs: Passes over the pixels of train, instead of the recipe's number of steps.
        device: Where to train.
        seed: Of initialisation, sampling and augmentation.
        resume: Go on from the state a stopped run left in `out`.
        progress: Told about steps.

    Returns:
        The checkpoint folder.
    """
    from mitobench import __version__, baselines
    from mitobench.datasets import load_split

    changed = dict(settings or {})
    splits = {part: load_split(dataset, part, version=version) for part in ("train", "val")}
    images = list(splits["train"])
    if changed.get("train") == "masked" and "unlabelled" in splits["train"].manifest.splits:
        splits["unlabelled"] = load_split(dataset, "unlabelled", version=version)
        images += splits["unlabelled"]
    if epochs is not None:
        defaults = {field.name: field.default for field in baselines.settings_fields(baseline, changed)}
        changed["steps"] = _steps(epochs, defaults | changed, [volume.shape for volume in images])
    provenance = {
        "dataset": dataset,
        "version": str(splits["train"].version),
        "splits": list(splits),
        "manifest_sha256": splits["train"].manifest_sha256,
        "mitobench": __version__,
        "command": " ".join(["mitobench", *sys.argv[1:]]),
    }
    return baselines.train_baseline(
        baseline,
        train=images,
        val=splits["val"],
        out=Path(out),
        settings=changed,
        provenance=provenance,
        device=device,
        seed=seed,
        resume=resume,
        progress=progress,
    )


def _steps(epochs: float, settings: dict[str, object], shapes: list[tuple[int, int, int]]) -> int:
    """Training steps that draw as many pixels as `epochs` passes over the volumes."""
    if not {"steps", "batch", "crop"} <= settings.keys() or epochs <= 0:
        raise BadInputError(
            f"epochs is {epochs}; expected a positive number, and a baseline that trains in steps of crops."
        )
    drawn = int(str(settings["batch"])) * int(str(settings["crop"])) ** 2
    return max(1, round(epochs * sum(z * y * x for z, y, x in shapes) / drawn))
