"""Checks of a prediction that need no truth: a name, a reason, a remedy each. Nothing is scored here."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from mitobench.arrays import ArraySource
from mitobench.benchmark.answering import kind_on_track, volumes_asked
from mitobench.benchmark.container import FoundPrediction, check_values, find_prediction, slabs
from mitobench.benchmark.tracks import load_track
from mitobench.errors import MitobenchError
from mitobench.volume import Volume

Result = Literal["pass", "warn", "fail", "skip"]
"""A failed check stops scoring; a warning does not; a skipped one could not look."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check says.

    Attributes:
        check: Its name.
        result: How it went.
        advice: What is wrong and what to do; "" when it passed.
        why: Why the check exists.
    """

    check: str
    result: Result
    advice: str
    why: str


@dataclass(frozen=True, kw_only=True)
class _Values:
    """What is known of the values of one volume."""

    foreground: float
    several: bool
    empty_slices: int


@dataclass(frozen=True, eq=False)
class _Prediction:
    """The prediction under scrutiny; each step is taken once, on first use."""

    path: Path
    volumes: Sequence[Volume]
    asked: dict[str, str]
    problems: list[str] = field(default_factory=list)

    @cached_property
    def found(self) -> FoundPrediction:
        return find_prediction(self.path, volumes=self.volumes)

    @cached_property
    def arrays(self) -> dict[str, ArraySource]:
        """Volumes that open; what is wrong with the others goes to `problems`."""
        arrays = {}
        for volume in self.volumes:
            if volume.name in self.found.places:
                try:
                    arrays[volume.name] = self.found.open(volume)
                except MitobenchError as error:
                    self.problems.append(str(error))
        return arrays

    @cached_property
    def values(self) -> dict[str, _Values]:
        return {name: _look(array) for name, array in self.arrays.items()}


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: Shown in the table.
        why: What goes wrong without it.
        fix: What to do when it does not pass.
        run: Yields what is wrong, sentence by sentence; raises when nothing can be looked at.
        fatal: Whether scoring would refuse the prediction.
    """

    name: str
    why: str
    fix: str
    run: Callable[[_Prediction], Iterator[str]]
    fatal: bool = True


def validate_prediction(
    path: Path, *, volumes: Sequence[Volume], dataset: str, version: str, split: str, track: str
) -> list[Finding]:
    """Run every check.

    Args:
        path: See `container.open_prediction`.
        volumes: Of the split; their labels are never opened.
        dataset: Dataset key.
        version: Version of the split.
        split: Which part.
        track: Track key.

    Returns:
        One finding per check, in order. After a failure that hides everything, the rest are skipped.

    Raises:
        UnknownNameError: No such track.
    """
    load_track(track)
    asked = {"dataset": dataset, "version": version, "split": split, "track": track}
    prediction = _Prediction(Path(path), volumes_asked(track, volumes), asked)
    findings: list[Finding] = []
    blocked = False
    for check in CHECKS:
        if blocked:
            findings.append(Finding(check=check.name, result="skip", advice="", why=check.why))
            continue
        try:
            wrong = list(check.run(prediction))
        except MitobenchError as error:
            wrong, blocked = [str(error)], True
        result: Result = ("fail" if check.fatal else "warn") if wrong else "pass"
        advice = " ".join([*wrong, check.fix]) if wrong else ""
        findings.append(Finding(check=check.name, result=result, advice=advice, why=check.why))
    return findings


def _look(array: ArraySource) -> _Values:
    inside, several, empty = 0, False, 0
    first = 0
    for slab in slabs(array):
        mask = slab != 0
        inside += int(mask.sum())
        empty += int((~mask.any(axis=(1, 2))).sum())
        found = slab[mask]
        if found.size:
            first = first or int(found[0])
            several |= bool((found != first).any())
    total = int(np.prod(array.shape))
    return _Values(foreground=inside / total if total else 0.0, several=several, empty_slices=empty)


def _is_there(prediction: _Prediction) -> Iterator[str]:
    _ = prediction.found  # raises what is wrong with it
    yield from ()


