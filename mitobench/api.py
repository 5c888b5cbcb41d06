"""Where data, models and scores meet: predict, score, evaluate. No arithmetic and no leaderboard lives here."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mitobench.segmenter import Progress, Segmenter, no_progress

if TYPE_CHECKING:
    from datasets import Dataset

    from mitobench.benchmark.record import Record
    from mitobench.benchmark.validate import Finding
    from mitobench.inference import Inference


def predict(
    segmenter: Segmenter,
    *,
    dataset: str,
    out: Path | str,
    split: str = "test",
    track: str = "auto",
    version: int | None = None,
    seed: int = 0,
    probabilities: bool = False,
    how: "Inference | None" = None,
    progress: Progress = no_progress,
) -> Path:
    """Run a model over a split, one volume at a time, and write its prediction container.

    Networks run block by block, and memory does not grow with the volume. Run again, a stopped prediction goes on.

    Args:
        segmenter: Anything with a card and a `segment` method.
        dataset: Dataset key.
        out: Folder in which prediction.zarr.zip is written, or that file itself, which ends in .zip.
        split: Which split.
        track: What the model knows at test time; "auto" is the image alone. Models that take prompts also run
            "point", "box", "interactive", "slice-point", "slice-box" and "patch-box"; prompts are those that are
            shipped for the test split.
        version: Split version; the newest when None.
        seed: Of the model; goes into the record's name.
        probabilities: Keep the probability maps too, beside the container.
        how: Devices, processes, machines, and how objects are told apart; the labels do not depend on who works.
        progress: Told about finished slices or blocks.

    Returns:
        `out`, which `score`, `validate` and `pack` take.

    Raises:
        BadInputError: The track hands out prompts, which this model does not take, or which are not shipped for this
            split.
        IntegrityError: A shipped prompt file was changed.
    """
    from mitobench.benchmark import container, tracks
    from mitobench.datasets import load_split
    from mitobench.inference import Inference, open_blocks, predict_into
    from mitobench.prompted import check_track, prompts_of

    tracks.load_track(track)
    if track != "auto":
        check_track(segmenter, track)
    volumes = load_split(dataset, split, version=version)
    given = prompts_of(volumes, track)
    writer = container.PredictionWriter(
        Path(out),
        dataset=dataset,
        version=str(volumes.version),
        split=split,
        track=track,
        model=segmenter.card.key,
        seed=seed,
        prompts=given.files if given else {},
    )
    with open_blocks(segmenter, how or Inference()) as work:
        for volume in volumes:
            predict_into(
                writer,
                volume,
                segmenter=segmenter,
                work=work,
                track=track,
                prompts=given.by_volume[volume.name] if given else (),
                probabilities=probabilities,
                progress=progress,
            )
    return writer.finish()


def score(
    path: Path | str,
    *,
    dataset: str,
    split: str = "test",
    track: str = "auto",
    version: int | None = None,
    model: str | None = None,
    seed: int | None = None,
    missing: Literal["error", "empty"] = "error",
    only_container: bool = False,
    surfaces: bool = True,
    workers: int = 0,
    scheduler: str | None = None,
    progress: Progress = no_progress,
) -> "Record":
    """Score a prediction on disk against the truth of a split.

    Of a large split, a run that was killed goes on from notes in the data root.

    Args:
        path: A container (`prediction.zarr.zip`) or the folder with it; or a folder with one array file per volume
            (`<volume>.npy`, `.tif`, `.zarr`, `.h5`, `.nii.gz`, or a folder of PNG slices), or that one file.
        dataset: Dataset key.
        split: Which split.
        track: What the model knew at test time.
        version: Split version; the newest when None.
        model: Name for the record; taken from the prediction when None.
        seed: Of the model; taken from the prediction when None, else 0.
        missing: "empty" scores a volume that is not there as empty instead of refusing.
        only_container: Open nothing but a container, as whoever scores files of strangers must.
        surfaces: Measure surfaces and outlines; False leaves their scores out, for very large volumes.
        workers: 0: threads of this process. More than 1: that many processes.
        scheduler: Address of a Dask scheduler whose workers, who see the same files, do the work instead.
        progress: Told about finished slabs.

    Returns:
        The record: scores, counts, definitions, provenance and overlap tables.

    Raises:
        PredictionNotFoundError: The path or a volume of it is not there.
        ShapeError: A volume has another shape than the truth.
        DtypeError: A prediction is not of an integer dtype.
        BadInputError: NaN, negative ids, or a prediction of another split.
        WorkerError: A worker vanished, or the scheduler does not answer.
    """
    from mitobench.benchmark import score as scoring
    from mitobench.datasets import load_split
    from mitobench.datasets.prompt_files import read_index
    from mitobench.datasets.roots import data_root
    from mitobench.workers import open_workers

    volumes = load_split(dataset, split, version=version)
    with open_workers(workers, scheduler) as crew:
        return scoring.score_prediction(
            Path(path),
            volumes=volumes,
            dataset=dataset,
            version=str(volumes.version),
            split=split,
            track=track,
            manifest_sha256=volumes.manifest_sha256,
            model=model,
            seed=seed,
            missing=missing,
            only_container=only_container,
            prompt_files=read_index(),
            surfaces=surfaces,
            crew=crew,
            journal=data_root() / "journals",
            progress=progress,
        )


def evaluate(
    segmenter: Segmenter,
    *,
    dataset: str,
    split: str = "test",
    track: str = "auto",
    out: Path | str | None = None,
    version: int | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> "Record":
    """Run a model over a split, then score what it wrote.

    Args:
        segmenter: Anything with a card and a `segment` method.
        dataset: Dataset key.
        split: Which split.
        track: What the model knows at test time.
        out: Where to keep the prediction; a temporary folder when None.
        version: Split version; the newest when None.
        seed: Of the model.
        progress: Told about finished slices.

    Returns:
        The record.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="mitobench-") as temporary:
        folder = Path(out) if out is not None else Path(temporary) / "prediction"
        predict(
            segmenter,
            dataset=dataset,
            out=folder,
            split=split,
            track=track,
            version=version,
            seed=seed,
            progress=progress,
        )
        return score(folder, dataset=dataset, split=split, track=track, version=version, progress=progress)


