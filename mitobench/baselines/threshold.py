"""The control that looks at brightness alone: blur, keep a band of grey, drop small pieces. No network."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mitobench.baselines.checkpoint import (
    CARD_FILE,
    Checkpoint,
    package_versions,
    prepare_folder,
    read_checkpoint,
    write_checkpoint,
)
from mitobench.baselines.intensity import GreyRange, grey_range
from mitobench.baselines.run import Run, check_labelled, describe_volumes, labels_of, refuse_other_run
from mitobench.baselines.settings import parse_settings, setting
from mitobench.errors import BadInputError, FormatError
from mitobench.segmenter import BaselineCard, Progress, Segmentation, no_progress
from mitobench.volume import Volume

SIGMAS_NM = (10.0, 20.0, 30.0, 45.0, 60.0, 90.0)
MIN_AREAS_NM2 = (0.0, 5e3, 1e4, 2e4, 4e4, 8e4, 1.6e5)
_BAND = 8.0
"""Grey values over which the probability falls from 1 to 0 at the ends of the band."""


@dataclass(frozen=True, kw_only=True)
class ThresholdSettings:
    """What may be changed about the search; the rule itself is found by it."""

    dark_only: bool = setting(False, "Search only bands that reach down to black, not bands in the middle.")


SETTINGS: dict[str, type[ThresholdSettings]] = {"threshold": ThresholdSettings}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A voxel counts when its blurred grey value lies in a band and its piece of the slice is large enough.

    Attributes:
        sigma_nm: Of the Gaussian blur in the plane of the slice.
        low: Darkest blurred value that counts; values are scaled by the volume's percentiles to [0, 255].
        high: Blurred values from here on do not count.
        min_area_nm2: Smaller 4-connected pieces of a slice are dropped.
    """

    sigma_nm: float
    low: float
    high: float
    min_area_nm2: float


@dataclass(frozen=True, kw_only=True)
class ThresholdSegmenter:
    """A fitted rule behind the Segmenter protocol.

    Attributes:
        card: Who this is.
        rule: What was fitted.
    """

    card: BaselineCard
    rule: Rule

    def segment(
        self,
        image: NDArray[np.uint8],
        *,
        voxel_size_nm: tuple[float, float, float],
        progress: Progress = no_progress,
    ) -> Segmentation:
        """Apply the rule slice by slice.

        Args:
            image: Grey values, (z, y, x) uint8.
            voxel_size_nm: (z, y, x); turns the rule's nanometres into pixels.
            progress: Told about each finished slice.

        Returns:
            Semantic labels, and a probability that falls off at the ends of the band.

        Raises:
            ShapeError: The image is not a non-empty (z, y, x).
            DtypeError: The image is not uint8.
        """
        grey = grey_range(image)
        labels, probability = np.empty(image.shape, dtype=np.uint8), np.empty(image.shape, dtype=np.uint8)
        for z, plane in enumerate(image):
            blurred = _blur(grey.scale(np.asarray(plane)), self.rule.sigma_nm, voxel_size_nm)
            inside = (blurred >= self.rule.low) & (blurred < self.rule.high)
            labels[z] = _drop_small(inside, self.rule.min_area_nm2, voxel_size_nm)
            depth = np.minimum(blurred - self.rule.low, self.rule.high - blurred)
            probability[z] = np.clip((depth / _BAND + 0.5) * 255, 0, 255).round()
            progress(z + 1, len(image), "slices")
        return Segmentation(labels=labels, kind="semantic", probability=probability)


def train(card: BaselineCard, run: Run, given: Mapping[str, object], *, device: str) -> Path:
    """Find the rule with the best pooled IoU on the training volumes; validation volumes are not opened.

    Args:
        card: Not used.
        run: Data and folder.
        given: Changed settings by name.
        device: Not used.

    Returns:
        The checkpoint folder; its JSON is the whole model.

    Raises:
        BadInputError: A volume without labels, none at all, or no foreground.
    """
    del card, device
    settings = parse_settings(ThresholdSettings, given)
    prepare_folder(run.folder, resume=run.resume)
    checkpoint = Checkpoint(
        baseline=run.baseline,
        seed=run.seed,
        settings=asdict(settings),
        found={},
        data={"train": describe_volumes(run.train), "val": describe_volumes(run.val)},
        provenance=run.provenance,
        versions=package_versions(),
    )
    if (run.folder / CARD_FILE).exists():
        refuse_other_run(run.folder, read_checkpoint(run.folder).identity(), checkpoint.identity())
        return run.folder
    rule, iou = fit_rule(run.train, dark_only=settings.dark_only, progress=run.progress)
    found = {"rule": asdict(rule), "train_iou": iou}
    return write_checkpoint(run.folder, checkpoint.model_copy(update={"found": found}))


