"""Official weight files: only the right bytes are opened, and nothing in them is run."""

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mitobench.baselines import BASELINES, load_baseline
from mitobench.baselines.sam.model import build_sam
from mitobench.baselines.sam.shapes import SHAPES, OfficialFile
from mitobench.baselines.sam.weights import check_official, fill, find_official, load_official
from mitobench.errors import BadInputError, FormatError, IntegrityError
from tests.test_sam_model import TOY_SHAPE


def _describe(path: Path) -> OfficialFile:
    content = path.read_bytes()
    return OfficialFile(name=path.name, n_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def toy_file(tmp_path: Path) -> Path:
    """A file in the official layout, made from a toy of another seed."""
    path = tmp_path / "sam_toy.pth"
    torch.save(build_sam(TOY_SHAPE, seed=7).state_dict(), path)
    return path


def test_the_official_layout_loads(toy_file: Path) -> None:
    """Every tensor arrives under its name, also through the folder, and the file is described for the card."""
    model, expected = build_sam(TOY_SHAPE, seed=0), build_sam(TOY_SHAPE, seed=7).state_dict()
    official = _describe(toy_file)
    path = find_official(official, toy_file.parent)
    described = check_official(official, path)
    load_official(model, path)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    assert (described.file, described.n_bytes) == ("sam_toy.pth", toy_file.stat().st_size)


def _flip(content: bytes) -> bytes:
    return content[:500] + bytes([content[500] ^ 1]) + content[501:]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (_flip, IntegrityError, "sha256"),
        (lambda content: content[:-100], IntegrityError, "truncated"),
        (lambda content: content + b"x", IntegrityError, "another file"),
        (lambda content: b"\n<!DOCTYPE html><html>" + content, FormatError, "web page"),
        (lambda content: b"", IntegrityError, "truncated"),
    ],
)
def test_other_bytes_are_refused_unopened(
    toy_file: Path,
    change: Callable[[bytes], bytes],
    error: type[Exception],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A flipped, cut, longer, empty or HTML file is named before torch looks at it."""
    shape = replace(TOY_SHAPE, official=_describe(toy_file))
    toy_file.write_bytes(change(toy_file.read_bytes()))
    monkeypatch.setitem(SHAPES, "sam-vit-b", shape)
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("the file was opened"))
    with pytest.raises(error, match=message):
        load_baseline("sam-vit-b", weights=toy_file)


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("bomb"),)


def test_a_pickle_that_runs_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with the right hash nothing but tensors is unpacked."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bomb.pth"
    torch.save({"x": _Bomb()}, path)
    with pytest.raises(pickle.UnpicklingError):
        load_official(build_sam(TOY_SHAPE, seed=0), path)
    assert not (tmp_path / "bomb").exists()


def test_another_size_is_refused_by_name(toy_file: Path) -> None:
    """Weights of another shape: missing, unknown and misfitting tensors are listed."""
    wider = build_sam(replace(TOY_SHAPE, depth=3, prompt_dim=16), seed=0)
    with pytest.raises(
        FormatError, match=r"missing image_encoder\.blocks\.2\..*Was it made for another size"
    ):
        fill(wider, build_sam(TOY_SHAPE, seed=0).state_dict(), source="file")


def test_official_sizes_ask_for_their_file(tmp_path: Path) -> None:
    """Without weights the message names file, setting and address; a wrong path likewise."""
    official = SHAPES["sam-vit-b"].official
    assert official is not None
    with pytest.raises(BadInputError, match=r"sam_vit_b_01ec64\.pth"):
        load_baseline("sam-vit-b")
    with pytest.raises(BadInputError, match=r"https://dl\.fbaipublicfiles\.com"):
        load_baseline("sam-vit-b", weights=tmp_path / "absent.pth")


def test_the_tiny_size_has_no_official_file(tmp_path: Path) -> None:
    """Weights for a size of our own are a mistake."""
    with pytest.raises(BadInputError, match="no official weights"):
        load_baseline("sam-vit-tiny", weights=tmp_path)


def test_table_of_official_files() -> None:
    """Byte counts fit the number of parameters, four bytes each, plus a little; B and H are not swapped."""
    for key, shape in SHAPES.items():
        if shape.official is not None:
            surplus = shape.official.n_bytes - 4 * BASELINES[key].parameters
            assert 0 < surplus < 300_000, key
            assert key[4:].replace("-", "_") in shape.official.name
            assert len(shape.official.sha256) == 64
