"""SAM as the table of baselines sees it: load, train, restore. What they do lives in finetune.py and predict.py."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mitobench.baselines.checkpoint import Checkpoint
from mitobench.baselines.run import Run
from mitobench.baselines.runtime import check_device
from mitobench.baselines.sam.finetune import finetune, restore_finetuned
from mitobench.baselines.sam.keep import OFFICIAL_RULE
from mitobench.baselines.sam.masked import pretrain, refuse_to_segment
from mitobench.baselines.sam.predict import AutomaticSegmenter
from mitobench.baselines.sam.recipes import MASKED, SETTINGS, read_settings, recipe_defaults
from mitobench.baselines.sam.start import start_weights
from mitobench.baselines.sam.tune import automatic_segmenter, restore_rule, tune_rule
from mitobench.baselines.settings import parse_settings
from mitobench.segmenter import BaselineCard, Segmenter

__all__ = ["SETTINGS", "load", "recipe_defaults", "restore", "train"]
_WORK = {"rule": tune_rule, MASKED: pretrain}
"""What the setting `train` means; anything else is fine-tuning."""


def load(card: BaselineCard, *, device: str, weights: Path | None, seed: int) -> AutomaticSegmenter:
    """SAM as it comes: automatic masks from a grid of points, kept by the thresholds its authors use.

    Args:
        card: Names the size.
        device: Where it will run.
        weights: The official file; required for official sizes, none for others.
        seed: Of random weights.

    Raises:
        BadInputError: Weights are missing, or given where there are none.
        IntegrityError: The weights are not the official file.
    """
    settings = parse_settings(SETTINGS[card.key], {})
    settings = replace(settings, weights=str(weights) if weights else "")
    sam, _ = start_weights(card.key, settings, seed=seed)
    return automatic_segmenter(card, sam, settings, rule=OFFICIAL_RULE, device=check_device(device))


def train(card: BaselineCard, run: Run, given: Mapping[str, object], *, device: str) -> Path:
    """Fine-tune SAM, pre-train its encoder, or only fit the rule for its automatic masks; `train` says which.

    Args:
        card: Names the size.
        run: Data, folder, seed.
        given: Changed settings by name.
        device: Where to train.

    Returns:
        The checkpoint folder.
    """
    settings = read_settings(card.key, given)
    return _WORK.get(settings.train, finetune)(card, run, settings, device=device)


def restore(card: BaselineCard, folder: Path, checkpoint: Checkpoint, *, device: str) -> Segmenter:
    """The fine-tuned or rule-tuned SAM of a checkpoint folder.

    Args:
        card: Names the size.
        folder: The checkpoint folder.
        checkpoint: What its checkpoint.json says.
        device: Where it will run.
    """
    refuse_to_segment(folder, checkpoint)
    settings = parse_settings(SETTINGS[card.key], checkpoint.settings)
    if settings.train == "rule":
        return restore_rule(card, folder, checkpoint, settings, device=device)
    return restore_finetuned(card, folder, checkpoint, settings, device=device)
