"""What each metric looks at, as tiny label arrays with one sentence each. No numbers and no markup."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.card import MetricCard

Case = Literal["shown", "both", "true", "pred"]
"""The example as it stands, or with a side (named as in `empty_side`) wiped out."""


@dataclass(frozen=True, kw_only=True)
class Idea:
    """Two small label pictures that show what a metric rewards or punishes.

    Attributes:
        rows: Truth and prediction side by side, one pair of words per row; "." is background, a digit is the id
            of an object.
        sentence: What to look at, free of numbers: those are computed.
        voxel_nm: Edge of a voxel; None leaves distances out, which are slow on enlarged squares.
        cell: Voxels per edge of a drawn square, for metrics that ask for large objects.
        show_scale: Whether the reader has to know how large a square is.
    """

    rows: str
    sentence: str
    voxel_nm: float | None = 10.0
    cell: int = 1
    show_scale: bool = False

    def labels(self, case: Case = "shown") -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Truth and prediction as drawn, (y, x), one element per square."""
        words = self.rows.split()
        true, pred = _grid(words[0::2]), _grid(words[1::2])
        return true * (case not in {"both", "true"}), pred * (case not in {"both", "pred"})

    def swapped(self, sentence: str) -> "Idea":
        """The same pictures with the sides exchanged."""
        words = self.rows.split()
        pairs = zip(words[1::2], words[0::2], strict=True)
        return replace(self, rows="\n".join(" ".join(pair) for pair in pairs), sentence=sentence)


def idea_of(card: MetricCard) -> Idea:
    """The example of a metric: its own, else that of its family."""
    return IDEAS.get(card.key, IDEAS[card.family])


def _grid(rows: list[str]) -> NDArray[np.uint8]:
    return np.array([[int(char) if char.isdigit() else 0 for char in row] for row in rows], dtype=np.uint8)


