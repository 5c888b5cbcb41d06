"""Fitting the keep rule to training slices, as a checkpoint like any other. The rule itself: keep.py."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mitobench.baselines.checkpoint import (
    CARD_FILE,
    Checkpoint,
    package_versions,
    prepare_folder,
    read_checkpoint,
    read_weights,
    write_checkpoint,
)
from mitobench.baselines.run import Run, check_labelled, describe_volumes, labels_of, refuse_other_run
from mitobench.baselines.runtime import check_device, use_bf16
from mitobench.baselines.sam.candidates import Candidate, GridRecipe
from mitobench.baselines.sam.keep import KeepRule, TrainingSlice, fit_rule
from mitobench.baselines.sam.model import SamModel, build_sam
from mitobench.baselines.sam.predict import AutomaticSegmenter
from mitobench.baselines.sam.recipes import SamSettings
from mitobench.baselines.sam.start import shape_for, start_weights
from mitobench.baselines.sam.weights import fill
from mitobench.errors import FormatError
from mitobench.segmenter import BaselineCard, Progress
from mitobench.volume import Volume

_COARSE = 256
"""Longest side of the grid on which rules are compared."""


def tune_rule(card: BaselineCard, run: Run, settings: SamSettings, *, device: str) -> Path:
    """Fit the keep rule to the training volumes; no weight changes and no validation volume is opened.

    Args:
        card: Names the size.
        run: Data, folder, seed.
        settings: `weights`, `crop`, `input`, `grid` and how to run.
        device: Where to run.

    Returns:
        The checkpoint folder; it holds the weights too, so that it predicts on its own.

    Raises:
        BadInputError: An official size without weights, or data that cannot be learnt from.
        IntegrityError: The weights are not the official file.
    """
    prepare_folder(run.folder, resume=run.resume)
    check_labelled(run.train)
    sam, base = start_weights(card.key, settings, seed=run.seed)
    bf16 = use_bf16(settings.precision, check_device(device))
    checkpoint = Checkpoint(
        baseline=run.baseline,
        seed=run.seed,
        settings=asdict(settings),
        found={"bf16": bf16},
        data={"train": describe_volumes(run.train), "val": describe_volumes(run.val)},
        provenance=run.provenance,
        versions=package_versions(),
        base=base,
    )
    if (run.folder / CARD_FILE).exists():
        refuse_other_run(run.folder, read_checkpoint(run.folder).identity(), checkpoint.identity())
        return run.folder
    segmenter = automatic_segmenter(card, sam, settings, rule=KeepRule(), device=device, bf16=bf16)
    rule, iou = fit_rule(training_slices(segmenter, run.train, progress=run.progress), progress=run.progress)
    found = {"bf16": bf16, "rule": asdict(rule), "train_iou": iou}
    whole = checkpoint.model_copy(update={"found": found})
    return write_checkpoint(run.folder, whole, tensors=sam.state_dict())


def restore_rule(
    card: BaselineCard, folder: Path, checkpoint: Checkpoint, settings: SamSettings, *, device: str
) -> AutomaticSegmenter:
    """The zero-shot SAM with the rule of a checkpoint folder.

    Args:
        card: Names the size.
        folder: The checkpoint folder.
        checkpoint: What its checkpoint.json says.
        settings: Of that checkpoint.
        device: Where it will run.

    Raises:
        FormatError: The checkpoint holds no rule.
        IntegrityError: The weights are not those that the checkpoint names.
    """
    try:
        rule = KeepRule(**checkpoint.found["rule"])
    except (KeyError, TypeError) as error:
        raise FormatError(
            f"{folder / CARD_FILE}: found.rule is {checkpoint.found.get('rule')!r}; expected the limits of a keep "
            "rule. Train it again."
        ) from error
    sam = build_sam(shape_for(card.key, settings), seed=checkpoint.seed)
    fill(sam, read_weights(folder, checkpoint), source=str(folder))
    return automatic_segmenter(
        card, sam, settings, rule=rule, device=check_device(device), bf16=bool(checkpoint.found["bf16"])
    )


def automatic_segmenter(
    card: BaselineCard,
    sam: SamModel,
    settings: SamSettings,
    *,
    rule: KeepRule,
    device: str,
    bf16: bool = False,
) -> AutomaticSegmenter:
    """Zero-shot SAM behind the Segmenter protocol.

    Official sizes see tiles of their native 1024 pixels, others the crop that training would use.
    """
    shape = shape_for(card.key, settings)
    crop, side = (shape.image_size,) * 2 if shape.official else (settings.crop, settings.input)
    return AutomaticSegmenter(
        card=card,
        sam=sam.to(device).eval(),
        recipe=GridRecipe(per_side=settings.grid, crop=crop, input=side),
        rule=rule,
        device=device,
        bf16=bf16,
        threads=settings.threads,
    )


def training_slices(
    segmenter: AutomaticSegmenter, volumes: Sequence[Volume], *, progress: Progress
) -> list[TrainingSlice]:
    """Automatic masks of every training slice beside its truth, on a coarse grid.

    Args:
        segmenter: Asks for the masks; its rule is not used.
        volumes: Labelled volumes.
        progress: Told about each finished slice.
    """
    total = sum(len(volume.image) for volume in volumes)
    slices: list[TrainingSlice] = []
    for volume in volumes:
        pixel_nm2 = volume.voxel_size_nm[1] * volume.voxel_size_nm[2]
        for z, found in enumerate(segmenter.candidates(volume.image)):
            truth = np.asarray(labels_of(volume)[z]) != 0
            slices.append(coarse_slice(found, truth, pixel_nm2=pixel_nm2))
            progress(len(slices), total, "training slices")
    return slices


def coarse_slice(found: Sequence[Candidate], truth: NDArray[np.bool_], *, pixel_nm2: float) -> TrainingSlice:
    """One slice's masks and truth on a grid of at most 256 cells a side.

    Args:
        found: Its automatic masks.
        truth: (y, x).
        pixel_nm2: Area of a slice pixel in square nanometres.
    """
    shrink = max(1.0, max(truth.shape) / _COARSE)
    size = (max(1, round(truth.shape[0] / shrink)), max(1, round(truth.shape[1] / shrink)))
    coarse_truth = functional.adaptive_avg_pool2d(torch.from_numpy(truth)[None].float(), size)[0] > 0.5
    masks = np.zeros((len(found), -(-size[0] * size[1] // 8)), dtype=np.uint8)
    for index, candidate in enumerate(found):
        whole = np.zeros(size, dtype=bool)
        y, x = (round(corner / shrink) for corner in candidate.corner)
        small = (max(1, round(candidate.size[0] / shrink)), max(1, round(candidate.size[1] / shrink)))
        window = whole[y : y + small[0], x : x + small[1]]
        window[:] = (candidate.paint(small) > 0).cpu().numpy()[: window.shape[0], : window.shape[1]]
        masks[index] = np.packbits(whole)
    properties = np.array(
        [[one.iou, one.stability, one.area * pixel_nm2, one.grey] for one in found], dtype=np.float64
    )
    return TrainingSlice(
        masks=masks, truth=np.packbits(coarse_truth.numpy()), properties=properties.reshape(-1, 4)
    )
