"""prediction.json: what a prediction folder says of itself. No array is opened here."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mitobench.benchmark.record import explain, parse_json, to_json, write_text_atomic
from mitobench.benchmark.schema import STRICT, Count, DatasetKey, Key, Version
from mitobench.errors import FormatError

MANIFEST = "prediction.json"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Manifest:
    """What prediction.json says: whose prediction of what this is.

    Attributes:
        dataset: Dataset key.
        version: Version of the split.
        split: Which part was predicted.
        track: What the model knew.
        kind: What the labels mean.
        model: Key of the model.
        seed: Seed of the model.
        mitobench: Version of the package that wrote it.
        command: How to make it again.
        seconds: Wall time of the model by volume; empty when unknown.
        schema: Version of this file.
    """

    dataset: DatasetKey
    version: Version
    split: Key
    track: Key
    kind: Literal["semantic", "instance"]
    model: Key
    seed: Count
    mitobench: str
    command: str = ""
    seconds: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    schema: Literal[1] = 1


_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)


def read_manifest(folder: Path) -> Manifest | None:
    """What the folder says of itself; None without prediction.json.

    Raises:
        FormatError: The file is there and does not fit; lists every field that is wrong.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        parse_json(path.read_bytes())
        return _MANIFEST.validate_json(path.read_bytes())
    except ValidationError as error:
        raise FormatError(explain(error, where=str(path))) from None
    except ValueError as error:
        raise FormatError(f"{path} is not valid: {error}. Write the prediction again.") from None


def write_manifest(folder: Path, **fields: Any) -> Path:
    """Check the fields and write prediction.json.

    Raises:
        FormatError: A field does not fit, such as a model key with capitals.
    """
    try:
        manifest = Manifest(**fields)
    except ValidationError as error:
        raise FormatError(explain(error, where=MANIFEST)) from None
    path = folder / MANIFEST
    write_text_atomic(path, to_json(_MANIFEST.dump_python(manifest, mode="json")))
    return path
