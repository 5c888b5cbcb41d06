"""reported.toml: numbers that others published, kept apart from what was measured here."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mitobench.benchmark.model_card import Line, Text, Url, read_toml
from mitobench.benchmark.record import explain
from mitobench.benchmark.schema import STRICT
from mitobench.errors import RecordError

REPORTED = "reported.toml"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReportedRow:
    """One number that somebody else published.

    Attributes:
        model: What was scored.
        dataset: On what, in the words of the source.
        metric: Name of the metric, in the words of the source.
        value: The number.
        protocol: How it was scored, as far as stated.
        source: Who says so: file, page or paper.
        spread: Standard deviation, where given.
        url: Address of the source, where it has one.
        caveat: Why it does not compare, or "".
    """

    model: Line
    dataset: Line
    metric: Line
    value: float
    protocol: Text
    source: Line
    spread: float | None = None
    url: Url | None = None
    caveat: Text = ""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _File:
    row: Annotated[tuple[ReportedRow, ...], Field()] = ()


_ADAPTER: TypeAdapter[_File] = TypeAdapter(_File)


def read_reported(folder: Path) -> tuple[ReportedRow, ...]:
    """Rows of reported.toml, in the order of the file; none without the file.

    Raises:
        RecordError: Not TOML, or not this schema; lists every field that is wrong.
    """
    path = folder / REPORTED
    if not path.is_file():
        return ()
    try:
        return _ADAPTER.validate_json(json.dumps(read_toml(path, where=REPORTED), default=str)).row
    except ValidationError as error:
        raise RecordError(explain(error, where=REPORTED)) from None