def _is_of_this_split(prediction: _Prediction) -> Iterator[str]:
    manifest = prediction.found.manifest
    for name, value in prediction.asked.items():
        if manifest is not None and getattr(manifest, name) != value:
            yield f"prediction.json says {name} {getattr(manifest, name)!r}, not {value!r}."


def _fits_its_track(prediction: _Prediction) -> Iterator[str]:
    manifest = prediction.found.manifest
    if manifest is not None:
        kind_on_track(prediction.asked["track"], manifest.kind, said=True)
    yield from ()


def _is_complete(prediction: _Prediction) -> Iterator[str]:
    absent = [volume.name for volume in prediction.volumes if volume.name not in prediction.found.places]
    if absent:
        yield f"{len(absent)} of {len(prediction.volumes)} volumes are missing: {', '.join(absent)}."


def _has_form(prediction: _Prediction) -> Iterator[str]:
    _ = prediction.arrays
    yield from prediction.problems


def _has_good_ids(prediction: _Prediction) -> Iterator[str]:
    for name, array in prediction.arrays.items():
        try:
            check_values(array, name, count_values=False)
        except MitobenchError as error:
            yield str(error)


def _fits_its_kind(prediction: _Prediction) -> Iterator[str]:
    for name, values in prediction.values.items():
        if (
            prediction.found.manifest is not None
            and prediction.found.manifest.kind == "semantic"
            and values.several
        ):
            yield f"Volume {name!r} is called semantic but holds more than one non-zero value."


def _is_not_empty(prediction: _Prediction) -> Iterator[str]:
    for name, values in prediction.values.items():
        depth = prediction.arrays[name].shape[0]
        if values.foreground == 0.0:
            yield f"Volume {name!r} is empty."
        elif values.empty_slices:
            yield f"Volume {name!r} has {values.empty_slices} empty slices of {depth}."


def _is_plausible(prediction: _Prediction) -> Iterator[str]:
    for name, values in prediction.values.items():
        if values.foreground > 0.5:
            yield f"Volume {name!r} is {100 * values.foreground:.1f} % foreground."


CHECKS: tuple[Check, ...] = (
    Check(
        name="prediction is there",
        why="Nothing else can be looked at.",
        fix="Give the folder that `mitobench predict` wrote, or one file per volume.",
        run=_is_there,
    ),
    Check(
        name="right dataset, split and track",
        why="A prediction of one split, scored against another, gives a number that means nothing.",
        fix="Score it as what it is, or predict again.",
        run=_is_of_this_split,
    ),
    Check(
        name="ids on tracks with prompts",
        why="Where objects are given, each answers for its own prompt, so its label is the id of that prompt.",
        fix="`mitobench predict` writes them so.",
        run=_fits_its_track,
    ),
    Check(
        name="all volumes",
        why="A volume that is silently left out would raise or lower the score.",
        fix="Add them, or score with --missing empty, which counts them as empty.",
        run=_is_complete,
    ),
    Check(
        name="shape, dtype and packing",
        why="The scorer never crops, resamples or thresholds, and opens only codecs that move bytes.",
        fix="Write the array again.",
        run=_has_form,
    ),
    Check(
        name="ids from 0 up",
        why="A negative id is an overflow or a void label; neither can be scored.",
        fix="Use an unsigned dtype.",
        run=_has_good_ids,
    ),
    Check(
        name="values fit the kind",
        why="In a semantic prediction every non-zero value counts as mitochondrion, stray grey ones too.",
        fix="Write 0 and 1, or call it an instance prediction.",
        run=_fits_its_kind,
        fatal=False,
    ),
    Check(
        name="no empty slices",
        why="Empty slices often mean that a run stopped early or that stitching lost a part.",
        fix="Look at them; if the model really found nothing, go on.",
        run=_is_not_empty,
        fatal=False,
    ),
    Check(
        name="plausible amount",
        why="Mitochondria fill 5 to 20 % of tissue; more often means that the mask is inverted.",
        fix="Check which value means background.",
        run=_is_plausible,
        fatal=False,
    ),
)
"""Every check, in the order they run."""