_VOXELS = Idea(
    sentence="Shared foreground counts for the score; what only one side calls foreground counts against it.",
    rows="""
        ............  ............
        ..1111......  ...1111.....
        .1111111....  ..1111111...
        .1111111....  ..1111111...
        .1111111....  ..1111111...
        ..11111.....  ..111111....
        ............  ............
    """,
)
_GENEROUS = Idea(
    sentence="Drawn too large and once where there is nothing: only false alarms lower it.",
    rows="""
        ............  ............
        ..1111......  .111111.....
        ..11111.....  .1111111.22.
        ..11111.....  .1111111.22.
        ...111......  ..11111.....
        ............  ............
    """,
)
_TIMID = _GENEROUS.swapped("Drawn too small and one object not seen: only misses lower it.")
_ELSEWHERE = Idea(
    sentence="The right amount in the wrong place: this score cannot see it, IoU can.",
    rows="""
        ............  ............
        .11111......  .....11111..
        .11111......  .....11111..
        .11111......  .....11111..
        ............  ............
    """,
)
_OBJECTS = Idea(
    sentence="Some objects are found, more or less exactly; one is missed and one is invented.",
    rows="""
        ................  ................
        .1111....2222...  .1111....222....
        .1111....2222...  .1111....222....
        .1111....2222...  ..111....222....
        ................  ................
        .333...44.......  .33.............
        .333...44.......  .33..........555
        ................  .............555
    """,
)
_INVENTED_OBJECTS = Idea(
    sentence="Two objects are found, two more are predicted where there are none.",
    rows="""
        ................  ................
        .111...2222.....  .111...222...33.
        .111...2222.....  .111...222...33.
        .111...2222.....  .11....222......
        ................  ....44..........
        ................  ....44..........
    """,
)
_MISSED_OBJECTS = _INVENTED_OBJECTS.swapped("Two objects are found, two more are never predicted.")
_LOOSE = Idea(
    sentence="How well found objects fit; the one that was missed does not enter.",
    rows="""
        ................  ................
        .1111...2222....  ..1111..222.....
        .1111...2222....  ..1111..222.....
        .1111...2222....  ..1111..222.....
        .............33.  ................
        .............33.  ................
    """,
)
_SIZES = Idea(
    sentence="Each size of object is judged alone; here are two small ones, a medium one and a large one.",
    rows="""
        ................  ................
        .1..2222..33333.  .1..2222..3333..
        .1..2222..33333.  .1..222...3333..
        ..........33333.  ..........33....
        ....4.....33333.  ..........33....
        ....4...........  ................
    """,
    voxel_nm=None,
    cell=40,
    show_scale=True,
)
_CUT = Idea(
    sentence="One object is cut in two; the other is whole.",
    rows="""
        ..............  ..............
        .1111111111...  .1111133333...
        .1111111111...  .1111133333...
        ..............  ..............
        .222222.......  .222222.......
        .222222.......  .222222.......
    """,
)
_GLUED = _CUT.swapped("Two touching objects are glued into one; the other is left alone.")
_CUT_AND_GLUED = Idea(
    sentence="Every voxel is foreground on both sides, yet one object is cut and two others are glued.",
    rows="""
        ..............  ..............
        .1111111111...  .1111144444...
        .1111111111...  .1111144444...
        ..............  ..............
        .222222333333.  .222222222222.
        .222222333333.  .222222222222.
    """,
)
_PARTLY_MISSED = Idea(
    sentence="Nothing is cut or glued, but predicted background inside true objects counts here.",
    rows="""
        ..............  ..............
        .1111111111...  .11111........
        .1111111111...  .11111........
        ..............  ..............
        .222222.......  .22...........
        .222222.......  .22...........
    """,
)
_SHIFTED = Idea(
    sentence="The prediction lies to one side: how far apart are the two outlines?",
    rows="""
        ..............  ..............
        ..11111111....  ...11111111...
        ..11111111....  ...11111111...
        ..11111111....  ...11111111...
        ..11111111....  ...1111111111.
        ..............  ..............
    """,
    show_scale=True,
)
_BULGE = Idea(
    sentence="The outline strays further row by row; the tolerance says how much of it is forgiven.",
    rows="""
        ................  ................
        ..1111111.......  ..1111111.......
        ..1111111.......  ..11111111......
        ..1111111.......  ..111111111.....
        ..1111111.......  ..11111111111...
        ..1111111.......  ..1111111111111.
        ................  ................
    """,
    show_scale=True,
)
_CRUMB = Idea(
    sentence="The object fits exactly, but one crumb lies far off; each distance makes something else of it.",
    rows="""
        ................  ................
        ..1111..........  ..1111..........
        ..1111..........  ..1111.......2..
        ..1111..........  ..1111..........
        ................  ................
    """,
    show_scale=True,
)
_SHELL = Idea(
    sentence="Only a shell counts on each side; the middle, which is easy to get right, adds nothing.",
    rows="""
        ..............  ..............
        .1111111111...  ..1111111111..
        .1111111111...  ..1111111111..
        .1111111111...  ..1111111111..
        .1111111111...  ..1111111111..
        .1111111111...  ..1111111111..
        .1111111111...  ..1111111111..
        .1111111111...  ..1111111111..
        ..............  ..............
    """,
    voxel_nm=25.0,
    show_scale=True,
)
_MISSED = Idea(
    sentence="One object is found; of the other next to nothing was predicted.",
    rows="""
        ..............  ..............
        .1111...22222.  .1111.........
        .1111...22222.  .1111.........
        .1111...22222.  .1111.........
        ..............  ..............
    """,
)
_INVENTED = _MISSED.swapped("One object is found; the other prediction lies where there is next to nothing.")
_SPLIT = Idea(
    sentence="One object is found; the other is cut into pieces, none of which covers enough of it.",
    rows="""
        ................  ................
        .111.222222222..  .111.222333444..
        .111.222222222..  .111.222333444..
        .111.222222222..  .111.222333444..
        ................  ................
    """,
)
_MERGED = _SPLIT.swapped("One object is found; its neighbours are glued into one.")
_EXTENT = Idea(
    sentence="Both objects are found, one of them drawn far too large.",
    rows="""
        ..............  ..............
        .1111.........  .1111..222222.
        .1111...222...  .1111..222222.
        .1111...222...  .1111..222222.
        ..............  ..............
    """,
)

IDEAS: Mapping[str, Idea] = {
    "semantic": _VOXELS,
    "precision": _GENEROUS,
    "recall": _TIMID,
    "volume_similarity": _ELSEWHERE,
    "instance": _OBJECTS,
    "object_precision_50": _INVENTED_OBJECTS,
    "object_recall_50": _MISSED_OBJECTS,
    "matched_iou": _LOOSE,
    "sq": _LOOSE,
    **{f"mitoem_ap75_{size}": _SIZES for size in ("small", "medium", "large")},
    "split_merge": _CUT_AND_GLUED,
    "voi_split": _CUT,
    "rand_recall": _CUT,
    "voi_merge": _GLUED,
    "rand_precision": _GLUED,
    **dict.fromkeys(("are_singleton", "voi_split_cremi", "voi_merge_cremi", "are_cremi"), _PARTLY_MISSED),
    "boundary": _SHIFTED,
    **{f"{name}_{nm}nm": _BULGE for name in ("nsd_surfel", "nsd") for nm in (10, 25, 50)},
    **dict.fromkeys(("hd", "hd95", "hd95_pooled"), _CRUMB),
    "boundary_iou": _SHELL,
    "anatomy": _MISSED,
    **{f"{score}_lost_missed": _MISSED for score in ("f1", "iou")},
    **{f"{score}_lost_invented": _INVENTED for score in ("f1", "iou")},
    **{f"{score}_lost_boundary": _EXTENT for score in ("f1", "iou")},
    "f1_lost_split": _SPLIT,
    "f1_lost_merged": _MERGED,
}
"""Metric, or family for the metrics that have no example of their own, to its example."""
