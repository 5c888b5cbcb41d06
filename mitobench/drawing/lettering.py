"""Words on pictures, in the one font that always comes along. It knows ASCII only; the micro sign is drawn by hand."""

import unicodedata
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int]

_MICRO = "\N{MICRO SIGN}"
_SPELT = {
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{MIDDLE DOT}": ",",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{GREEK SMALL LETTER MU}": _MICRO,
}


@cache
def font(size: int) -> Font:
    """The font at a size in pixels."""
    return ImageFont.load_default(size=size)


def drawable(words: str) -> str:
    """The words with every character that the font lacks spelt in ASCII; the micro sign stays.

    Example:
        >>> drawable("3 × 2 µm, Müller")
        '3 x 2 µm, Muller'
    """
    spelt = "".join(_SPELT.get(char, char) for char in words)
    return "".join(char if char == _MICRO else _ascii(char) for char in spelt)


def width(words: str, *, size: int) -> float:
    """Length of the words in pixels, as `write` draws them."""
    return float(font(size).getlength(drawable(words).replace(_MICRO, "u")))


def write(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], words: str, *, size: int, colour: Colour
) -> None:
    """Draw one line of words.

    Args:
        pen: Draws on an RGB picture.
        at: (x, y) of the left end of the baseline, in pixels.
        words: One line.
        size: Of the letters, in pixels.
        colour: Of the letters.
    """
    x, y = at
    shown, face = drawable(words), font(size)
    pen.text((x, y), shown.replace(_MICRO, "u"), font=face, fill=colour, anchor="ls")
    start, end, top = _stem(size)
    for place, char in enumerate(shown):
        if char == _MICRO:
            left = x + face.getlength(shown[:place].replace(_MICRO, "u"))
            pen.rectangle(
                (round(left + start), y + top, round(left + end), y + round(0.22 * size)), fill=colour
            )


def fitted(words: str, *, size: int, room: float) -> list[str]:
    """The words broken into lines that are at most `room` pixels long; a single longer word stays whole."""
    lines: list[str] = []
    for word in words.split():
        if lines and width(f"{lines[-1]} {word}", size=size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


@cache
def _stem(size: int) -> tuple[int, int, int]:
    """First and last column and top row of the left stem of a "u", from the left end of its baseline."""
    left, top, right, bottom = (int(edge) for edge in font(size).getbbox("u", anchor="ls"))
    drawn = Image.new("L", (right + 1, bottom - top + 1))
    ImageDraw.Draw(drawn).text((0, -top), "u", font=font(size), fill=255, anchor="ls")
    inked = np.asarray(drawn)[: max(1, -top // 2), : (left + right) // 2 + 1].mean(axis=0)
    columns = np.flatnonzero(inked > inked.max() / 2)
    return int(columns[0]), int(columns[-1]), top


def _ascii(char: str) -> str:
    plain = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    return plain if plain or unicodedata.combining(char) else "?"
