"""What continuous integration found about one submission: strict data in, one comment out. Decides nothing.

The report travels as JSON from jobs that read a stranger's files to the one that may write; it is read strictly there,
and the comment is made from its fields, so that nothing a stranger wrote is ever Markdown.
"""

import json
from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mitobench.drawing import escape
from mitobench.errors import IntakeError

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
MAX_REPORT_BYTES = 1 << 18
"""A longer report is not read."""
_Line = Annotated[str, Field(max_length=2000)]
_Name = Annotated[str, Field(max_length=200)]
_Number = float | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Row:
    """Where one record would stand.

    Attributes:
        record: Stem of the record.
        score: What ranks it.
        measure: What that is, such as "pooled IoU" or "mean IoU over 24 objects".
        low: Lower end of its interval.
        high: Upper end.
        rank: Among the rows of its dataset and track; None when not ranked.
        rows: Ranked rows there.
        tied: Whether it is not told apart from the best.
        best: Key of the best entry.
        behind: Best minus this one, paired.
        blind: What the prompt alone is worth; None on tracks without prompts.
        gain: Share of the rest that the model closes.
        flags: What a reader is told beside the row.
    """

    record: _Name
    score: _Number = None
    measure: _Name = ""
    low: _Number = None
    high: _Number = None
    rank: int | None = None
    rows: int = 0
    tied: bool = False
    best: _Name = ""
    behind: _Number = None
    blind: _Number = None
    gain: _Number = None
    flags: Annotated[tuple[_Line, ...], Field(max_length=20)] = ()


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Rescore:
    """What scoring the uploaded bytes again gave for one record.

    Attributes:
        record: Stem of the record.
        result: "same", "differs", or "refused" when the file cannot be scored.
        details: Fields that differ, or why it was refused.
    """

    record: _Name
    result: Literal["same", "differs", "refused"]
    details: Annotated[tuple[_Line, ...], Field(max_length=60)] = ()


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Report:
    """All that is said about one state of a submission.

    Attributes:
        number: Of the pull request, 0 before there is one.
        head: Commit that was looked at; "" before there is one.
        stage: "a" looked at the files, "b" scored the uploaded predictions again.
        entry: Key of the entry.
        author: Login.
        problems: What stands in the way.
        rows: Where its records would stand.
        rescored: Of stage b.
    """

    number: Annotated[int, Field(ge=0)] = 0
    head: Annotated[str, Field(pattern=r"^([0-9a-f]{40})?$")] = ""
    stage: Literal["a", "b"] = "a"
    entry: Annotated[str, Field(pattern=r"^([a-z0-9]+(-[a-z0-9]+)*)?$", max_length=64)] = ""
    author: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,39}$")] = ""
    problems: Annotated[tuple[_Line, ...], Field(max_length=200)] = ()
    rows: Annotated[tuple[Row, ...], Field(max_length=200)] = ()
    rescored: Annotated[tuple[Rescore, ...], Field(max_length=200)] = ()

    @property
    def good(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.problems and all(one.result == "same" for one in self.rescored)


_ADAPTER: TypeAdapter[Report] = TypeAdapter(Report)


def to_json(report: Report) -> str:
    """The report as a file."""
    return json.dumps(asdict(report), indent=2, sort_keys=True, allow_nan=False) + "\n"


def from_json(raw: bytes) -> Report:
    """Read a report as data from a job that nobody trusts.

    Raises:
        IntakeError: Too long, not JSON, or not this schema.
    """
    if len(raw) > MAX_REPORT_BYTES:
        raise IntakeError(f"The report has {len(raw)} bytes; expected at most {MAX_REPORT_BYTES}.")
    try:
        return _ADAPTER.validate_json(raw)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, one["loc"])) or "the whole" for one in error.errors()[:8])
        raise IntakeError(f"The report does not fit its schema: {fields}.") from None


def comment(report: Report) -> str:
    """The comment under a submission, as Markdown; the same from `submit --dry-run` as from the bot.

    Args:
        report: What was found.
    """
    parts = [_head(report)]
    if report.problems:
        parts.append("\n".join(["### To mend", "", *(f"- {_told(one)}" for one in report.problems)]))
    if report.rows:
        parts.append(_standings(report))
    if report.stage == "b":
        parts.append(_rescored(report))
    parts.append(_next(report))
    return "\n\n".join(parts) + "\n"


def _head(report: Report) -> str:
    state = f" at `{report.head[:12]}`" if report.head else ""
    verdict = "in order" if report.good else "not in order yet"
    return f"## {_told(report.entry or 'This submission')}{state}: {verdict}"


def _standings(report: Report) -> str:
    lines = [
        "### Where it would stand",
        "",
        "| record | score | what it is | 95 % interval | rank | against the best | flags |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {_told(row.record)} | {_number(row.score)} | {_told(row.measure)} | {_interval(row)} | {_rank(row)} | "
        f"{_best(row)} | {'; '.join(map(_told, row.flags)) or 'none'} |"
        for row in report.rows
    ]
    prompted = [row for row in report.rows if row.blind is not None]
    lines += [
        f"\n{_told(row.record)}: the prompt alone scores {_number(row.blind)}; gain {_number(row.gain)}."
        for row in prompted
    ]
    return "\n".join(lines)


def _rescored(report: Report) -> str:
    words = {
        "same": "gave the same numbers",
        "differs": "gave other numbers",
        "refused": "could not be scored",
    }
    lines = ["### The uploaded predictions, scored again", ""]
    for one in report.rescored:
        lines.append(f"- {_told(one.record)}: {words[one.result]}")
        lines += [f"    - {_told(detail)}" for detail in one.details]
    if not report.rescored:
        lines.append("No record names an uploaded prediction.")
    return "\n".join(lines)


def _next(report: Report) -> str:
    if not report.good:
        return "Mend what is listed, run `mitobench submit --dry-run` again, and push."
    if report.stage == "b":
        return "A maintainer merges it with the status `rescored`."
    return "Every score follows from its tables. Next a maintainer has the uploaded predictions scored again."


def _told(value: object) -> str:
    """Free text that is no Markdown; the mark after @ and # keeps the platform from calling people or issues."""
    return escape.text(value).replace("&#64;", "&#64;&#8203;").replace("&#35;", "&#35;&#8203;")


def _interval(row: Row) -> str:
    return "-" if row.low is None or row.high is None else f"{_number(row.low)} to {_number(row.high)}"


def _rank(row: Row) -> str:
    return "not ranked" if row.rank is None else f"{row.rank} of {row.rows}"


def _best(row: Row) -> str:
    if row.rank is None or row.behind is None:
        return "-"
    if row.rank == 1:
        return "is the best"
    told = "not told apart from" if row.tied else f"{_number(row.behind)} behind"
    return f"{told} {_told(row.best)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
