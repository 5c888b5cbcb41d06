"""The Record of one scored prediction and its JSON file. Nothing here computes a score."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from mitobench.benchmark.names import RecordName
from mitobench.benchmark.schema import (
    STRICT,
    Count,
    Counts,
    DatasetKey,
    Definitions,
    Interval,
    Key,
    Prediction,
    Provenance,
    Region,
    Score,
    Sha256,
    Status,
    TableFile,
    Truth,
    Version,
    VolumeName,
)
from mitobench.errors import BadInputError, RecordError
from mitobench.replacing import write_text_atomic

SCHEMA: Literal[3] = 3
"""Version of the record format; a scorer that changes numbers bumps it. Version 1 had no outlines, versions 1 and 2 no
answers and no prompt files; all are still read."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Record:
    """One scored prediction: what was scored, how, and what came out.

    Attributes:
        scorer: Package and version that made it, such as "mitobench 0.1.0".
        model: Key of the model.
        dataset: Dataset key.
        version: Version of the split.
        split: Which part was scored.
        track: Key of the track.
        seed: Seed of the model.
        manifest_sha256: Hash of the split manifest: which boxes of which bytes.
        regions: The boxes.
        truth: How the true objects were made.
        prediction: What was scored.
        definitions: Conventions behind the numbers.
        counts: What the ratios were divided from.
        scores: Metric key to number, None where undefined.
        per_volume: The same for each volume alone.
        table: Overlap table, from which counts and scores follow.
        provenance: Where the numbers come from.
        status: Rung of the trust ladder.
        objects: Size and place of every object, for intervals.
        tiles: False positive voxels by tile, for intervals.
        outlines: Surface scores of each matched pair of objects, from which those of matched objects follow.
        answers: What was made of each prompt, by slice or by number of prompts; None on tracks that need no more than
            the overlap table.
        intervals: Metric key to interval.
        schema: Version of this format.
        files: Text of the tables by relative path, in memory only: `write` puts them beside the record.
    """

    scorer: str
    model: Key
    dataset: DatasetKey
    version: Version
    split: Key
    track: Key
    seed: Count
    manifest_sha256: Sha256
    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    truth: Truth
    prediction: Prediction
    definitions: Definitions
    counts: Counts
    scores: dict[str, Score]
    per_volume: dict[VolumeName, dict[str, Score]]
    table: TableFile
    provenance: Provenance
    status: Status = "self-scored"
    objects: TableFile | None = None
    tiles: TableFile | None = None
    outlines: TableFile | None = None
    answers: TableFile | None = None
    intervals: dict[str, Interval] = Field(default_factory=dict)
    schema: Literal[1, 2, 3] = SCHEMA
    files: Annotated[dict[str, str], Field(exclude=True)] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        volumes = [region.volume for region in self.regions]
        handed_in = set(volumes) - set(self.prediction.missing)
        stem = self.name.stem
        files = {
            "": self.table,
            ".objects": self.objects,
            ".tiles": self.tiles,
            ".outlines": self.outlines,
            ".answers": self.answers,
        }
        wrong = [
            what
            for what, is_wrong in (
                ("regions name a volume twice", len(set(volumes)) != len(volumes)),
                ("per_volume and regions name different volumes", set(self.per_volume) != set(volumes)),
                (
                    "label_roots and regions name different volumes",
                    set(self.prediction.label_roots) != handed_in,
                ),
                ("outlines stand in a record of schema 1", self.schema == 1 and self.outlines is not None),
                ("answers stand in a record of schema 1 or 2", self.schema < 3 and self.answers is not None),
                (
                    "prediction.prompts stands in a record of schema 1 or 2",
                    self.schema < 3 and bool(self.prediction.prompts),
                ),
                ("intervals hold a metric that scores lack", not set(self.intervals) <= set(self.scores)),
                *(
                    (
                        f"{file.path} is no table.path of this dataset, version, track and seed",
                        file.path != f"tables/{stem}{part}.csv",
                    )
                    for part, file in files.items()
                    if file is not None
                ),
            )
            if is_wrong
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def name(self) -> RecordName:
        """The name its file must have on the leaderboard."""
        return RecordName(dataset=self.dataset, version=self.version, track=self.track, seed=self.seed)

    def changed(self, **fields: Any) -> "Record":
        """A copy with some fields replaced, such as status="rescored"; checked again, tables kept."""
        copy = dataclasses.replace(self, **fields)
        copy.files.update(self.files)
        return copy

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        plain: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return plain

    def to_json(self) -> str:
        """Text of the file: sorted keys, two spaces, shortest exact floats, one newline at the end."""
        return to_json(self.to_dict())

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str = "record") -> "Record":
        """Read the text of a record.

        Args:
            text: JSON.
            where: Name shown in errors.

        Raises:
            RecordError: Not JSON, or not a record of this schema; lists every field that is wrong.
        """
        try:
            parse_json(text)
            return _ADAPTER.validate_json(text)
        except ValidationError as error:
            raise RecordError(explain(error, where=where)) from None
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{where}: not a record: {error}. Score the prediction again.") from None

    def write(self, path: Path) -> Path:
        """Write the tables, then the record; each file whole or not at all.

        Args:
            path: The file, or an existing folder, in which it gets its proper name.

        Returns:
            The file.
        """
        path = Path(path)
        target = path / self.name.file if path.is_dir() else path
        for relative, text in self.files.items():
            write_text_atomic(target.parent / relative, text)
        write_text_atomic(target, self.to_json())
        return target

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Read a record file; its tables stay on disk.

        Raises:
            RecordError: See `from_json`.
            BadInputError: There is no such file.
        """
        path = Path(path)
        if not path.is_file():
            raise BadInputError(f"{path} is not a file; expected a record, such as vnc@1.auto.0.json.")
        return cls.from_json(path.read_bytes(), where=path.name)


_ADAPTER: TypeAdapter[Record] = TypeAdapter(Record)


def to_json(plain: Any) -> str:
    """JSON that is equal for equal values: sorted keys, two spaces, NaN refused, one newline at the end."""
    return json.dumps(plain, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def parse_json(text: str | bytes) -> Any:
    """Parse strict JSON.

    Raises:
        ValueError: Not JSON, NaN or Infinity, or one key twice in an object.
    """
    return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_twins)


def explain(error: ValidationError, *, where: str) -> str:
    """Every field that does not fit, one a line, with the value that was found."""
    lines = [
        f"  {'.'.join(str(part) for part in problem['loc']) or 'the whole'}: {problem['msg']}"
        f"{_found(problem['input'])}"
        for problem in error.errors(include_url=False)
    ]
    return f"{where}: {len(lines)} field(s) do not fit the schema:\n" + "\n".join(lines)


def _found(value: object) -> str:
    return f" (found {value!r})" if isinstance(value, str | int | float | bool | None) else ""


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}; undefined must be null")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twins = sorted({key for key in keys if keys.count(key) > 1})
    if twins:
        raise ValueError(f"it holds {', '.join(twins)} twice")
    return dict(pairs)
