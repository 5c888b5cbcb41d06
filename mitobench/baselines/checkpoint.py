"""The checkpoint folder: checkpoint.json, weights, and the state of an unfinished training. No network.

A folder is finished when checkpoint.json stands in it; that file is written last. Until then state.safetensors holds
everything that a resumed run needs, in one file, so that no kill can leave two halves of different ages.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mitobench.errors import BadInputError, FormatError, IntegrityError
from mitobench.replacing import replacing, write_text_atomic

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 1
CARD_FILE, WEIGHTS_FILE, STATE_FILE = "checkpoint.json", "weights.safetensors", "state.safetensors"
_OURS = (CARD_FILE, WEIGHTS_FILE, STATE_FILE, "curve.*", "embeddings-*")
_PACKAGES = ("mitobench", "torch", "monai", "segment-anything", "numpy", "safetensors")


class WeightsFile(BaseModel):
    """One file of weights, by name and content.

    Attributes:
        file: Name of the file, without folder.
        sha256: Of its bytes, 64 hex digits.
        n_bytes: Its length.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    file: str
    sha256: str
    n_bytes: int


class Checkpoint(BaseModel):
    """What checkpoint.json says: enough to rebuild the model and to say what it learnt from.

    Attributes:
        version: Of this layout.
        baseline: Key in BASELINES.
        seed: Of the weights, the crops and the augmentation.
        settings: The recipe, complete with defaults, as it was run.
        found: What training chose or measured on the way: thresholds, rules, number of weights.
        data: Names, shapes and origins of the volumes in train and val.
        provenance: What the caller said about the data: dataset, split, version, manifest hash, command.
        versions: Of the packages that ran.
        base: Weights that training started from; None for a random start.
        weights: The trained weights; None for a rule.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    version: int = SCHEMA
    baseline: str
    seed: int
    settings: dict[str, int | float | str | bool]
    found: dict[str, Any]
    data: dict[str, Any]
    provenance: dict[str, Any]
    versions: dict[str, str]
    base: WeightsFile | None = None
    weights: WeightsFile | None = None

    def identity(self) -> dict[str, object]:
        """What has to be equal for two trainings to be the same one, JSON values."""
        return {
            "baseline": self.baseline,
            "seed": self.seed,
            "settings": self.settings,
            "bf16": self.found.get("bf16"),
            "data": self.data,
            "base": None if self.base is None else self.base.sha256,
        }


def package_versions() -> dict[str, str]:
    """Versions of the packages that a baseline runs on; those not installed are left out."""
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def prepare_folder(folder: Path, *, resume: bool) -> None:
    """Make the folder of a new checkpoint, or accept the one of an unfinished run.

    Args:
        folder: Where the checkpoint will be.
        resume: Accept what an earlier run left there.

    Raises:
        BadInputError: The folder holds a checkpoint or an unfinished run, and `resume` is False; or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is a file; expected a folder for the checkpoint. Choose another name.")
    left = [name for name in (CARD_FILE, STATE_FILE) if (folder / name).exists()]
    if left and not resume:
        raise BadInputError(
            f"{folder} already holds {' and '.join(left)} of an earlier run. Resume it, or choose an empty folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in _OURS:
        for torn in folder.glob(f".{name}.*"):  # a killed run's half-written file
            torn.unlink()
    if (folder / CARD_FILE).exists():
        (folder / STATE_FILE).unlink(missing_ok=True)  # killed before its last act


def write_checkpoint(
    folder: Path, checkpoint: Checkpoint, *, tensors: Mapping[str, "Tensor"] | None = None
) -> Path:
    """Write the weights, then checkpoint.json, then drop the state that is no longer needed.

    Args:
        folder: An existing folder.
        checkpoint: What to say; `weights` is filled in here.
        tensors: Weights by name; None for a rule.

    Returns:
        The folder.
    """
    if tensors is not None:
        from safetensors.torch import save_file

        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        with replacing(folder / WEIGHTS_FILE) as temporary:
            save_file(whole, temporary)
        checkpoint = checkpoint.model_copy(update={"weights": describe_file(folder / WEIGHTS_FILE)})
    write_json(folder / CARD_FILE, checkpoint.model_dump())
    (folder / STATE_FILE).unlink(missing_ok=True)
    return folder


def read_checkpoint(folder: Path) -> Checkpoint:
    """What checkpoint.json of a folder says.

    Args:
        folder: A checkpoint folder.

    Returns:
        The checked content; the weights are not opened.

    Raises:
        FormatError: There is no checkpoint.json, or it is not one of this layout.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        unfinished = (folder / STATE_FILE).is_file()
        hint = (
            "It holds an unfinished training: resume it."
            if unfinished
            else "Give the folder that training wrote."
        )
        raise FormatError(f"{folder} is no checkpoint: it has no {CARD_FILE}. {hint}")
    try:
        checkpoint = Checkpoint.model_validate_json(path.read_bytes())
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise FormatError(f"{path} is not a checkpoint of version {SCHEMA}: {wrong}") from error
    if checkpoint.version != SCHEMA:
        raise FormatError(
            f"{path} is a checkpoint of version {checkpoint.version}; this mitobench reads version {SCHEMA}. "
            "Use the mitobench version that it names."
        )
    return checkpoint


def read_weights(folder: Path, checkpoint: Checkpoint) -> dict[str, "Tensor"]:
    """The weights of a checkpoint, after their length and hash have been compared with checkpoint.json.

    Args:
        folder: A checkpoint folder.
        checkpoint: What its checkpoint.json says.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        FormatError: The checkpoint names no weights.
        IntegrityError: The file is missing, or differs from what checkpoint.json says.
    """
    from safetensors.torch import load_file

    if checkpoint.weights is None:
        raise FormatError(
            f"{folder / CARD_FILE} names no weights; baseline {checkpoint.baseline!r} needs some."
        )
    path = folder / checkpoint.weights.file
    if path.parent != folder or not path.is_file():
        raise IntegrityError(f"{path} is missing, but {CARD_FILE} names it. Copy the folder again, whole.")
    found = describe_file(path)
    if found != checkpoint.weights:
        raise IntegrityError(
            f"{path}: {found.n_bytes} bytes with sha256 {found.sha256[:12]}..., but {CARD_FILE} says "
            f"{checkpoint.weights.n_bytes} bytes with {checkpoint.weights.sha256[:12]}.... Copy the folder again."
        )
    tensors: dict[str, Tensor] = load_file(path)
    return tensors


def write_state(folder: Path, tensors: Mapping[str, "Tensor"], facts: Mapping[str, object]) -> None:
    """Save an unfinished training, replacing the state before it in one step.

    Args:
        folder: The checkpoint folder.
        tensors: Weights, averages and optimiser moments by name.
        facts: Everything else, as JSON.
    """
    from safetensors.torch import save_file

    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    notes = {"facts": json.dumps(facts)}
    with replacing(folder / STATE_FILE) as temporary:
        save_file(whole, temporary, metadata=notes)


def read_state(folder: Path) -> tuple[dict[str, "Tensor"], dict[str, Any]] | None:
    """The state that `write_state` left, or None when there is none.

    Raises:
        FormatError: The file is damaged; safetensors are only ever replaced whole, so something else touched it.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118  (not a dict)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path} is damaged: {error}. Delete it to start again from step 0.") from error


def describe_file(path: Path) -> WeightsFile:
    """Name, sha256 and length of a file; read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return WeightsFile(file=path.name, sha256=digest.hexdigest(), n_bytes=path.stat().st_size)


def write_json(path: Path, content: object) -> None:
    """Indented JSON without NaN, replaced in one step."""
    write_text_atomic(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
