"""What a model has to offer to be run and scored: image in, labels out. No model lives here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, what) during long work; must be cheap and must not raise."""


def no_progress(done: int, total: int, what: str) -> None:
    """The Progress that shows nothing."""


@dataclass(frozen=True, kw_only=True)
class BaselineCard:
    """What a reader has to know about a baseline before looking at its score.

    Attributes:
        key: Lower-case kebab name, as typed on the command line.
        title: Name shown in tables.
        summary: One or two sentences: what it does and what it learnt from.
        trainable: Whether `mitobench finetune` applies.
        runs_untrained: Whether `mitobench predict KEY` works without a checkpoint.
        source: DOI or URL of the method, or None for trivial controls.
        extra: Name of the optional dependency group it needs, or None.
        parameters: Number of weights, 0 for rules.
    """

    key: str
    title: str
    summary: str
    trainable: bool
    runs_untrained: bool
    source: str | None = None
    extra: str | None = None
    parameters: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """What a segmenter says of one volume.

    Attributes:
        labels: (z, y, x), unsigned integer, 0 = background.
        kind: "semantic" when non-zero only means mitochondrion, "instance" when each id is one object.
        probability: (z, y, x) uint8, 255 = certainly mitochondrion; None when the model has no such thing.
    """

    labels: NDArray[np.unsignedinteger[Any]]
    kind: Literal["semantic", "instance"]
    probability: NDArray[np.uint8] | None = None


@runtime_checkable
class Segmenter(Protocol):
    """Anything with a card and a `segment` method; nothing has to be inherited."""

    @property
    def card(self) -> BaselineCard:
        """Who this is."""
        ...

    def segment(
        self,
        image: NDArray[np.uint8],
        *,
        voxel_size_nm: tuple[float, float, float],
        progress: Progress = no_progress,
    ) -> Segmentation:
        """Find the mitochondria of one volume, seeing the image alone.

        Args:
            image: Grey values, (z, y, x) uint8.
            voxel_size_nm: (z, y, x) in nanometres.
            progress: Told about finished slices.

        Returns:
            Labels of the same shape.
        """
        ...
