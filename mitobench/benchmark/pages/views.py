"""Lays out the pictures of one place: slider between truth and prediction, a tile for each view. Draws nothing."""

from dataclasses import dataclass

from mitobench.drawing.draw import Mask2
from mitobench.drawing.escape import text

ERROR_LEGEND = (
    '<p class="mb-legend"><span><i class="mb-key-hit"></i>hit</span><span><i class="mb-key-false"></i>false alarm'
    '</span><span><i class="mb-key-miss"></i>miss (hatched)</span><span><i class="mb-key-truth"></i>truth outline'
    "</span></p>"
)
"""What the colours of the pictures mean, in words."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Addresses of the pictures of one place, relative to the page; None where there is none.

    Attributes:
        width: Of each picture, in pixels.
        height: Likewise.
        mask: The prediction alone, where no tissue may be shown.
        probability: What the model gave each pixel.
        tissue: The image alone.
        truth: The image with the truth outlined.
        errors: The image with hits, false alarms and misses.
        counts: A sentence of numbers.
    """

    width: int
    height: int
    mask: str | None = None
    probability: str | None = None
    tissue: str | None = None
    truth: str | None = None
    errors: str | None = None
    counts: str = ""


def figure(where: str, pictures: Pictures, *, small: bool = False) -> str:
    """The pictures of one place as HTML.

    Args:
        where: What they show, free text.
        pictures: Where they lie.
        small: For a part of a slice: the slider is one more tile instead of a picture of its own.
    """
    compare = _compare(pictures, where) if pictures.errors and pictures.truth else ""
    views = [
        ("Image", pictures.tissue, "the image alone"),
        ("Truth", pictures.truth, "truth outlined in white"),
        (
            "Prediction against truth",
            pictures.errors,
            "hits blue, false alarms vermilion, misses yellow and hatched",
        ),
        ("Prediction", pictures.mask, "predicted mitochondria"),
        ("Probability", pictures.probability, "from dark blue, 0, to yellow, 1"),
    ]
    tiles = "".join(_tile(label, at, f"{where}: {words}", pictures) for label, at, words in views if at)
    caption = f"<figcaption><b>{text(where)}.</b> {text(pictures.counts)}</figcaption>"
    look = "mb-slice mb-object" if small else "mb-slice"
    return f'<figure class="{look}">{caption}{compare}<div class="mb-tiles">{tiles}</div></figure>'


def in_words(what: str, truth: Mask2, mask: Mask2) -> str:
    """IoU and pixels of one picture as a sentence; `what` names the IoU."""
    shared, either = int((truth & mask).sum()), int((truth | mask).sum())
    iou = "undefined (nothing there, nothing found)" if either == 0 else f"{shared / either:.3f}"
    return (
        f"{what} {iou}: {shared:,} pixels hit, {int((mask & ~truth).sum()):,} false alarm, "
        f"{int((truth & ~mask).sum()):,} missed."
    )


def _compare(pictures: Pictures, where: str) -> str:
    size = f'width="{pictures.width}" height="{pictures.height}" loading="lazy" decoding="async"'
    return (
        '<div class="mb-compare" data-mb-compare>'
        f'<img src="{text(pictures.truth)}" alt="{text(where)}: truth outlined in white" {size}>'
        f'<img class="mb-over" src="{text(pictures.errors)}" alt="{text(where)}: prediction against truth" {size}>'
        '<span class="mb-divider" aria-hidden="true"></span>'
        f'<input type="range" min="0" max="100" value="50" step="1" hidden aria-label="{text(where)}: '
        'share of the prediction shown, the truth fills the rest"><span class="mb-side mb-left" aria-hidden="true">'
        'prediction</span><span class="mb-side mb-right" aria-hidden="true">truth</span></div>'
    )


def _tile(label: str, at: str | None, words: str, pictures: Pictures) -> str:
    return (
        f'<figure class="mb-tile"><a href="{text(at)}"><img src="{text(at)}" alt="{text(words)}" '
        f'width="{pictures.width}" height="{pictures.height}" loading="lazy" decoding="async"></a>'
        f"<figcaption>{text(label)}</figcaption></figure>"
    )
