"""Embeddings kept on disk: found again, never taken for another's, whole or not there."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mitobench.baselines.sam.cached import CachedSam
from mitobench.baselines.sam.model import Embedding, SamModel, build_sam
from tests.test_sam_model import TOY_SHAPE


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the images that an encoder really saw."""
    seen: list[tuple[int, ...]] = []
    encode = SamModel.encode

    def noted(self, image, **options):
        seen.append(tuple(image.shape))
        return encode(self, image, **options)

    monkeypatch.setattr(SamModel, "encode", noted)
    return seen


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0)) * 255


def _same(one: Embedding, other: Embedding) -> bool:
    return torch.equal(one.features, other.features) and one.size == other.size


@torch.inference_mode()
def test_an_embedding_is_made_once(
    encoded: list[tuple[int, ...]], image: torch.Tensor, tmp_path: Path
) -> None:
    """The second time nothing is encoded, in another process neither; the answer is the same every time."""
    first = CachedSam(build_sam(TOY_SHAPE, seed=0), tmp_path / "kept")
    one = first.encode(image)
    again = CachedSam(build_sam(TOY_SHAPE, seed=0), tmp_path / "kept").encode(image)
    assert _same(one, again)
    assert len(encoded) == 1
    plain = build_sam(TOY_SHAPE, seed=0).encode(image)
    assert torch.allclose(one.features, plain.features, atol=2e-3)
    assert first.n_bytes == sum(file.stat().st_size for file in (tmp_path / "kept").iterdir())
    assert 32 * 3 * 4 * 2 < first.n_bytes < 32 * 3 * 4 * 2 + 500
    assert torch.equal(first.decode(one).logits, first.sam.decode(one).logits)


@torch.inference_mode()
def test_nothing_else_is_taken_for_it(
    encoded: list[tuple[int, ...]], image: torch.Tensor, tmp_path: Path
) -> None:
    """Other weights, another image, shape, padding or precision: encoded anew."""
    sam, other = build_sam(TOY_SHAPE, seed=0), build_sam(TOY_SHAPE, seed=1)
    cached = CachedSam(sam, tmp_path)
    cached.encode(image)
    CachedSam(other, tmp_path).encode(image)
    changed = image.clone()
    changed[0, 0, 47, 63] += 1
    cached.encode(changed)
    cached.encode(image.mT.contiguous().view(1, 1, 48, 64))
    cached.encode(image.view(1, 1, 64, 48))
    cached.encode(image, pad_to=64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cached.encode(image)
    assert len(encoded) == 7
    assert len(list(tmp_path.iterdir())) == 7


@torch.inference_mode()
def test_what_a_killed_run_left_is_repaired(
    encoded: list[tuple[int, ...]], image: torch.Tensor, tmp_path: Path
) -> None:
    """Half a file under its temporary name is swept away; a damaged one is made again."""
    cached = CachedSam(build_sam(TOY_SHAPE, seed=0), tmp_path)
    good = cached.encode(image)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    (tmp_path / f".{path.name}.torn").write_bytes(b"half")
    cached = CachedSam(build_sam(TOY_SHAPE, seed=0), tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    assert _same(cached.encode(image), good)
    assert len(encoded) == 2
    assert _same(cached.encode(image), good)
    assert len(encoded) == 2


@torch.inference_mode()
def test_finer_maps_are_kept_too(
    image: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer models make several maps; all come back, in their order."""
    encode = SamModel.encode

    def with_maps(self, given, **options):
        return replace(
            encode(self, given, **options), finer=(torch.ones(1, 2, 8, 8), torch.zeros(1, 3, 4, 4))
        )

    monkeypatch.setattr(SamModel, "encode", with_maps)
    for _ in range(2):
        found = CachedSam(build_sam(TOY_SHAPE, seed=0), tmp_path).encode(image)
        assert [tuple(one.shape) for one in found.finer] == [(1, 2, 8, 8), (1, 3, 4, 4)]
        assert found.finer[0].all()
