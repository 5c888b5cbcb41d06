"""PatchStream: every patch once, whoever reads it: threads, worker processes, ranks, epochs, torch and MONAI."""

import copy
import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mitobench.errors import BadInputError
from mitobench.patches import PatchDataset, PatchStream, RandomPatchSampler
from mitobench.patches.ranks import resolve_rank
from mitobench.volume import Volume

SHAPE = (5, 20, 24)


def _volume(tmp_path: Path | None = None) -> Volume:
    image = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    labels = np.zeros(SHAPE, np.uint16)
    labels[2:4, 5:9, 3:12] = 1
    if tmp_path is not None:
        np.save(tmp_path / "image.npy", image)
        image = np.load(tmp_path / "image.npy", mmap_mode="r")
    return Volume(name="a", image=image, labels=labels, label_kind="instance", voxel_size_nm=(30, 8, 8))


def _patches(tmp_path: Path | None = None) -> PatchDataset:
    return PatchDataset([_volume(tmp_path)], patch_shape=(5, 6))


def _origins(batches: object) -> list[list[list[int]]]:
    return [np.asarray(batch["origin"]).tolist() for batch in batches]  # type: ignore[attr-defined]


def test_a_loop_is_an_epoch_of_batches() -> None:
    """What comes is what `batches` gives for the same seed and epoch; the length says how many."""
    patches = _patches()
    stream = PatchStream(patches, 7, seed=3)
    expected = _origins(patches.batches(7, seed=3, epoch=0))
    assert _origins(stream) == _origins(stream) == expected
    assert len(stream) == len(expected)
    stream.set_epoch(1)
    assert _origins(stream) == _origins(patches.batches(7, seed=3, epoch=1)) != expected


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("sampled", [False, True])
def test_the_ranks_together_are_one_process(world_size: int, sampled: bool) -> None:
    """Dealt out in turn, the rows of all ranks are the rows of a single process, each once."""
    options = {"seed": 1}
    if sampled:
        options |= {"sampler": RandomPatchSampler([_volume()], patch_shape=(5, 6)), "n": 41}
    whole = [row for batch in _origins(PatchStream(_patches(), 4, **options)) for row in batch]
    merged: list[object] = [None] * len(whole)
    for rank in range(world_size):
        stream = PatchStream(_patches(), 4, rank=rank, world_size=world_size, **options)
        merged[rank::world_size] = [row for batch in _origins(stream) for row in batch]
    assert merged == whole
    full = [
        _origins(PatchStream(_patches(), 4, rank=r, world_size=world_size, drop_last=True, **options))
        for r in range(world_size)
    ]
    assert {len(batches) for batches in full} == {len(whole) // world_size // 4}


def test_a_sampler_draws_anew_for_each_epoch() -> None:
    """The places are those that the sampler draws for this seed and epoch, in its order."""
    sampler = RandomPatchSampler([_volume()], patch_shape=(5, 6), balance="objects")
    stream = PatchStream(_patches(), 4, seed=2, sampler=sampler, n=10)
    for epoch in (0, 3):
        stream.set_epoch(epoch)
        drawn = sampler.draw(10, seed=2, epoch=epoch)[:, 1:].tolist()
        assert [row for batch in _origins(stream) for row in batch] == drawn
    assert len(stream) == 3


def test_single_samples_carry_the_transform() -> None:
    """Without a batch size the stream hands out what indexing the dataset does, in the order of the epoch."""
    patches = PatchDataset(
        [_volume()], patch_shape=(5, 6), transform=lambda s: {**s, "image": 255 - s["image"]}
    )
    stream = PatchStream(patches, None, shuffle=False)
    assert len(stream) == len(patches)
    for mine, other in zip(stream, patches, strict=True):
        assert mine["origin"] == other["origin"]
        assert np.array_equal(mine["image"], other["image"])


def test_torch_takes_it_for_its_own_iterable() -> None:
    """isinstance holds, and a DataLoader gives tensors over the gathered memory, in the stream's order."""
    data = pytest.importorskip("torch").utils.data
    stream = PatchStream(_patches(), 7, seed=3)
    assert isinstance(stream, data.IterableDataset)
    assert issubclass(PatchStream, data.IterableDataset)
    assert isinstance(copy.copy(stream), data.IterableDataset)
    loader = data.DataLoader(stream, batch_size=None, collate_fn=stream.collate)
    batches = list(loader)
    assert len(loader) == len(batches)
    assert _origins(batches) == _origins(stream)
    for batch, expected in zip(batches, stream, strict=True):
        assert np.array_equal(batch["image"].numpy(), expected["image"])
        assert np.array_equal(batch["mask"].numpy(), expected["mask"])
        assert batch["volume"] == expected["volume"]
    plain = data.DataLoader(stream, batch_size=None)
    assert _origins(plain) == _origins(stream)
    assert isinstance(next(iter(plain))["image"], pytest.importorskip("torch").Tensor)


@pytest.mark.slow
def test_torch_after_the_stream_is_told_apart() -> None:
    """A stream from before `import torch` says what to do; one made after it works."""
    pytest.importorskip("torch")
    code = """
import numpy as np
from mitobench.patches import PatchDataset, PatchStream
from mitobench.volume import Volume
v = Volume(name="a", image=np.zeros((2, 8, 8), np.uint8), labels=None, label_kind="instance", voxel_size_nm=(1, 1, 1))
patches = PatchDataset([v], patch_shape=(4, 4))
early = PatchStream(patches, 2)
import sys; assert "torch" not in sys.modules
from torch.utils.data import DataLoader
try:
    next(iter(DataLoader(early, batch_size=None)))
except TypeError as error:
    print(str(error)[-30:])
print(len(list(DataLoader(PatchStream(patches, 2), batch_size=None))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["e stream after `import torch`.", "4"]


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("persistent", [False, True])
def test_worker_processes_share_an_epoch(tmp_path: Path, start: str, persistent: bool) -> None:
    """Two workers give each batch once, in the order of one process, and hear of the next epoch."""
    data = pytest.importorskip("torch").utils.data
    stream = PatchStream(_patches(tmp_path), 7, seed=3)
    loader = data.DataLoader(
        stream,
        batch_size=None,
        num_workers=2,
        persistent_workers=persistent,
        multiprocessing_context=multiprocessing.get_context(start),
    )
    for epoch in (0, 5):
        stream.set_epoch(epoch)
        assert _origins(loader) == _origins(stream) == _origins(_patches().batches(7, seed=3, epoch=epoch))


@pytest.mark.slow
def test_samples_of_worker_processes_are_each_there_once(tmp_path: Path) -> None:
    """A DataLoader that batches by itself sees every patch once, whoever read it."""
    data = pytest.importorskip("torch").utils.data
    patches = _patches(tmp_path)
    loader = data.DataLoader(PatchStream(patches, None), batch_size=6, num_workers=2)
    seen = [row for batch in loader for row in np.stack([np.asarray(o) for o in batch["origin"]], 1).tolist()]
    assert sorted(seen) == patches.origins.tolist()


def test_a_copy_has_an_epoch_of_its_own() -> None:
    """A pickled stream remembers the epoch and then goes its own way."""
    stream = PatchStream(_patches(), 7)
    stream.set_epoch(4)
    other = pickle.loads(pickle.dumps(stream))
    assert other.epoch == 4
    other.set_epoch(5)
    assert stream.epoch == 4
    assert _origins(other) != _origins(stream)


def test_rank_auto_asks_the_process_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """First torch.distributed, then what torchrun sets, else one process; a number is taken as it is."""
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert resolve_rank("auto", 1) == (0, 1)
    assert resolve_rank(1, 3) == (1, 3)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert resolve_rank("auto", 1) == (2, 4)
    mine = _origins(_patches().batches(4, rank="auto"))
    assert mine == _origins(_patches().batches(4, rank=2, world_size=4))
    distributed = pytest.importorskip("torch.distributed")
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        assert resolve_rank("auto", 1) == (0, 1)
        assert _origins(PatchStream(_patches(), 4, rank="auto")) == _origins(PatchStream(_patches(), 4))
    finally:
        distributed.destroy_process_group()
    monkeypatch.setenv("RANK", "two")
    with pytest.raises(BadInputError, match="RANK is 'two'"):
        resolve_rank("auto", 1)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"rank": 2, "world_size": 2}, "rank is 2"),
        ({"rank": "auto", "world_size": 2}, "only one of them"),
        ({"rank": "first"}, "rank is 'first'"),
        ({"seed": -1}, "seed is -1"),
        ({"n": 4}, "both or neither"),
        ({"sampler": RandomPatchSampler([_volume()], patch_shape=(5, 6))}, "both or neither"),
    ],
)
def test_bad_options_say_what_is_wrong(options: dict, problem: str) -> None:
    """Each refusal names the value, when the stream is made and not in a worker."""
    with pytest.raises(BadInputError, match=problem):
        PatchStream(_patches(), **{"batch_size": 4, **options})


def test_a_transform_bars_whole_batches() -> None:
    """It works on single samples, so it is refused rather than left out."""
    patches = PatchDataset([_volume()], patch_shape=(5, 6), transform=lambda sample: sample)
    with pytest.raises(BadInputError, match="batch_size=None"):
        PatchStream(patches, 4)


@pytest.mark.slow
def test_monai_takes_patches_and_streams() -> None:
    """A real Compose, a CacheDataset over the samples and a ThreadDataLoader over the stream."""
    transforms = pytest.importorskip("monai.transforms")
    from monai.data import CacheDataset, ThreadDataLoader

    patches = _patches()
    chain = transforms.Compose(
        [
            transforms.ToTensord(["image", "mask"]),
            transforms.ScaleIntensityRanged("image", a_min=0, a_max=255, b_min=0, b_max=1),
            transforms.RandRotate90d(["image", "mask"], prob=1.0),
        ]
    )
    cached = CacheDataset(patches, chain, cache_rate=1.0, num_workers=None, progress=False)
    assert len(cached) == len(patches)
    turned, plain = cached[7], patches[7]
    assert sorted(np.asarray(turned["mask"]).ravel().tolist()) == sorted(plain["mask"].ravel().tolist())
    assert np.allclose(np.sort(np.asarray(turned["image"]).ravel()), np.sort(plain["image"].ravel() / 255))
    stream = PatchStream(patches, 7, seed=1)
    loader = ThreadDataLoader(stream, batch_size=None, num_workers=0, collate_fn=stream.collate)
    assert _origins(loader) == _origins(patches.batches(7, seed=1))
