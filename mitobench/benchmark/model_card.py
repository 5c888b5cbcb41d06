"""model.toml: what people write about an entry. No score stands in it, and no record is opened here."""

import json
import re
import tomllib
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mitobench.benchmark.record import explain
from mitobench.benchmark.schema import STRICT, Count, Key, Sha256
from mitobench.errors import RecordError

MODEL = "model.toml"
_TRAINING = re.compile(r"(?P<dataset>[a-z0-9]+(?:[_-][a-z0-9]+)*)@(?P<version>[0-9a-z-]+)/(?P<split>[a-z-]+)")


def _plain(text: str) -> str:
    # Control, format and bidirectional characters can make one name look like another, or hide text.
    odd = sorted({f"U+{ord(char):04X}" for char in text if char != "\n" and _is_odd(char)})
    if odd:
        raise ValueError(f"holds invisible characters ({', '.join(odd)}); expected printable text")
    return text


def _is_odd(char: str) -> bool:
    return unicodedata.category(char)[0] == "C" or unicodedata.category(char) in ("Zl", "Zp")


def _https(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username or any(c.isspace() for c in url):
        raise ValueError("expected an https:// address without a user name")
    return _plain(url)


def _training(name: str) -> str:
    if not _TRAINING.fullmatch(name):
        raise ValueError("expected <dataset>@<version>/<split>, such as vnc@1/train")
    return name


Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\n]*$"), AfterValidator(_plain)]
"""One line of printable text."""
Command = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\n]*$"), AfterValidator(_plain)]
"""One command with all its settings."""
Title = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 .,+()/_-]{0,79}$")]
"""Display name: plain letters, digits and a few marks, so that it is safe in any page or sheet."""
Text = Annotated[str, Field(max_length=4000), AfterValidator(_plain)]
"""Several lines of printable text."""
Url = Annotated[str, Field(max_length=500), AfterValidator(_https)]
"""https only."""
TrainingSplit = Annotated[str, AfterValidator(_training)]
"""Such as "vnc@1/train"."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Author:
    """A person or group.

    Attributes:
        name: As it should be shown.
        orcid: Four groups of four digits, or "".
    """

    name: Line
    orcid: Annotated[str, Field(pattern=r"^(\d{4}-\d{4}-\d{4}-\d{3}[\dX])?$")] = ""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Code:
    """Where the code lies.

    Attributes:
        url: Its address.
        commit: Which state of it, or "".
    """

    url: Url
    commit: Annotated[str, Field(pattern=r"^([0-9a-f]{7,40})?$")] = ""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class File:
    """A file that anybody can fetch and check.

    Attributes:
        url: Its address.
        sha256: Of its bytes.
    """

    url: Url
    sha256: Sha256


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PredictionFile:
    """A scored prediction that anybody can fetch and score again.

    Attributes:
        record: Stem of the record that it gave, such as "vnc@1.auto.0".
        url: Address of the container.
        sha256: Of its bytes.
    """

    record: Annotated[str, Field(max_length=200, pattern=r"^[a-z0-9_-]+@[0-9a-z-]+\.[a-z0-9-]+\.[0-9]+$")]
    url: Url
    sha256: Sha256


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ModelCard:
    """What a reader has to know about an entry before its score.

    Attributes:
        key: The name of its folder.
        title: Display name.
        kind: "control" needs no learning and ranks nowhere; "baseline" is ours; "submission" is sent in.
        authors: Who made it.
        licence: Of the code and weights, such as "Apache-2.0".
        initialisation: What it started from: "none" (a rule), "random", or the name of pretrained weights.
        training_data: Every split it learnt from, each "<dataset>@<version>/<split>".
        commands: Lines that regenerate the rows.
        prompts: Where prompts come from: "none", "own" (made by the model), "oracle", "person".
        summary: What it is, in a sentence or two.
        other_data: Training data that has no key here.
        parameters: Number of weights, 0 for rules.
        code: Where its code lies.
        weights: The checkpoint that was scored.
        predictions: The scored predictions, for rescoring.
        submitter: Login of whoever sends the entry; owns its key from then on.
        paper: Address of a paper.
        post_processing: What happened after the network.
        hardware: Where it ran.
        notes: Anything else.
    """

    key: Key
    title: Title
    kind: Literal["control", "baseline", "submission"]
    authors: Annotated[tuple[Line | Author, ...], Field(min_length=1)]
    licence: Line
    initialisation: Line
    training_data: tuple[TrainingSplit, ...]
    commands: Annotated[tuple[Command, ...], Field(min_length=1)]
    prompts: Literal["none", "own", "oracle", "person"] = "none"
    summary: Text = ""
    other_data: Text = ""
    parameters: Count | None = None
    code: Code | None = None
    weights: File | None = None
    predictions: tuple[PredictionFile, ...] = ()
    submitter: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9-]{0,38})?$")] = ""
    paper: Url | None = None
    post_processing: Text = ""
    hardware: Text = ""
    notes: Text = ""

    def seen(self, *, dataset: str, split: str, same_tissue: Collection[str] = ()) -> tuple[str, ...]:
        """The declared training splits that show what was scored.

        Args:
            dataset: Key of the dataset that was scored.
            split: Which part of it; counts as seen whatever version of the split was declared.
            same_tissue: Keys of other datasets that show the same tissue: any split of theirs counts, because
                nobody guarantees that they were cut alike.

        Returns:
            As declared; empty when none does.
        """
        found = []
        for declared in self.training_data:
            key, _, rest = declared.replace("_", "-").partition("@")
            own = key == dataset and rest.partition("/")[2] == split
            if own or (key != dataset and key in same_tissue):
                found.append(declared)
        return tuple(found)


_ADAPTER: TypeAdapter[ModelCard] = TypeAdapter(ModelCard)


def read_model(path: Path) -> ModelCard:
    """Read a model.toml.

    Raises:
        RecordError: Not there, not TOML, or not this schema; lists every field that is wrong.
    """
    where = f"{path.parent.name}/{path.name}"
    plain = read_toml(path, where=where)
    try:
        return _ADAPTER.validate_json(json.dumps(plain, default=str))
    except ValidationError as error:
        raise RecordError(explain(error, where=where)) from None


def read_toml(path: Path, *, where: str) -> dict[str, Any]:
    """Decode a TOML file.

    Raises:
        RecordError: Not there, or not TOML.
    """
    if not path.is_file():
        raise RecordError(f"{where} is not there; expected one per entry. See leaderboard/README.md.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{where} is not TOML: {error}. Correct that line.") from None
