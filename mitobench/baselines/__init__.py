"""The table of baselines and the doors to them: image in, labels out. Nothing heavy is imported here."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from mitobench.baselines.cards import BASELINES, ROOMS
from mitobench.errors import BadInputError, MissingExtraError, UnknownNameError
from mitobench.segmenter import BaselineCard, Progress, Segmenter, no_progress
from mitobench.volume import Volume

if TYPE_CHECKING:
    from mitobench.baselines.checkpoint import Checkpoint
    from mitobench.baselines.run import Run
    from mitobench.baselines.settings import SettingField

__all__ = [
    "BASELINES",
    "load_baseline",
    "load_checkpoint",
    "load_hugging",
    "settings_fields",
    "train_baseline",
]


class _Room(Protocol):
    """What the module of a baseline offers; a trivial one has only `load`."""

    SETTINGS: Mapping[str, type[Any]]

    def load(self, card: BaselineCard, *, device: str, weights: Path | None, seed: int) -> Segmenter: ...

    def train(self, card: BaselineCard, run: "Run", given: Mapping[str, object], *, device: str) -> Path: ...

    def restore(
        self, card: BaselineCard, folder: Path, checkpoint: "Checkpoint", *, device: str
    ) -> Segmenter: ...


def load_baseline(key: str, *, device: str = "cpu", weights: Path | None = None, seed: int = 0) -> Segmenter:
    """A baseline that has learnt nothing from our data: a control, or SAM as it comes.

    Args:
        key: Name in BASELINES.
        device: "cpu", "cuda" or "cuda:N".
        weights: Official weights, for baselines that have some.
        seed: Of random weights, for baselines without official ones.

    Returns:
        A Segmenter.

    Raises:
        UnknownNameError: No baseline of that name.
        BadInputError: This one has to be trained first, or needs weights, or takes none.
        IntegrityError: The weights are not the official file.
    """
    card = _card(key)
    if not card.runs_untrained:
        raise BadInputError(
            f"Baseline {key!r} has to be trained before it can predict. Run: mitobench finetune {key} --dataset NAME"
        )
    return _room(card).load(card, device=device, weights=weights, seed=seed)


def train_baseline(
    key: str,
    *,
    train: Sequence[Volume],
    val: Sequence[Volume],
    out: Path,
    settings: Mapping[str, object] | None = None,
    provenance: Mapping[str, object] | None = None,
    device: str = "cpu",
    seed: int = 0,
    resume: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Fit a baseline to labelled volumes and write a checkpoint folder.

    Weights and rules are fitted to `train`; `val` only draws the curve and, where a setting asks for it, chooses the
    threshold.

    Args:
        key: Name in BASELINES.
        train: Labelled volumes.
        val: Labelled volumes; may be empty.
        out: Folder of the checkpoint; must not hold one, unless resuming.
        settings: Changed settings by name; see `settings_fields`.
        provenance: Facts about the data to keep in the checkpoint, JSON values.
        device: "cpu", "cuda" or "cuda:N".
        seed: Of weights, crops and augmentation.
        resume: Go on from what an interrupted run left in `out`. The weights come out the same, bit for bit on a CPU,
            as without the interruption.
        progress: Told about each step.

    Returns:
        The checkpoint folder.

    Raises:
        UnknownNameError: No baseline or setting of that name.
        BadInputError: The baseline cannot be trained, a setting or the data cannot be used, or the folder is taken.
    """
    from mitobench.baselines.run import Run

    card = _card(key)
    run = Run(
        baseline=key,
        train=train,
        val=val,
        folder=Path(out),
        provenance=dict(provenance or {}),
        seed=seed,
        resume=resume,
        progress=progress,
    )
    return _trainable(card).train(card, run, settings or {}, device=device)


def load_checkpoint(path: Path, *, device: str = "cpu") -> Segmenter:
    """The trained baseline of a checkpoint folder.

    Args:
        path: A folder written by `train_baseline`.
        device: "cpu", "cuda" or "cuda:N".

    Returns:
        A Segmenter.

    Raises:
        FormatError: The folder holds no finished checkpoint.
        IntegrityError: The weights are not those that the checkpoint names.
        UnknownNameError: The checkpoint is of a baseline that this version does not have.
    """
    from mitobench.baselines.checkpoint import read_checkpoint

    folder = Path(path)
    checkpoint = read_checkpoint(folder)
    card = _card(checkpoint.baseline)
    return _trainable(card).restore(card, folder, checkpoint, device=device)


def load_hugging(path: Path, *, device: str = "cpu") -> Segmenter:
    """A SAM 1, 2 or 3 from a folder as Hugging Face `transformers` saves one; nothing is downloaded.

    Args:
        path: Holds config.json and safetensors.
        device: "cpu", "cuda" or "cuda:N".

    Returns:
        A Segmenter, which also takes the prompts of all prompted tracks.

    Raises:
        FormatError: The folder holds no SAM.
        MissingExtraError: `transformers` or torch is not installed, or is too old.
    """
    try:
        from mitobench.baselines.sam import hugging
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "train", f"The model in {path}") from error
    return hugging.load_hugging(Path(path), device=device)


def settings_fields(key: str, given: Mapping[str, object] | None = None) -> "list[SettingField]":
    """The settings that `train_baseline` takes for a baseline: (name, type, default, help) each.

    Args:
        key: Name in BASELINES.
        given: Settings that will be changed; some change the defaults of others.

    Returns:
        One entry per setting; empty for a baseline that cannot be trained.

    Raises:
        UnknownNameError: No baseline of that name.
    """
    from mitobench.baselines.settings import fields_of

    card = _card(key)
    if not card.trainable:
        return []
    room = _room(card)
    changed: Mapping[str, Any] = getattr(room, "recipe_defaults", lambda _: {})(given or {})
    fields = fields_of(room.SETTINGS[key])
    return [field._replace(default=changed.get(field.name, field.default)) for field in fields]


def _card(key: str) -> BaselineCard:
    if key not in BASELINES:
        raise UnknownNameError("baseline", key, BASELINES)
    return BASELINES[key]


def _trainable(card: BaselineCard) -> _Room:
    if not card.trainable:
        raise BadInputError(
            f"Baseline {card.key!r} has nothing to train. Run: mitobench predict {card.key} --dataset NAME"
        )
    return _room(card)


def _room(card: BaselineCard) -> _Room:
    try:
        return cast(_Room, importlib.import_module(ROOMS[card.key]))
    except ModuleNotFoundError as error:
        if card.extra is None or (error.name or "").startswith("mitobench"):
            raise
        raise MissingExtraError(str(error.name), card.extra, f"Baseline {card.key!r}") from error
