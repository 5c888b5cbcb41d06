"""What the pages are printed from, as plain data handed in from above. Nothing is read, drawn or laid out here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitobench.volume import Volume

Volumes = Callable[[str, str, str], Sequence[Volume] | None]
"""Called as volumes(dataset, version, split); None when the data are not on this machine."""
Json = Mapping[str, Any]
"""Decoded JSON or TOML."""

HEADLINE = "iou"
"""The metric that ranks where objects are not given."""
STATUS_WORDS: dict[str, str] = {
    "self-scored": "The submitter ran the scorer. Nobody else has checked it yet.",
    "rescored": "CI scored the uploaded predictions again and got the same numbers.",
    "reproduced": "A maintainer ran the model and got the same predictions within the spread of its seeds.",
    "disputed": "Somebody could not confirm this row. Read the notes before using it.",
    "withdrawn": "The authors took this row back. It is kept so that old links explain themselves.",
}
"""The trust ladder, as readers see it."""
LEARNT_WORDS: dict[str, str] = {
    "nothing": "nothing (rules, zero-shot)",
    "this": "this dataset only",
    "more": "other data",
}
"""What a row learnt from, as a filter names it."""
PROMPT_WORDS: dict[str, str] = {
    "none": "no prompts",
    "own": "prompts of its own",
    "oracle": "prompts from the truth",
    "person": "prompts by a person",
}
"""Where prompts come from, as entries declare it."""
KIND_WORDS: dict[str, str] = {
    "control": "control",
    "baseline": "baseline",
    "submission": "submitted",
}
"""What an entry is, in one word."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Interval of a score.

    Attributes:
        low: Lower end.
        high: Upper end.
        units: Independent units behind it.
        reliable: False when the units are too few to trust the coverage.
    """

    low: float
    high: float
    units: int = 0
    reliable: bool = True


@dataclass(frozen=True, kw_only=True)
class Behind:
    """The paired difference to the best of the group.

    Attributes:
        difference: Best minus this one.
        low: Lower end of its interval, or None.
        high: Upper end, or None.
        p: Probability of such a difference between equals, after Holm.
        tied: Whether the two are not told apart.
    """

    difference: float
    low: float | None
    high: float | None
    p: float
    tied: bool


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a row of a prompted track made of the objects it was given; they rank it.

    Attributes:
        objects: How many there are.
        unit: What was scored one by one: "object" or "slice object".
        iou: Mean IoU over units, after the last prompt.
        score: What ranks: that mean, or on the interactive track the area under it over prompts.
        bounds: Interval of the score over objects, or None.
        share_50: Share of units with IoU >= 0.5.
        share_75: Share with IoU >= 0.75.
    """

    objects: int
    unit: str
    iou: float
    score: float
    bounds: Bounds | None
    share_50: float
    share_75: float