def validate(
    path: Path | str, *, dataset: str, split: str = "test", track: str = "auto", version: int | None = None
) -> "list[Finding]":
    """Check the form of a prediction; no truth is opened.

    Args:
        path: As for `score`.
        dataset: Dataset key.
        split: Which split.
        track: What the model knew at test time.
        version: Split version; the newest when None.

    Returns:
        One finding per check, with what to do about it.
    """
    from mitobench.benchmark.validate import validate_prediction
    from mitobench.datasets import load_split

    volumes = load_split(dataset, split, version=version)
    return validate_prediction(
        Path(path), volumes=volumes, dataset=dataset, version=str(volumes.version), split=split, track=track
    )


def pack(
    source: "Path | str | Dataset",
    *,
    dataset: str,
    out: Path | str,
    model: str,
    split: str = "test",
    track: str = "auto",
    version: int | None = None,
    seed: int = 0,
    column: str | None = None,
    layout: str | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Copy a prediction of any readable form into the canonical container; nothing is resampled.

    Args:
        source: As for `score`; or, with a column, a Hugging Face `Dataset` or the folder that it was saved to.
        dataset: Dataset key.
        out: The folder in which prediction.zarr.zip is written, or that file itself, which ends in .zip.
        model: Key of the model, such as "my-unet".
        split: Which split.
        track: What the model knew at test time.
        version: Split version; the newest when None.
        seed: Of the model.
        column: Holds the labels of a Hugging Face dataset; rows say where they belong as those of `Split.to_hf` do.
        layout: "nnunet", "mitonet" or "micro-sam" for a folder that this tool wrote; None for files named by volume.
        progress: Told about finished pieces.

    Returns:
        `out`, which scores exactly as the source does.

    Raises:
        BadInputError: It could not be scored either.
    """
    from mitobench.benchmark.column import column_volumes
    from mitobench.benchmark.foreign import foreign_labels
    from mitobench.benchmark.pack import pack_prediction
    from mitobench.benchmark.tracks import load_track
    from mitobench.datasets import hub, load_split

    load_track(track)
    volumes = load_split(dataset, split, version=version)
    given: Any = Path(source) if isinstance(source, str | Path) else source
    kind = None
    if layout is not None:
        kind, given = foreign_labels(given, layout, volumes=volumes)
    elif column is not None:
        rows = hub.open_saved(given) if isinstance(given, Path) else given
        given = column_volumes(rows, column, volumes=volumes)
    return pack_prediction(
        given,
        Path(out),
        volumes=volumes,
        dataset=dataset,
        version=str(volumes.version),
        split=split,
        track=track,
        model=model,
        seed=seed,
        kind=kind,
        progress=progress,
    )
