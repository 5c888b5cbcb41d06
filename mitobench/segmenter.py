"""What a model has to offer to be run and scored: image in, labels out. No model lives here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]
"""Part of a volume, (z, y, x), slices with whole-numbered ends and step 1."""

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


@runtime_checkable
class BlockSegmenter(Segmenter, Protocol):
    """A Segmenter whose result can be put together from blocks, computed in any order, on any machine."""

    @property
    def threshold(self) -> float:
        """Probability above which a voxel is a mitochondrion."""
        ...

    def fingerprint(self) -> str:
        """Equal for models whose blocks are equal, such as the hash of weights and settings."""
        ...

    def blocks(self, shape: tuple[int, int, int]) -> list[Box]:
        """Where the blocks of a volume lie, z slowest; together they cover it, and none overlap."""
        ...

    def grey_ends(self, image: Any) -> tuple[float, float]:
        """What has to be known of the whole image before its blocks: the grey values that become black and white."""
        ...

    def block(self, image: Any, box: Box, *, grey_ends: tuple[float, float]) -> NDArray[np.uint8]:
        """Probability of one block.

        Args:
            image: The whole image, (z, y, x) uint8: anything that slices; only what the block needs is read.
            box: One of `blocks`.
            grey_ends: Of the whole image.

        Returns:
            (z, y, x) uint8 of the box, 255 = certainly mitochondrion.
        """
        ...
