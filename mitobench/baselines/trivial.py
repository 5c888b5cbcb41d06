"""Two controls that never look at the image: nothing, and everything. No rule that learns lives here."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mitobench.baselines.intensity import check_image
from mitobench.errors import BadInputError
from mitobench.segmenter import BaselineCard, Progress, Segmentation, no_progress

_VALUES = {"empty": 0, "everything": 1}


def load(
    card: BaselineCard,
    *,
    device: str,  # noqa: ARG001  (every load is called alike)
    weights: Path | None,
    seed: int,  # noqa: ARG001
) -> "Constant":
    """The control that a card names.

    Args:
        card: Of "empty" or "everything".
        device: Not used.
        weights: Must be None.
        seed: Not used.

    Raises:
        BadInputError: Weights were given.
    """
    if weights is not None:
        raise BadInputError(
            f"Baseline {card.key!r} takes no weights, but was given {weights}. Leave them out."
        )
    return Constant(card=card, value=_VALUES[card.key])


@dataclass(frozen=True, kw_only=True)
class Constant:
    """The same answer for every voxel.

    Attributes:
        card: Who this is.
        value: 0 for background, 1 for mitochondrion.
    """

    card: BaselineCard
    value: int

    def segment(
        self,
        image: NDArray[np.uint8],
        *,
        voxel_size_nm: tuple[float, float, float],  # noqa: ARG002  (the protocol's name)
        progress: Progress = no_progress,
    ) -> Segmentation:
        """A volume filled with one value.

        Args:
            image: Grey values, (z, y, x) uint8; only its shape is used.
            voxel_size_nm: Not used.
            progress: Told once, at the end.

        Returns:
            Semantic labels of the same shape, and a probability of 0 or 1 (0 or 255 as uint8) everywhere.

        Raises:
            ShapeError: The image is not (z, y, x).
            DtypeError: The image is not uint8.
        """
        check_image(image)
        labels = np.full(image.shape, self.value, dtype=np.uint8)
        progress(len(image), len(image), "slices")
        return Segmentation(labels=labels, kind="semantic", probability=labels * np.uint8(255))
