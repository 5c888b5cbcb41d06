"""Prediction of volumes larger than memory, by many devices, processes or machines; it goes on after a kill."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mitobench.components.watershed import WatershedRule
from mitobench.errors import BadInputError
from mitobench.models import ModelSource, load_segmenter
from mitobench.prompts import ObjectPrompt
from mitobench.segmenter import BlockSegmenter, Progress, Segmenter, no_progress
from mitobench.volume import Volume, VoxelSize
from mitobench.workers import open_workers

if TYPE_CHECKING:
    from mitobench.benchmark.container import PredictionWriter
    from mitobench.benchmark.volumes import BlockWork, Instances


@dataclass(frozen=True, kw_only=True)
class Inference:
    """How a network is run over volumes. The labels are the same whoever runs it; only the time differs.

    Attributes:
        source: Where other processes get the model; needed for all but one device of this process.
        devices: Blocks are given to them in turn, such as ("cuda:0", "cuda:1"); empty for that of the model.
        workers: 1: in this process, one thread for each device. More: that many processes.
        scheduler: Address of a Dask scheduler whose workers, who see the same files, do the work instead.
        instances: "components" writes a mask; "watershed" tells objects apart that touch.
        rule: For the watershed.
    """

    source: ModelSource | None = None
    devices: tuple[str, ...] = ()
    workers: int = 1
    scheduler: str | None = None
    instances: "Instances" = "components"
    rule: WatershedRule = field(default_factory=WatershedRule)

    @property
    def plain(self) -> bool:
        """Whether nothing is asked for that needs a model of blocks."""
        alone = self.workers == 1 and self.scheduler is None and len(self.devices) <= 1
        return alone and self.instances == "components"


@dataclass(frozen=True, eq=False)
class _InMemory:
    """The model of this process itself."""

    segmenter: BlockSegmenter

    def load(self, device: str) -> BlockSegmenter:
        """The model, where it is."""
        del device
        return self.segmenter


@contextmanager
def open_blocks(segmenter: Segmenter, how: Inference) -> "Iterator[BlockWork | None]":
    """Open those who compute the blocks of a model.

    Args:
        segmenter: The model.
        how: How it is run.

    Yields:
        Who works; None for a model that is not made of blocks, which is run volume by volume.

    Raises:
        BadInputError: Something was asked for that this model cannot do, or no source for other processes.
    """
    from mitobench.benchmark.volumes import BlockWork

    if not isinstance(segmenter, BlockSegmenter):
        if not how.plain:
            raise BadInputError(
                f"{segmenter.card.key!r} is run over whole volumes by this process; expected a network for several "
                "devices or workers, and for the watershed. Leave these options out."
            )
        yield None
        return
    alone = how.workers == 1 and how.scheduler is None and len(how.devices) <= 1
    if how.source is None and not alone:
        raise BadInputError(
            "Other devices and processes have to load the model, but `source` is not given. Pass "
            "source=ModelSource.of(PATH)."
        )
    model = _InMemory(segmenter) if how.source is None or alone else how.source
    workers = how.workers if how.workers > 1 else 0
    with open_workers(workers, how.scheduler, threads=max(len(how.devices), 1)) as crew:
        yield BlockWork(
            model=model,
            devices=how.devices or ("cpu",),
            crew=crew,
            instances=how.instances,
            rule=how.rule,
        )


def predict_into(
    writer: "PredictionWriter",
    volume: Volume,
    *,
    segmenter: Segmenter,
    work: "BlockWork | None",
    track: str,
    prompts: Sequence[ObjectPrompt] = (),
    probabilities: bool,
    progress: Progress = no_progress,
) -> None:
    """Write the prediction of one volume, unless it is there already.

    Args:
        writer: Of the prediction folder.
        volume: What to predict; in track auto only its image is looked at.
        segmenter: The model.
        work: Who computes its blocks, if it has any.
        track: "auto", or one whose prompts the model is given.
        prompts: Of this volume, where the track has files of them.
        probabilities: Keep the probability too.
        progress: Told about finished blocks or slices.
    """
    from mitobench.benchmark.volumes import predict_volume
    from mitobench.prompted import CLICK_TRACK, segment_interactive, segment_prompted

    if writer.has(volume.name):
        shutil.rmtree(writer.scratch(volume.name), ignore_errors=True)
        return
    started = time.perf_counter()
    if track == CLICK_TRACK:
        for name, labels in segment_interactive(segmenter, volume, prompts, progress=progress):
            writer.add(name, labels=labels, kind="instance", seconds=time.perf_counter() - started)
            started = time.perf_counter()
        return
    if track != "auto" or work is None or not isinstance(segmenter, BlockSegmenter):
        if track == "auto":
            found = segmenter.segment(volume.image, voxel_size_nm=volume.voxel_size_nm, progress=progress)
        else:
            found = segment_prompted(segmenter, volume, prompts, track=track, progress=progress)
        writer.add(
            volume.name,
            labels=found.labels,
            kind=found.kind,
            probability=found.probability if probabilities else None,
            seconds=time.perf_counter() - started,
        )
        return
    scratch = writer.scratch(volume.name)
    made = predict_volume(
        volume.name,
        volume.image,
        segmenter=segmenter,
        work=work,
        voxel_size_nm=volume.voxel_size_nm,
        scratch=scratch,
        progress=progress,
    )
    writer.add(
        volume.name,
        labels=made.labels,
        kind=made.kind,
        probability=made.probability if probabilities else None,
        seconds=time.perf_counter() - started,
        largest=made.largest,
        progress=progress,
    )
    shutil.rmtree(scratch)


def segment_file(
    model: str | Path,
    image: Path | str,
    out: Path | str,
    *,
    voxel_size_nm: VoxelSize,
    how: Inference | None = None,
    weights: Path | None = None,
    seed: int = 0,
    probabilities: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Segment any image file that slices, such as a zarr array larger than memory, into a zarr array.

    Args:
        model: A checkpoint folder, or the key of a baseline that runs untrained.
        image: zarr, npy, TIFF, HDF5, NIfTI or a folder of slices, (z, y, x) uint8.
        out: The zarr folder to write. A run that was stopped goes on with the blocks that it left beside it.
        voxel_size_nm: (z, y, x).
        how: How the model is run; its `source` is filled in.
        weights: Official weights for a baseline that takes them.
        seed: Of a random initialisation.
        probabilities: Write the probability too, as `<out>.probability.zarr`.
        progress: Told about finished blocks.

    Returns:
        `out`: uint8 masks, or ids in the smallest unsigned dtype.

    Raises:
        BadInputError: `out` is there already, or the model cannot be run in blocks.
        DtypeError: The image is not uint8.
        ShapeError: The image is not (z, y, x).
    """
    from mitobench.arrays import open_array
    from mitobench.benchmark.container.zarrs import write_zarr
    from mitobench.benchmark.volumes import predict_volume

    target = Path(out)
    if target.exists():
        raise BadInputError(f"{target} is there already; expected a new name. Delete it to segment again.")
    source = ModelSource.of(model, weights=weights, seed=seed)
    asked = replace(how or Inference(), source=source)
    segmenter = load_segmenter(model, device=(asked.devices or ("cpu",))[0], weights=weights, seed=seed)
    scratch = target.with_name(f".{target.name}.parts")
    with open_blocks(segmenter, asked) as work:
        if work is None or not isinstance(segmenter, BlockSegmenter):
            raise BadInputError(f"{model} is no network that runs in blocks; use `mitobench predict`.")
        made = predict_volume(
            target.stem,
            open_array(Path(image)),
            segmenter=segmenter,
            work=work,
            voxel_size_nm=voxel_size_nm,
            scratch=scratch,
            progress=progress,
        )
        attributes = {
            "voxel_size_nm": list(voxel_size_nm),
            "kind": made.kind,
            "model": segmenter.fingerprint(),
        }
        if probabilities:
            beside = target.with_name(f"{target.stem}.probability.zarr")
            write_zarr(beside, made.probability, attributes=attributes)
        write_zarr(target, made.labels, attributes=attributes)
    shutil.rmtree(scratch)
    return target
