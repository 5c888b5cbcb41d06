"""The contact sheet: panels of several volumes on one picture, with words. Draws nothing of the volumes itself."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from mitobench.datasets.view.panels import Panel
from mitobench.drawing import lettering
from mitobench.drawing.draw import Rgb

SHEET_SIDE = 440
"""Longest side of a panel on the sheet, in pixels."""
GAP = 14
"""Between panels, in pixels."""
MOST_WIDE = 4000
"""Longest side of a panel that takes a row of its own."""
LEAST_WIDTH = 1000
"""Of the sheet in pixels, so that its words have room."""

_PAPER, _INK, _SOFT = (255, 255, 255), (24, 26, 32), (92, 96, 106)
_MARGIN = 40
_TITLE, _HEAD, _WORDS = 34, 24, 17
_LINE = 1.35


def sheet_block(panels: Sequence[Panel], *, title: str, words: str) -> Rgb:
    """One volume: its name and facts, a row of images, and below it the same with their layers.

    Args:
        panels: At least one that is not wide; wide ones follow below the others.
        title: Name of the volume.
        words: Facts in one sentence.

    Returns:
        (y, x, 3) on white.
    """
    columns = [panel for panel in panels if not panel.is_wide]
    cell_width = max(panel.image.shape[1] for panel in columns)
    width = max(
        len(columns) * (cell_width + GAP) - GAP,
        LEAST_WIDTH - 2 * _MARGIN,
        *(panel.image.shape[1] for panel in panels),
    )
    head = text_block([(title, _HEAD, _INK), (words, _WORDS, _SOFT)], width=width)
    parts = [head, _row(columns, cell_width=cell_width, width=width)]
    parts += [
        _row([panel], cell_width=panel.image.shape[1], width=width) for panel in panels if panel.is_wide
    ]
    return _stacked(parts, gap=GAP)


def _row(panels: Sequence[Panel], *, cell_width: int, width: int) -> Rgb:
    """Captions, the pictures beside each other, and below them the same with their layers if there are any."""
    captions = [
        text_block(
            [(panel.title, _WORDS, _INK), (panel.caption, _WORDS, _SOFT)], width=max(cell_width, _WORDS)
        )
        for panel in panels
    ]
    rows: list[list[Rgb]] = [captions, [panel.image for panel in panels]]
    if any(panel.layer is not None for panel in panels):
        rows.append([panel.overlaid for panel in panels])
    drawn = []
    for pictures in rows:
        strip = np.full((max(len(picture) for picture in pictures), width, 3), _PAPER, dtype=np.uint8)
        for column, picture in enumerate(pictures):
            left = column * (cell_width + GAP)
            strip[: picture.shape[0], left : left + picture.shape[1]] = picture
        drawn.append(strip)
    return _stacked([drawn[0], _stacked(drawn[1:], gap=GAP)], gap=GAP // 2)


def _stacked(parts: Sequence[Rgb], *, gap: int) -> Rgb:
    """Pictures below each other, left-aligned on white, with gaps between them."""
    width = max(part.shape[1] for part in parts)
    height = sum(len(part) for part in parts) + gap * (len(parts) - 1)
    stacked = np.full((height, width, 3), _PAPER, dtype=np.uint8)
    top = 0
    for part in parts:
        stacked[top : top + part.shape[0], : part.shape[1]] = part
        top += part.shape[0] + gap
    return stacked


def text_block(lines: Sequence[tuple[str, int, lettering.Colour]], *, width: int) -> Rgb:
    """Paragraphs of (words, size, colour) on white, broken to a width in pixels."""
    broken = [
        (line, size, colour)
        for words, size, colour in lines
        for line in lettering.fitted(words, size=size, room=width)
    ]
    height = round(sum(_LINE * size for _, size, _ in broken))
    drawn = Image.new("RGB", (width, max(1, height)), _PAPER)
    pen, y = ImageDraw.Draw(drawn), 0.0
    for line, size, colour in broken:
        lettering.write(pen, (0, y + size), line, size=size, colour=colour)
        y += _LINE * size
    return np.asarray(drawn, dtype=np.uint8)


def compose_sheet(blocks: Sequence[Rgb], *, title: str, subtitle: str, notes: Sequence[str]) -> Rgb:
    """Blocks under a title, notes below.

    Args:
        blocks: Of `sheet_block`, at least one.
        title: One line.
        subtitle: What the specimen is and how it was imaged.
        notes: Legend, licence, how to cite; one paragraph each.
    """
    width = max(block.shape[1] for block in blocks)
    head = text_block([(title, _TITLE, _INK), (subtitle, _WORDS, _SOFT)], width=width)
    foot = text_block([(note, _WORDS, _SOFT) for note in notes], width=width)
    inner = _stacked([head, *blocks, foot], gap=2 * GAP)
    return np.pad(inner, ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0)), constant_values=255)


def png_bytes(picture: NDArray[np.uint8], *, words: dict[str, str] | None = None) -> bytes:
    """A picture as PNG, (y, x, 3) or (y, x, 4), with words in its header such as {"Software": "..."}."""
    about = PngInfo()
    for name, value in (words or {}).items():
        about.add_itxt(name, value)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", pnginfo=about, compress_level=6)
    return buffer.getvalue()
