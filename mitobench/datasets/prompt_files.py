"""Prompt files: the prompts of every track, drawn once from the truth of a split, hashed and shipped as text.

One CSV for each split, track and way of drawing (`<dataset>@<version>.<track>.<seed or ideal>.csv`), and
`index.toml` with their hashes. Whoever compares two models gives both the same file.
"""

import csv
import hashlib
import io
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mitobench.components import as_objects
from mitobench.datasets.split import Split, load_split
from mitobench.errors import BadInputError, IntegrityError, UnknownNameError
from mitobench.prompts import PROMPT_TRACKS, STARTS, ObjectPrompt, draw_prompts
from mitobench.replacing import replacing
from mitobench.volume import Labels, Volume

FOLDER = Path(__file__).parent / "prompts"
"""Where they are shipped."""
INDEX = "index.toml"
SEEDS = (0, 1, 2, 3, 4)
"""Seeds of the jitter; more than one, so that a row can show how much it depends on where somebody clicked."""
IDEAL = "ideal"
COLUMNS = {
    "point": ("volume", "object_id", "z", "y", "x"),
    "box": ("volume", "object_id", "z", "y_first", "x_first", "y_last", "x_last"),
}
"""Columns of a file, by what its track hands out; whole voxels from the start of the split's box."""


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """Prompts as they are shipped.

    Attributes:
        files: Name and SHA-256 of the file that they stand in; goes into predictions and records.
        by_volume: Prompts by volume; empty for a volume without objects.
    """

    files: dict[str, str]
    by_volume: dict[str, list[ObjectPrompt]]


def prompt_file_name(dataset: str, version: int, track: str, seed: int | None) -> str:
    """Name of the file; the seed is None for ideal prompts."""
    return f"{dataset}@{version}.{track}.{IDEAL if seed is None else seed}.csv"


def load_prompts(
    dataset: str,
    *,
    track: str,
    seed: int | None = 0,
    version: int = 1,
    folder: Path = FOLDER,
) -> list[ObjectPrompt]:
    """The shipped prompts of the test split, checked against their hash.

    Args:
        dataset: Dataset key.
        track: A track with object prompts.
        seed: Of the jitter; None for ideal prompts, a diagnostic.
        version: Of the split.
        folder: Where the files lie.

    Returns:
        Prompts by volume, object id and slice.

    Raises:
        UnknownNameError: No file for that; lists those there are.
        IntegrityError: The file is not the one in the index.
    """
    name = prompt_file_name(dataset, version, track, seed)
    index = read_index(folder)
    if name not in index:
        raise UnknownNameError("prompt file", name, index)
    raw = (folder / name).read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != index[name]:
        raise IntegrityError(
            f"{name} has sha256 {found[:12]}..., {INDEX} says {index[name][:12]}.... Restore the file: prompts are "
            "drawn once and never again, so that rows compare."
        )
    return prompts_from_csv(raw.decode(), track=track)


def shipped_prompts(split: Split, track: str, *, seed: int | None = 0, folder: Path = FOLDER) -> Shipped:
    """The prompts that everybody is given on a track of a split.

    Args:
        split: A test split.
        track: A key of STARTS.
        seed: Of the jitter; None for ideal prompts, a diagnostic.
        folder: Where the files lie.

    Raises:
        BadInputError: No file is shipped for that split and track; says for which there is.
        IntegrityError: The file is not the one in the index.
    """
    name = prompt_file_name(split.dataset, split.version, STARTS[track], seed)
    index = read_index(folder)
    if split.split != "test" or name not in index:
        known = sorted({one.partition(".")[0] for one in index})
        raise BadInputError(
            f"No prompts are shipped for track {track!r} of {split.dataset}@{split.version} {split.split}. There are "
            f"some for the test splits of {', '.join(known) or 'nothing'}. Maintainers draw those of another with "
            f"`mitobench prompts build {split.dataset}`."
        )
    prompts = load_prompts(
        split.dataset, track=STARTS[track], seed=seed, version=split.version, folder=folder
    )
    by_volume: dict[str, list[ObjectPrompt]] = {volume.name: [] for volume in split}
    for one in prompts:
        by_volume.setdefault(one.volume, []).append(one)
    return Shipped(files={name: index[name]}, by_volume=by_volume)


def read_index(folder: Path = FOLDER) -> dict[str, str]:
    """File name to SHA-256, for every prompt file; empty without an index."""
    path = folder / INDEX
    if not path.is_file():
        return {}
    return {str(name): str(digest) for name, digest in tomllib.loads(path.read_text())["sha256"].items()}