def restore(card: BaselineCard, folder: Path, checkpoint: Checkpoint, *, device: str) -> ThresholdSegmenter:
    """The fitted rule of a checkpoint folder.

    Args:
        card: Who this is.
        folder: Named in the error.
        checkpoint: What its checkpoint.json says.
        device: Not used.

    Raises:
        FormatError: The checkpoint holds no rule, or one of other numbers.
    """
    del device
    try:
        return ThresholdSegmenter(card=card, rule=Rule(**checkpoint.found["rule"]))
    except (KeyError, TypeError) as error:
        raise FormatError(
            f"{folder / CARD_FILE}: found.rule is {checkpoint.found.get('rule')!r}; expected the four numbers of a "
            "threshold rule. Train it again."
        ) from error


def fit_rule(
    volumes: Sequence[Volume], *, dark_only: bool = False, progress: Progress = no_progress
) -> tuple[Rule, float]:
    """The rule with the best foreground IoU pooled over some volumes.

    For each blur, one histogram per class answers for every band at once; the size filter is then tried on the best
    band of each blur.

    Args:
        volumes: Labelled volumes.
        dark_only: Only bands that reach down to black.
        progress: Told about finished blurs.

    Returns:
        The rule, and its IoU on these volumes.

    Raises:
        BadInputError: A volume without labels, none at all, or no foreground.
    """
    check_labelled(volumes)
    greys = [grey_range(volume.image) for volume in volumes]
    best: tuple[Rule, float] | None = None
    for done, sigma_nm in enumerate(SIGMAS_NM):
        low, high = _best_band(_histogram(volumes, greys, sigma_nm), dark_only=dark_only)
        counts = np.zeros((len(MIN_AREAS_NM2), 3), dtype=np.int64)
        for blurred, truth, counted, step in _blurred_slices(volumes, greys, sigma_nm):
            inside = (blurred >= low) & (blurred < high)
            for row, area in enumerate(MIN_AREAS_NM2):
                kept = _drop_small(inside, area, step)
                counts[row] += _hits(kept[counted], truth[counted])
        iou = counts[:, 0] / counts.sum(axis=1)
        row = int(iou.argmax())
        if best is None or iou[row] > best[1]:
            rule = Rule(sigma_nm=sigma_nm, low=low, high=high, min_area_nm2=MIN_AREAS_NM2[row])
            best = rule, float(iou[row])
        progress(done + 1, len(SIGMAS_NM), "blurs tried")
    if best is None:
        raise BadInputError("No blur was tried; SIGMAS_NM is empty.")
    return best


def _blurred_slices(
    volumes: Sequence[Volume], greys: Sequence[GreyRange], sigma_nm: float
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], tuple[float, float, float]]]:
    """Blurred slice, truth, what counts, voxel size."""
    for volume, grey in zip(volumes, greys, strict=True):
        for z in range(len(volume.image)):
            blurred = _blur(grey.scale(np.asarray(volume.image[z])), sigma_nm, volume.voxel_size_nm)
            truth = labels_of(volume)[z] != 0
            counted = np.ones_like(truth) if volume.ignore is None else ~np.asarray(volume.ignore[z])
            yield blurred, truth, counted, volume.voxel_size_nm


def _histogram(volumes: Sequence[Volume], greys: Sequence[GreyRange], sigma_nm: float) -> NDArray[np.int64]:
    """(2, 256): voxels by class and blurred grey value."""
    counts = np.zeros((2, 256), dtype=np.int64)
    for blurred, truth, counted, _ in _blurred_slices(volumes, greys, sigma_nm):
        index = truth[counted] * 256 + blurred[counted].clip(0, 255).astype(np.int64)
        counts += np.bincount(index, minlength=512).reshape(2, 256)
    return counts


def _best_band(counts: NDArray[np.int64], *, dark_only: bool) -> tuple[float, float]:
    """The band [low, high) of whole grey values with the best IoU."""
    below = np.pad(counts.cumsum(axis=1), ((0, 0), (1, 0)))
    lows = np.array([0]) if dark_only else np.arange(256)
    inside = below[:, None, :] - below[:, lows, None]
    iou = np.where(inside[1] > 0, inside[1] / np.maximum(counts[1].sum() + inside[0], 1), 0.0)
    low, high = np.unravel_index(int(iou.argmax()), iou.shape)
    return float(lows[low]), float(high)


def _blur(
    plane: NDArray[np.float32], sigma_nm: float, voxel_size_nm: tuple[float, float, float]
) -> NDArray[np.float32]:
    sigma = (sigma_nm / voxel_size_nm[1], sigma_nm / voxel_size_nm[2])
    blurred: NDArray[np.float32] = ndimage.gaussian_filter(plane, sigma, truncate=3.0)
    return blurred


def _drop_small(
    inside: NDArray[np.bool_], min_area_nm2: float, voxel_size_nm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    least = min_area_nm2 / (voxel_size_nm[1] * voxel_size_nm[2])
    if least <= 1:
        return inside
    pieces, _ = ndimage.label(inside)
    large = np.bincount(pieces.reshape(-1)) >= least
    large[0] = False
    kept: NDArray[np.bool_] = large[pieces]
    return kept


def _hits(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.int64]:
    """True positives, false positives, false negatives."""
    both = int(np.count_nonzero(predicted & truth))
    return np.array([both, np.count_nonzero(predicted) - both, np.count_nonzero(truth) - both])