@dataclass(frozen=True, kw_only=True)
class EffortPoint:
    """What so many prompts for each object are worth: mean IoU over objects, and both ends of its interval."""

    prompts: float
    iou: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the leaderboard: one entry on one dataset and track.

    Attributes:
        entry: Key of the entry, safe in file names.
        name: Display name, free text.
        kind: "control", "baseline" or "submission".
        dataset: Dataset key.
        version: Version of the split.
        split: Which part was scored.
        track: Track key.
        seeds: Seeds behind the row.
        status: Rung of the trust ladder.
        rank: Place by headline score among ranked rows of this dataset and track, or None.
        scores: Metric key to value, None where undefined.
        spread: Metric key to (lowest, highest) over seeds.
        intervals: Metric key to interval.
        blind: Score of the prompt alone, image unopened, or None.
        gain: Share of what the blind score leaves open, or None.
        parameters: Number of weights, or None.
        trained_on: Splits it learnt from, such as "vnc@1/train", joined by ", "; " + other data" at the end.
        initialisation: What it started from: "none", "random", or the name of pretrained weights.
        seen: Training splits that show what was scored: that split itself, or others of the same tissue.
        date: Day of scoring, YYYY-MM-DD, or "".
        prompts: Key of `PROMPT_WORDS`, or "" where nobody said.
        open_weights: Whether anybody can fetch the weights.
        behind: How much worse than the best of its group on shared tiles, or None.
        given: Scores over the prompted objects, on tracks whose objects are given.
        effort: Score against prompts for each object; one point, or one for each number of prompts.
        rank_range: Best and worst rank that drawn tiles allow, or None.
    """

    entry: str
    name: str
    kind: str
    dataset: str
    version: str
    split: str
    track: str
    seeds: tuple[int, ...]
    status: str
    rank: int | None
    scores: Mapping[str, float | None]
    spread: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    intervals: Mapping[str, Bounds] = field(default_factory=dict)
    blind: float | None = None
    gain: float | None = None
    parameters: int | None = None
    trained_on: str = ""
    initialisation: str = ""
    seen: tuple[str, ...] = ()
    date: str = ""
    prompts: str = ""
    open_weights: bool = False
    behind: Behind | None = None
    given: Given | None = None
    effort: tuple[EffortPoint, ...] = ()
    rank_range: tuple[int, int] | None = None

    @property
    def headline(self) -> float | None:
        """The score that ranks: that of the given objects where there are some, else the pooled IoU."""
        return self.scores.get(HEADLINE) if self.given is None else self.given.score

    @property
    def headline_bounds(self) -> Bounds | None:
        """Its interval."""
        return self.intervals.get(HEADLINE) if self.given is None else self.given.bounds

    @property
    def group(self) -> tuple[str, str]:
        """Track and dataset@version: rows are only ever compared inside one group."""
        return self.track, f"{self.dataset}@{self.version}"

    @property
    def learnt(self) -> str:
        """Key of `LEARNT_WORDS`: what it learnt from, seen from the split that was scored."""
        if not self.trained_on:
            return "nothing"
        here, more = f"{self.dataset}@{self.version}/", self.trained_on.endswith("+ other data")
        only = all(part.startswith(here) for part in self.trained_on.split(", "))
        return "this" if only and not more else "more"


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A number that somebody published elsewhere; never ranked beside measured rows."""

    model: str
    dataset: str
    metric: str
    value: str
    protocol: str
    source: str
    url: str = ""
    caveat: str = ""


@dataclass(frozen=True, kw_only=True)
class Board:
    """Everything on the leaderboard page."""

    rows: tuple[Row, ...]
    reported: tuple[Reported, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DuelFacts:
    """What two records are compared by.

    Attributes:
        tiles: Voxels tp, fp, fn of each tile, one after the other.
        truth: True objects: {"volume", "id", "voxels", "place"}.
        objects: IoU of each with its best partner; where objects are given, with what was predicted for it.
    """

    tiles: Sequence[int]
    truth: Sequence[Json]
    objects: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class EntryFacts:
    """One leaderboard entry.

    Attributes:
        key: Folder name.
        model: model.toml, decoded.
        records: Record stem to decoded record.
        curves: Record stem to training curve: lists "step", "train_loss", "val_step", "val_iou".
        gallery: Record stem to the folder of its gallery pictures.
        overlaps: Record stem to its overlap tables, packed for the browser (see `benchmark.ask.packed`).
        duels: Record stem to what it is compared by; records that keep no objects are left out.
        given: Record stem to what it made of the objects it was given, on tracks that give some.
    """

    key: str
    model: Json
    records: Mapping[str, Json]
    curves: Mapping[str, Json] = field(default_factory=dict)
    gallery: Mapping[str, Path] = field(default_factory=dict)
    overlaps: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    duels: Mapping[str, DuelFacts] = field(default_factory=dict)
    given: Mapping[str, Given] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """What a dataset page says.

    Attributes:
        key: Dataset key.
        title: Display name.
        summary: One or two sentences.
        facts: Name and value pairs, free text, in the order shown.
        shows_tissue: Whether its licence lets this site publish small pictures of the images.
        licence: Name of the licence as its owner states it.
        url: Where the licence stands, or "".
        flaws: Known problems, one sentence each.
        splits: Rows of (version, split, volume, box, shape).
    """

    key: str
    title: str
    summary: str
    facts: Sequence[tuple[str, str]]
    shows_tissue: bool
    licence: str
    url: str = ""
    flaws: Sequence[str] = ()
    splits: Sequence[tuple[str, ...]] = ()
