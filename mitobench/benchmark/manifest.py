"""prediction.json: what a prediction says of itself. No file is opened here."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mitobench.benchmark.record import explain, parse_json, to_json
from mitobench.benchmark.schema import STRICT, Count, DatasetKey, Key, PromptFile, Sha256, Version
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
        prompts: Name to SHA-256 of the prompt files that the model was given; empty on track auto, or when not known.
        schema: Version of this file; version 1 had no prompts and is still read.
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
    prompts: dict[PromptFile, Sha256] = Field(default_factory=dict)
    schema: Literal[1, 2] = 2


_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)


def parse_manifest(text: bytes, *, where: str) -> Manifest:
    """Read prediction.json.

    Args:
        text: JSON.
        where: Name shown in errors.

    Raises:
        FormatError: It does not fit; lists every field that is wrong.
    """
    try:
        parse_json(text)
        return _MANIFEST.validate_json(text)
    except ValidationError as error:
        raise FormatError(explain(error, where=where)) from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where} is not valid: {error}. Write the prediction again.") from None


def manifest_text(**fields: Any) -> bytes:
    """Check the fields and give the text of prediction.json.

    Raises:
        FormatError: A field does not fit, such as a model key with capitals.
    """
    try:
        manifest = Manifest(**fields)
    except ValidationError as error:
        raise FormatError(explain(error, where=MANIFEST)) from None
    return to_json(_MANIFEST.dump_python(manifest, mode="json")).encode()