def build_prompts(
    dataset: str,
    *,
    version: int | None = None,
    seeds: Sequence[int] = SEEDS,
    folder: Path = FOLDER,
    root: Path | None = None,
) -> list[str]:
    """Draw every prompt file of the test split of a dataset and put its hash into the index.

    Args:
        dataset: Dataset key.
        version: Of the split; the newest when None.
        seeds: Of the jitter; ideal prompts are always drawn too.
        folder: Where the files are written.
        root: Data root.

    Returns:
        Names of the files.
    """
    split = load_split(dataset, "test", version=version, root=root)
    index = read_index(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, text in drawn_files(split, seeds):
        _write(folder / name, text)
        written[name] = hashlib.sha256(text.encode()).hexdigest()
    lines = [f'"{name}" = "{digest}"' for name, digest in sorted((index | written).items())]
    _write(folder / INDEX, "# Made by `mitobench prompts build`.\n[sha256]\n" + "\n".join(lines) + "\n")
    return list(written)


def check_prompts(dataset: str, *, folder: Path = FOLDER, root: Path | None = None) -> list[str]:
    """Shipped files of a dataset that its labels do not give; empty when all do.

    Args:
        dataset: Dataset key.
        folder: Where the files lie.
        root: Data root.
    """
    names = [name for name in read_index(folder) if name.partition("@")[0] == dataset]
    seeds = sorted({int(one) for one in (name.split(".")[-2] for name in names) if one.isdigit()})
    versions = sorted({int(name.partition("@")[2].partition(".")[0]) for name in names})
    wrong = []
    for version in versions:
        split = load_split(dataset, "test", version=version, root=root)
        for name, text in drawn_files(split, seeds):
            path = folder / name
            if not path.is_file() or path.read_bytes() != text.encode():
                wrong.append(name)
    return wrong


def drawn_files(split: Split, seeds: Sequence[int] = SEEDS) -> Iterator[tuple[str, str]]:
    """Every prompt file of a split: name and text, drawn from its labels.

    Args:
        split: With labels.
        seeds: Of the jitter.
    """
    objects = {volume.name: true_objects(volume) for volume in split}
    for track in PROMPT_TRACKS:
        for seed in (None, *seeds):
            prompts = [
                prompt
                for name in sorted(objects)
                for prompt in draw_prompts(objects[name], volume=name, track=track, seed=seed)
            ]
            yield (
                prompt_file_name(split.dataset, split.version, track, seed),
                prompts_to_csv(prompts, track=track),
            )


def true_objects(volume: Volume) -> Labels:
    """Ids of the true objects, numbered as the scorer numbers them.

    Args:
        volume: With labels; masks become components that share faces.

    Returns:
        (z, y, x) integer labels; ignored voxels belong to no object.

    Raises:
        BadInputError: The volume has no labels.
    """
    if volume.labels is None:
        raise BadInputError(
            f"Volume {volume.name!r} has no labels, and prompts are drawn from them. Choose a labelled split."
        )
    labels = as_objects(np.asarray(volume.labels), kind=volume.label_kind)
    return labels if volume.ignore is None else labels * ~np.asarray(volume.ignore)


def prompts_to_csv(prompts: Sequence[ObjectPrompt], *, track: str) -> str:
    """Prompts as text, one a line, whole numbers."""
    kind = PROMPT_TRACKS[track].kind
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS[kind])
    for one in prompts:
        place = one.point_yx if kind == "point" else one.box_yx
        writer.writerow((one.volume, one.object_id, one.z, *(place or ())))
    return buffer.getvalue()


def prompts_from_csv(text: str, *, track: str) -> list[ObjectPrompt]:
    """The inverse of `prompts_to_csv`.

    Raises:
        IntegrityError: Other columns, or a value that is no whole number.
    """
    kind = PROMPT_TRACKS[track].kind
    lines = list(csv.reader(io.StringIO(text, newline="")))
    if not lines or tuple(lines[0]) != COLUMNS[kind]:
        raise IntegrityError(
            f"A prompt file of {track} has the columns {lines[:1]}; expected {COLUMNS[kind]}."
        )
    prompts = []
    for volume, *numbers in lines[1:]:
        try:
            number, z, *place = (int(value) for value in numbers)
        except ValueError:
            raise IntegrityError(
                f"A prompt file of {track} holds {numbers}; expected whole numbers."
            ) from None
        where = {"point_yx": tuple(place)} if kind == "point" else {"box_yx": tuple(place)}
        prompts.append(ObjectPrompt(volume=volume, object_id=number, z=z, **where))  # type: ignore[arg-type]
    return prompts


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())
