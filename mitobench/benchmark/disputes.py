"""disputes/*.toml: who doubts a row, why, and what came of it. No score is computed here."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mitobench.benchmark.model_card import Line, Text, Url, read_toml
from mitobench.benchmark.names import RecordName
from mitobench.benchmark.record import explain
from mitobench.benchmark.schema import STRICT, Key
from mitobench.errors import RecordError

DISPUTES = "disputes"
_NAME = re.compile(r"(?P<key>[a-z0-9]+(?:-[a-z0-9]+)*)\.(?P<stem>[^/]+@[^/]+)\.(?P<number>[1-9][0-9]*)\.toml")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Dispute:
    """One doubt about one record.

    Attributes:
        by: Login of whoever doubts it.
        date: Day, YYYY-MM-DD.
        reason: What was tried and what came out instead.
        state: "open" and "upheld" mark the row as disputed; "settled" does not any more.
        evidence: Where it can be looked at.
        answer: What the authors or maintainers say.
    """

    by: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}$")]
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    reason: Annotated[Text, Field(min_length=10)]
    state: Literal["open", "upheld", "settled"] = "open"
    evidence: Url | None = None
    answer: Text = ""


@plain_dataclass(frozen=True, kw_only=True)
class Doubted:
    """A dispute and what it is about.

    Attributes:
        file: Its name.
        entry: Key of the entry.
        stem: Stem of the record.
        dispute: What it says.
    """

    file: str
    entry: Key
    stem: Line
    dispute: Dispute


_ADAPTER: TypeAdapter[Dispute] = TypeAdapter(Dispute)


def read_dispute(path: Path) -> Doubted:
    """Read one file, named <entry>.<record>.<number>.toml.

    Raises:
        RecordError: Another name, not TOML, or not this schema.
    """
    where = f"{DISPUTES}/{path.name}"
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise RecordError(
            f"{where} is no name of a dispute. Expected <entry>.<record>.<number>.toml, such as "
            "unet.vnc@1.auto.0.1.toml; rename the file."
        )
    RecordName.parse(f"{match['stem']}.json")
    try:
        dispute = _ADAPTER.validate_json(json.dumps(read_toml(path, where=where), default=str))
    except ValidationError as error:
        raise RecordError(explain(error, where=where)) from None
    return Doubted(file=where, entry=match["key"], stem=match["stem"], dispute=dispute)


def read_disputes(folder: Path) -> Iterator[Doubted]:
    """Every dispute of a leaderboard, by file name; errors as in `read_dispute`."""
    for path in sorted((folder / DISPUTES).glob("*")):
        yield read_dispute(path)


def disputed(folder: Path) -> Mapping[str, int]:
    """How many disputes of a record stand, by "<entry>/<record stem>"; settled ones are left out."""
    found: dict[str, int] = {}
    for one in read_disputes(folder):
        if one.dispute.state != "settled":
            record = f"{one.entry}/{one.stem}"
            found[record] = found.get(record, 0) + 1
    return found
