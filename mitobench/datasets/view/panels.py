"""The pictures of one volume: evenly spaced sections and a side view, with what lies on them. No layout."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.view.planes import Plane, read_plane
from mitobench.datasets.view.statistics import count_slice
from mitobench.drawing.chosen import even_slices
from mitobench.drawing.draw import Rgb, tissue
from mitobench.drawing.layers import Layer, composite, hatch_layer, outline_layer
from mitobench.drawing.scale_bar import scale_bar, with_scale_bar
from mitobench.volume import Volume

PIXELS_PER_LINE = 190
"""Outlines are one pixel wide per so many of the picture, so that they are seen when a browser shrinks it."""
WIDEST_LINE = 4
_SEARCH_SIDE = 256
THIN = 1 / 6
"""A side view takes a row of its own where the box is less deep than this share of its width."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """One picture.

    Attributes:
        title: Short, such as "slice 2".
        caption: The rest in words, such as "12 objects".
        image: The tissue with its scale bar, (y, x, 3).
        layer: Outlines and hatching, clear under the scale bar; None where there is nothing to show.
        pixel_nm: Nanometres per pixel.
        is_wide: Whether it takes a row of its own: a side view of a box that is much wider than deep.
    """

    title: str
    caption: str
    image: Rgb
    layer: Layer | None
    pixel_nm: float
    is_wide: bool = False

    @property
    def overlaid(self) -> Rgb:
        """The picture with its layer."""
        return composite(self.image, self.layer)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Which planes of a volume are shown.

    Attributes:
        sections: (slice, objects on it or None), ascending.
        side: Row of the side view, or None where there is none.
        why: Why this row, in words.
    """

    sections: tuple[tuple[int, int | None], ...]
    side: int | None
    why: str = ""


def choose(volume: Volume, *, slices: int) -> Chosen:
    """Evenly spaced sections with their counts, and a side view where the volume has more than one slice.

    The side view is cut where the middle section has most labels, or through the middle where there are none.
    """
    depth, rows, _ = volume.shape
    sections = tuple((index, count_slice(volume, index)) for index in even_slices(depth, count=slices))
    if depth == 1:
        return Chosen(sections=sections, side=None)
    middle = depth // 2
    plane = read_plane(volume, axis="z", index=middle, side=_SEARCH_SIDE)
    labelled = np.zeros(plane.grey.shape, np.bool_) if plane.ids is None else plane.ids != 0
    if plane.ignore is not None:
        labelled &= ~plane.ignore
    if not labelled.any():
        return Chosen(sections=sections, side=rows // 2, why="the middle row")
    best = int(np.argmax(labelled.sum(axis=1)))
    row = int((best + 0.5) * rows / len(labelled))
    return Chosen(sections=sections, side=row, why=f"where slice {middle} has most labels")


def draw_panels(volume: Volume, chosen: Chosen, *, side: int, gap: int, widest: int) -> Iterator[Panel]:
    """Draw one panel after the other, sections first.

    Args:
        volume: Where from.
        chosen: Which planes.
        side: Longest side of a panel in pixels.
        gap: Between the sections; a panel that takes a row of its own is as wide as all of them.
        widest: Of such a panel, in pixels.
    """
    scale, section_width = 0.0, 0
    for index, count in chosen.sections:
        plane = read_plane(volume, axis="z", index=index, side=side)
        scale, section_width = plane.pixel_nm, plane.grey.shape[1]
        yield _panel(volume, plane, title=f"slice {index}", caption=_section_words(volume, index, count))
    if chosen.side is not None:
        depth, width = _extent_um(volume, 0), _extent_um(volume, 2)
        is_wide = depth < THIN * width
        room = len(chosen.sections) * (section_width + gap) - gap
        plane = (
            read_plane(volume, axis="y", index=chosen.side, side=min(widest, room))
            if is_wide
            else read_plane(volume, axis="y", index=chosen.side, side=side, pixel_nm=scale)
        )
        extent = f", {width:.3g} µm wide and {depth:.3g} µm deep" if volume.voxel_size_known else ""
        words = f"row {chosen.side}, {chosen.why}; z runs down{extent}"
        yield _panel(volume, plane, title="side view (x, z)", caption=words, is_wide=is_wide)


def objects_text(volume: Volume, count: int | None) -> str:
    """A count of one slice in words; semantic labels have patches, not objects."""
    if count is None:
        return "no labels"
    noun = "object" if volume.label_kind == "instance" else "outline"
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _extent_um(volume: Volume, axis: int) -> float:
    return volume.shape[axis] * volume.voxel_size_nm[axis] / 1000


def _section_words(volume: Volume, index: int, count: int | None) -> str:
    start = volume.origin[0]
    published = f"z = {start + index} as published, " if start else ""
    return f"{published}{objects_text(volume, count)}"


def _panel(volume: Volume, plane: Plane, *, title: str, caption: str, is_wide: bool = False) -> Panel:
    image = tissue(plane.grey)
    layer = _layer(volume, plane)
    bar = scale_bar(image.shape, pixel_nm=plane.pixel_nm)
    if bar.fits and not is_wide and volume.voxel_size_known:
        image = with_scale_bar(image, pixel_nm=plane.pixel_nm)
        if layer is not None:
            layer[bar.covered] = 0
    return Panel(
        title=title, caption=caption, image=image, layer=layer, pixel_nm=plane.pixel_nm, is_wide=is_wide
    )


def _layer(volume: Volume, plane: Plane) -> Layer | None:
    """Outlines under hatching."""
    line = min(WIDEST_LINE, max(2, plane.grey.shape[1] // PIXELS_PER_LINE))
    outlines = None if plane.ids is None else outline_layer(plane.ids, kind=volume.label_kind, width=line)
    if plane.ignore is None or not plane.ignore.any():
        return outlines
    hatching = hatch_layer(plane.ignore)
    if outlines is None:
        return hatching
    return _over(hatching, outlines, ~plane.ignore)


def _over(hatching: Layer, outlines: Layer, counted: NDArray[np.bool_]) -> Layer:
    """Hatching where nothing counts, outlines elsewhere."""
    return np.where(counted[..., None], outlines, hatching)
