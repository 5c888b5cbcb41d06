"""A dataset in a form that other tools read, with licence, citation and split hash beside it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from mitobench.arrays.group_writers import write_hdf5, write_zarr_group
from mitobench.arrays.hashes import ArraySource
from mitobench.arrays.writers import write_nifti, write_npy, write_tiff
from mitobench.datasets.card import MAIN_TARGET
from mitobench.datasets.export_folder import Piece, write_folder
from mitobench.datasets.export_notes import notes, size_category
from mitobench.datasets.manifest import load_manifest
from mitobench.datasets.registry import find_dataset
from mitobench.datasets.split import Split, load_split
from mitobench.errors import BadInputError, UnknownNameError
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Volume

if TYPE_CHECKING:
    from mitobench.datasets.hub import Encoding

Form = Literal["parquet", "hf", "zarr", "hdf5", "npy", "tiff", "nifti"]
"""parquet, hf: patches for Hugging Face `datasets`. The others: whole volumes."""

FORMS: tuple[Form, ...] = ("parquet", "hf", "zarr", "hdf5", "npy", "tiff", "nifti")
_FILES = MappingProxyType(
    {"npy": (".npy", write_npy), "tiff": (".tif", write_tiff), "nifti": (".nii", write_nifti)}
)
"""{form: (suffix, writer of one array)}."""
_GROUPS = MappingProxyType({"zarr": (".zarr", write_zarr_group), "hdf5": (".h5", write_hdf5)})
"""{form: (suffix, writer of all arrays of a volume)}."""
_FORMAT = 1
_SHARD_MB = 500
_MB = 10**6

_HOW_TO = MappingProxyType(
    {
        "parquet": 'import datasets\n\ndata = datasets.load_dataset("{out}")',
        "hf": 'import datasets\n\ndata = datasets.load_from_disk("{out}")',
        "zarr": 'import zarr\n\nimage = zarr.open_group("{out}/{volume}.zarr", mode="r")["image"]',
        "hdf5": 'import h5py\n\nimage = h5py.File("{out}/{volume}.h5")["image"]',
        "npy": 'import numpy as np\n\nimage = np.load("{out}/{volume}.image.npy", mmap_mode="r")',
        "tiff": 'import tifffile\n\nimage = tifffile.memmap("{out}/{volume}.image.tif", mode="r")',
        "nifti": 'import nibabel\n\nimage = nibabel.load("{out}/{volume}.image.nii").dataobj  # (x, y, z)',
    }
)
_BYTES_HOW_TO = (
    "\n\nfrom mitobench.datasets.hub_rows import HubPatches\n\npatches = HubPatches(data[{split!r}])"
)


def export_dataset(
    name: str,
    *,
    to: Form,
    out: Path | str,
    splits: Sequence[str] | None = None,
    target: str = MAIN_TARGET,
    version: int | None = None,
    root: Path | str | None = None,
    download: bool = True,
    progress: Progress = no_progress,
    **options: Any,
) -> Path:
    """Write splits of a dataset into a folder that other tools read.

    The folder appears under its name only when it is whole. A run that was killed goes on where it stopped
    when it is started again with the same options.

    Args:
        name: Dataset key.
        to: "parquet": shards of patches that `datasets.load_dataset` reads and the hub shows. "hf": the same as
            Arrow files for `datasets.load_from_disk`. "zarr": a sharded group per volume. "hdf5": a file per
            volume with one dataset per array. "npy", "tiff", "nifti": a file per volume and kind of array.
        out: Folder to make; it must not exist.
        splits: Names of splits; None = all with labels.
        target: Whose labels; the card lists others than "mitochondrion".
        version: Version of the split manifest; None = newest.
        root: Data root; None = MITOBENCH_DATA, else the user's cache folder.
        download: Whether the network may be used.
        progress: Told about bytes, slices and patches.
        options: For parquet and hf: patch_shape or patch_shape_nm (256 x 256 pixels when neither is given), stride,
            keep, min_foreground, edge as in `PatchDataset`; encoding, "image" (PNG, seen by viewers; for parquet)
            or "bytes" (raw pixels, many times as fast; for hf); shard_mb, pixels in a file before packing.

    Returns:
        The folder.

    Raises:
        UnknownNameError: No such dataset, split, target, version or form.
        BadInputError: `out` is there already, the disk is too full, or options that do not fit the form.
        MissingExtraError: Hugging Face `datasets` is not installed, for parquet and hf.
    """
    if to not in FORMS:
        raise UnknownNameError("form of export", to, FORMS)
    dataset = find_dataset(name)
    manifest = load_manifest(dataset.card.key, version, dataset.splits_folder)
    names = (
        [s for s in manifest.splits if s != "unlabelled"] if splits is None else list(dict.fromkeys(splits))
    )
    for split in names:
        manifest.boxes(split)  # refuses unknown names before anything is fetched
    where: dict[str, Any] = {
        "version": manifest.version,
        "root": root,
        "download": download,
        "progress": progress,
    }
    loaded = [load_split(name, split, target=target, **where) for split in names]
    return export_splits(loaded, to=to, out=out, target=target, progress=progress, **options)


def export_splits(
    splits: Sequence[Split],
    *,
    to: Form,
    out: Path | str,
    target: str = MAIN_TARGET,
    progress: Progress = no_progress,
    **options: Any,
) -> Path:
    """Write splits of one dataset and version that are already open; `target` is what they were opened with.

    All else is as in `export_dataset`.
    """
    if not splits:
        raise BadInputError("There is no split to export; expected at least one.")
    folder = Path(out)
    if to in ("parquet", "hf"):
        pieces, front_matter, options, n_bytes = _patch_pieces(splits, to, **options)
    elif options:
        raise BadInputError(
            f"{', '.join(options)} cut patches, but {to!r} is a form of whole volumes. "
            "Leave them out, or export to 'parquet' or 'hf'."
        )
    else:
        pieces = [
            piece for split in splits for volume in split for piece in _volume_pieces(split, volume, to)
        ]
        front_matter = {}
        n_bytes = sum(array.nbytes for split in splits for v in split for array in _arrays(v).values())
    plan = {
        "format": _FORMAT,
        "dataset": splits[0].dataset,
        "split_version": splits[0].version,
        "split_manifest_sha256": splits[0].manifest_sha256,
        "label_version": splits[0].manifest.label_version,
        "target": target,
        "splits": [split.split for split in splits],
        "to": to,
        "options": options,
        "licence": splits[0].card.licence.id,
        "non_commercial": splits[0].card.licence.non_commercial,
        "mitobench": _version(),
        "pieces": [piece.path for piece in pieces],
    }
    how_to = _HOW_TO[to].format(out=folder.name, volume=f"{splits[0].split}/{splits[0][0].name}")
    if options.get("encoding") == "bytes":
        how_to += _BYTES_HOW_TO.format(split=splits[0].split)
    texts = notes(splits, plan=plan, front_matter=front_matter, how_to=how_to)
    return write_folder(folder, plan=plan, pieces=pieces, notes=texts, n_bytes=n_bytes, progress=progress)


def _patch_pieces(
    splits: Sequence[Split],
    to: str,
    *,
    encoding: "Encoding | None" = None,
    shard_mb: int = _SHARD_MB,
    **cut: Any,
) -> tuple[list[Piece], Mapping[str, Any], dict[str, Any], int]:
    from mitobench.datasets.hub_shards import card_front_matter, dataset_dict, shards_of

    if shard_mb < 1:
        raise BadInputError(f"shard_mb is {shard_mb}; expected at least 1.")
    if cut.get("patch_shape") is None and cut.get("patch_shape_nm") is None:
        cut["patch_shape"] = (256, 256)
    encoding = encoding or ("image" if to == "parquet" else "bytes")
    options = {"encoding": encoding, "shard_mb": shard_mb, **cut}
    planned = [shards_of(split, shard_bytes=shard_mb * _MB, encoding=encoding, **cut) for split in splits]
    pieces = []
    for shards in planned:
        for k in range(shards.count):
            if to == "parquet":
                path = "data/" + shards.file(k, prefix=shards.name, suffix="parquet")
                pieces.append(Piece(path=path, write=partial(shards.write_parquet, k)))
            else:
                path = f"{shards.name}/" + shards.file(k, prefix="data", suffix="arrow")
                pieces.append(Piece(path=path, write=partial(shards.write_arrow, k)))
        if to == "hf":
            pieces += shards.state_pieces()
    if to == "hf":
        pieces.append(dataset_dict(planned))
    front_matter = {
        "size_categories": [size_category(sum(len(shards.patches) for shards in planned))],
        **card_front_matter(planned, parquet=to == "parquet"),
    }
    return pieces, front_matter, options, sum(shards.n_bytes for shards in planned)


def _arrays(volume: Volume) -> dict[str, Any]:
    found = {"image": volume.image, "labels": volume.labels, "ignore": volume.ignore}
    return {what: array for what, array in found.items() if array is not None}


def _volume_pieces(split: Split, volume: Volume, to: str) -> list[Piece]:
    if to in _GROUPS:
        suffix, write_group = _GROUPS[to]
        return [
            Piece(
                path=f"{split.split}/{volume.name}{suffix}",
                write=partial(_write_group, write_group, split, volume),
            )
        ]
    suffix, write = _FILES[to]

    def one(array: ArraySource, path: Path, progress: Progress) -> None:
        write(path, array, voxel_size_nm=volume.voxel_size_nm, progress=progress)

    return [
        Piece(path=f"{split.split}/{volume.name}.{what}{suffix}", write=partial(one, array))
        for what, array in _arrays(volume).items()
    ]


def _write_group(
    write: Callable[..., None], split: Split, volume: Volume, path: Path, progress: Progress
) -> None:
    attributes = {
        "dataset": split.dataset,
        "split": split.split,
        "split_version": split.version,
        "split_manifest_sha256": split.manifest_sha256,
        "volume": volume.name,
        "origin": list(volume.origin),
        "label_kind": volume.label_kind,
        "licence": split.card.licence.id,
        "non_commercial": split.card.licence.non_commercial,
        "citation": split.card.citation,
    }
    write(
        path,
        _arrays(volume),
        voxel_size_nm=volume.voxel_size_nm,
        attributes={"mitobench": attributes},
        progress=progress,
    )


def _version() -> str:
    from mitobench import __version__

    return __version__
