"""The checkpoint folder: round trip, damage, half-written states."""

import json
from pathlib import Path

import pytest
import torch

from mitobench.baselines.checkpoint import (
    Checkpoint,
    prepare_folder,
    read_checkpoint,
    read_state,
    read_weights,
    write_checkpoint,
    write_state,
)
from mitobench.errors import BadInputError, FormatError, IntegrityError
from mitobench.replacing import replacing

PLAIN = Checkpoint(
    baseline="unet",
    seed=3,
    settings={"steps": 4, "precision": "fp32", "turns": False, "zoom": 1.25},
    found={"threshold": 0.5},
    data={"train": [], "val": []},
    provenance={"dataset": "toy"},
    versions={"torch": "2.6"},
)
TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(7)}


def test_round_trip(tmp_path: Path) -> None:
    """What is written is read, bit for bit, and the state of the run before is gone."""
    write_state(tmp_path, TENSORS, {"step": 2})
    write_checkpoint(tmp_path, PLAIN, tensors=TENSORS)
    found = read_checkpoint(tmp_path)
    assert found.model_copy(update={"weights": None}) == PLAIN
    weights = read_weights(tmp_path, found)
    assert weights.keys() == TENSORS.keys()
    assert all(torch.equal(weights[name], TENSORS[name]) for name in TENSORS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.json", "weights.safetensors"]


@pytest.mark.parametrize("change", ["flip", "cut", "remove"])
def test_damaged_weights_are_named(tmp_path: Path, change: str) -> None:
    """One flipped byte, a cut file and a missing one are all refused before they are unpacked."""
    write_checkpoint(tmp_path, PLAIN, tensors=TENSORS)
    path = tmp_path / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    if change == "remove":
        path.unlink()
    else:
        path.write_bytes(bytes(content) if change == "flip" else bytes(content[:-4]))
    with pytest.raises(IntegrityError, match=r"weights\.safetensors"):
        read_weights(tmp_path, read_checkpoint(tmp_path))


def test_weights_outside_the_folder_are_refused(tmp_path: Path) -> None:
    """A checkpoint.json that points elsewhere does not make us read there."""
    folder = tmp_path / "inner"
    folder.mkdir()
    write_checkpoint(folder, PLAIN, tensors=TENSORS)
    content = json.loads((folder / "checkpoint.json").read_text())
    (folder / "weights.safetensors").rename(tmp_path / "weights.safetensors")
    content["weights"]["file"] = "../weights.safetensors"
    (folder / "checkpoint.json").write_text(json.dumps(content))
    with pytest.raises(IntegrityError, match="missing"):
        read_weights(folder, read_checkpoint(folder))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a checkpoint"),
        ("[]", "not a checkpoint"),
        (json.dumps({**PLAIN.model_dump(), "extra": 1}), "extra"),
        (json.dumps({**PLAIN.model_dump(), "seed": "3"}), "seed"),
        (json.dumps({**PLAIN.model_dump(), "version": 99}), "version 99"),
    ],
)
def test_a_wrong_json_is_named(tmp_path: Path, text: str, message: str) -> None:
    """Broken JSON, unknown keys, wrong types and later versions each say what is wrong."""
    (tmp_path / "checkpoint.json").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_checkpoint(tmp_path)


def test_an_unfinished_run_is_recognised(tmp_path: Path) -> None:
    """A folder with a state alone is no checkpoint, and the message says to resume."""
    write_state(tmp_path, TENSORS, {"step": 2})
    with pytest.raises(FormatError, match="resume it"):
        read_checkpoint(tmp_path)
    with pytest.raises(BadInputError, match="already holds state"):
        prepare_folder(tmp_path, resume=False)
    prepare_folder(tmp_path, resume=True)


def test_state_round_trip_and_damage(tmp_path: Path) -> None:
    """A state is read whole or refused; numbers survive JSON exactly."""
    assert read_state(tmp_path) is None
    write_state(tmp_path, TENSORS, {"step": 2, "losses": [0.1, 1e-300]})
    found = read_state(tmp_path)
    assert found is not None
    assert found[1] == {"step": 2, "losses": [0.1, 1e-300]}
    assert torch.equal(found[0]["a"], TENSORS["a"])
    path = tmp_path / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FormatError, match="damaged"):
        read_state(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """When writing breaks off, the former content stays and no temporary file is left."""
    path = tmp_path / "file"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), replacing(path) as temporary:
        fail(temporary)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    """A checkpoint needs a folder."""
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(BadInputError, match="is a file"):
        prepare_folder(path, resume=False)
