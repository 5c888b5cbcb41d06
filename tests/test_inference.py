"""Volumes in blocks: the same labels whoever computes them, whatever was interrupted, and never all in memory."""

import os
import signal
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import zarr

from mitobench import inference
from mitobench.baselines import load_baseline, train_baseline
from mitobench.benchmark.container import PredictionWriter, open_prediction
from mitobench.benchmark.parts import fill_parts
from mitobench.components.watershed import WatershedRule
from mitobench.errors import BadInputError
from mitobench.inference import Inference, open_blocks, predict_into, segment_file
from mitobench.models import ModelSource
from mitobench.segmenter import BaselineCard, BlockSegmenter, no_progress
from mitobench.volume import Volume

SHAPE = (7, 70, 90)
CARD = BaselineCard(key="toy", title="Toy", summary="Counts.", trainable=False, runs_untrained=True)


@dataclass(eq=False)
class Toy:
    """Says how bright the voxels around each voxel are; works in blocks of 2 x 32 x 32."""

    device: str = "cpu"
    done: list[str] = field(default_factory=list)
    die_after: int = -1
    card: BaselineCard = CARD
    threshold: float = 0.5

    def fingerprint(self) -> str:
        return "toy 1"

    def blocks(self, shape):
        z, y, x = (
            [slice(start, min(start + step, n)) for start in range(0, n, step)]
            for n, step in zip(shape, (2, 32, 32), strict=True)
        )
        return [(a, b, c) for a in z for b in y for c in x]

    def grey_ends(self, image):
        return float(np.min(image[:])), float(np.max(image[:]))

    def block(self, image, box, *, grey_ends):
        if len(self.done) == self.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        self.done.append(self.device)
        wide = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        part = np.asarray(image[wide]).astype(np.float64)
        blurred = (part + np.roll(part, 1, axis=2) + np.roll(part, -1, axis=2)) / 3
        inside = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, wide, strict=True))
        low, high = grey_ends
        return np.round((blurred[inside] - low) / (high - low) * 255).astype(np.uint8)

    def segment(self, image, *, voxel_size_nm, progress=no_progress):
        raise AssertionError("a model of blocks is never run over the whole volume")


@dataclass(frozen=True)
class ToySource:
    """A model that other processes can make."""

    def load(self, device):
        return Toy(device=device)


def _image() -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (SHAPE[0], 7, 9))
    return coarse.repeat(10, axis=1).repeat(10, axis=2).astype(np.uint8)


def _volume() -> Volume:
    return Volume(
        name="a", image=_image(), labels=None, label_kind="semantic", voxel_size_nm=(30.0, 10.0, 10.0)
    )


def _writer(folder: Path) -> PredictionWriter:
    return PredictionWriter(
        folder, dataset="vnc", version="1", split="test", track="auto", model="toy", command="x"
    )


def _predict(folder: Path, toy: Toy, how: Inference | None = None, volume: Volume | None = None) -> None:
    writer = _writer(folder)
    with open_blocks(toy, how or Inference()) as work:
        predict_into(writer, volume or _volume(), segmenter=toy, work=work, track="auto", probabilities=True)
    writer.finish()


def _arrays(folder: Path) -> dict[str, bytes]:
    """Bytes of all chunks, those in the container too; prediction.json holds the seconds that it took."""
    found = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("c/**/*") if path.is_file()
    }
    with zipfile.ZipFile(folder / "prediction.zarr.zip") as file:
        return found | {name: file.read(name) for name in file.namelist() if "/c/" in name}


def test_the_toy_is_a_model_of_blocks() -> None:
    assert isinstance(Toy(), BlockSegmenter)


def test_any_crew_makes_the_same_blocks(crew, tmp_path: Path) -> None:
    """Threads, this process, other processes, a cluster; the image is a file, a view of which travels by name."""
    np.save(tmp_path / "image.npy", np.pad(_image(), [(1, 0), (0, 0), (0, 0)]))
    image = np.load(tmp_path / "image.npy", mmap_mode="r")[1:]
    seen: list[tuple[int, int]] = []
    parts = fill_parts(
        tmp_path / "parts",
        image,
        segmenter=Toy(),
        model=ToySource(),
        devices=("cpu",),
        crew=crew,
        progress=lambda done, total, _: seen.append((done, total)),
    )
    toy = Toy()
    whole = np.zeros(SHAPE, np.uint8)
    for box in toy.blocks(SHAPE):
        whole[box] = toy.block(_image(), box, grey_ends=(int(_image().min()), int(_image().max())))
    assert np.array_equal(parts[:], whole)
    assert np.array_equal(parts[1:6, 30:69, 5:], whole[1:6, 30:69, 5:])
    assert seen == [(done, 36) for done in range(37)]


def test_devices_take_turns(tmp_path: Path) -> None:
    """Two devices of this process, half of the blocks each, the same result as one."""

    class Two:
        def __init__(self) -> None:
            self.toys = {name: Toy(device=name) for name in ("a", "b")}

        def load(self, device):
            return self.toys[device]

    two = Two()
    _predict(tmp_path / "two", Toy(), Inference(source=two, devices=("a", "b")))
    assert [len(toy.done) for toy in two.toys.values()] == [18, 18]
    _predict(tmp_path / "one", Toy())
    assert _arrays(tmp_path / "two") == _arrays(tmp_path / "one")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork a process to kill")
def test_a_killed_prediction_goes_on(tmp_path: Path) -> None:
    """Killed after nine blocks: these are not computed again, and every byte is that of an unbroken run."""
    child = os.fork()
    if child == 0:
        _predict(tmp_path / "killed", Toy(die_after=9))
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert not (tmp_path / "killed" / "prediction.zarr.zip").exists()
    again, whole = Toy(), Toy()
    _predict(tmp_path / "killed", again)
    _predict(tmp_path / "whole", whole)
    assert (len(again.done), len(whole.done)) == (27, 36)
    chunks = _arrays(tmp_path / "killed")
    assert len(chunks) == 2  # labels and probability, one chunk each
    assert chunks == _arrays(tmp_path / "whole")
    assert not list((tmp_path / "killed").glob(".*"))


def test_blocks_of_another_model_are_not_used(tmp_path: Path) -> None:
    """What an older model left is computed anew."""

    class Other(Toy):
        def fingerprint(self) -> str:
            return "toy 2"

    writer = _writer(tmp_path)
    with open_blocks(Toy(), Inference()) as work:
        fill_parts(
            writer.scratch("a"),
            _volume().image,
            segmenter=Toy(),
            model=work.model,
            devices=("cpu",),
            crew=work.crew,
        )
    other = Other()
    _predict(tmp_path, other)
    assert len(other.done) == 36


def test_a_finished_volume_is_left_alone(tmp_path: Path) -> None:
    _predict(tmp_path, Toy())
    toy = Toy()
    _predict(tmp_path, toy)
    assert toy.done == []


def test_watershed_writes_ids(tmp_path: Path) -> None:
    """The foreground is that of the mask; the ids are objects, and the record says so."""
    pytest.importorskip("skimage")
    _predict(tmp_path / "mask", Toy())
    how = Inference(instances="watershed", rule=WatershedRule(seed_nm=20, min_voxels=0))
    _predict(tmp_path / "ids", Toy(), how)
    mask, ids = (open_prediction(tmp_path / name, volumes=[_volume()]) for name in ("mask", "ids"))
    assert (mask.kind, ids.kind) == ("semantic", "instance")
    assert np.array_equal(mask.arrays["a"][:] > 0, ids.arrays["a"][:] > 0)
    assert ids.arrays["a"][:].max() > 5


def test_any_file_to_zarr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a zarr array to a zarr array, with its voxel size and the probability beside it."""
    monkeypatch.setattr(inference, "load_segmenter", lambda *_, **__: Toy())
    image = zarr.create_array(tmp_path / "image.zarr", shape=SHAPE, chunks=(4, 40, 40), dtype=np.uint8)
    image[...] = _image()
    out = segment_file(
        "toy", tmp_path / "image.zarr", tmp_path / "out.zarr", voxel_size_nm=(30, 10, 10), probabilities=True
    )
    labels = zarr.open_array(out, mode="r")
    beside = zarr.open_array(tmp_path / "out.probability.zarr", mode="r")
    assert labels.attrs["voxel_size_nm"] == [30, 10, 10]
    assert np.array_equal(labels[:], beside[:] > 127.5)
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(BadInputError, match="is there already"):
        segment_file("toy", tmp_path / "image.zarr", out, voxel_size_nm=(30, 10, 10))


def test_what_a_model_cannot_do_is_refused() -> None:
    """Workers for a model of whole volumes, and workers that would not know where to get the model."""
    rule = load_baseline("empty")
    with (
        pytest.raises(BadInputError, match="'empty' is run over whole volumes"),
        open_blocks(rule, Inference(workers=2)),
    ):
        pass
    with (
        pytest.raises(BadInputError, match="`source` is not given"),
        open_blocks(Toy(), Inference(devices=("cuda:0", "cuda:1"))),
    ):
        pass


def test_a_source_knows_the_checkpoint_it_was_made_of(tmp_path: Path) -> None:
    """Trained again into the same folder it is another model, so no worker keeps the old one."""
    (tmp_path / "checkpoint.json").write_text("{}")
    one = ModelSource.of(tmp_path)
    assert one == ModelSource.of(tmp_path)
    (tmp_path / "checkpoint.json").write_text("{ }")
    assert ModelSource.of(tmp_path) != one
    assert ModelSource.of("empty").sha256 == ""


@pytest.mark.slow
def test_processes_load_a_checkpoint(tmp_path: Path) -> None:
    """A trained 3-D U-Net in two processes writes the bytes that it writes in this one."""
    from tests.baseline_toys import TOY, discs

    volume = discs(slices=40)
    out = train_baseline(
        "unet-3d", train=[volume], val=[], out=tmp_path / "run", settings={**TOY, "steps": 2, "channels": 4}
    )
    np.save(tmp_path / "image.npy", volume.image)
    for name, how in (("one", Inference()), ("two", Inference(workers=2))):
        segment_file(
            out,
            tmp_path / "image.npy",
            tmp_path / f"{name}.zarr",
            voxel_size_nm=volume.voxel_size_nm,
            how=how,
            probabilities=True,
        )
    one, two = (
        {
            path.relative_to(tmp_path / f"{name}{end}"): path.read_bytes()
            for end in (".zarr", ".probability.zarr")
            for path in (tmp_path / f"{name}{end}").rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    )
    assert one == two
    assert len(one) > 2
