"""Patches of splits as Hugging Face `datasets`. The only module that imports that library."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.card import DatasetCard
from mitobench.datasets.hub_rows import PIXELS
from mitobench.datasets.manifest import load_manifest
from mitobench.datasets.registry import find_dataset
from mitobench.datasets.roots import data_root
from mitobench.datasets.split import Split, load_split
from mitobench.errors import BadInputError, FormatError, MissingExtraError
from mitobench.patches import Edge, Keep, PatchBatch, PatchDataset
from mitobench.replacing import replacing
from mitobench.segmenter import Progress, no_progress

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

Encoding = Literal["image", "bytes"]
"""How pixels are kept: PNG as `Image` features, which viewers show, or raw bytes, which load 50 times faster."""

# Part of the cache file's name: raise it whenever the same options write other bytes.
_FORMAT = 1
# Rows written at a time; a record batch of raw 256 x 256 pairs is 8 MB.
_ROWS = 64
# Threads that compress; more than a few only wait for the disk.
THREADS = 4
# Run lengths of filtered rows: three times as fast as zlib's default for EM, and no larger.
_PNG = {"level": 1, "strategy": 3}


def to_hf(
    split: Split,
    *,
    patch_shape: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    keep: Keep = "all",
    min_foreground: float = 0.0,
    edge: Edge = "shift",
    encoding: Encoding = "image",
    cache: Path | str | None = None,
    progress: Progress = no_progress,
) -> "datasets.Dataset":
    """The patches of a split as a Hugging Face dataset, memory-mapped from one Arrow file.

    Columns: "image" and "mask" (uint8, mask 1 = mitochondrion; no mask without labels), "volume", "origin"
    (z, y, x); with encoding="bytes" also "shape", the patch shape. The card's licence and citation stand in
    `info`. The file is written once per split version and set of options, then reused.

    Args:
        split: As from `load_split`.
        patch_shape: (y, x); (z, y, x) needs encoding="bytes".
        stride: Step of the grid; None means edge to edge.
        keep: "all" patches or those with "foreground".
        min_foreground: With keep="foreground", least fraction of such voxels.
        edge: What happens where the stride leaves a rest, see `grid_origins`.
        encoding: "image" for `Image` features, PNG inside; "bytes" for raw pixels, see `HubPatches`.
        cache: Folder of Arrow files; None = "hub" in the data root.
        progress: Told about patches written.

    Raises:
        MissingExtraError: Hugging Face `datasets` is not installed.
        BadInputError: An unknown encoding, a 3-D patch as image, or options that `PatchDataset` refuses.
        ShapeError: A patch that does not fit.
    """
    hf = library()
    patches = PatchDataset(
        split, patch_shape=patch_shape, stride=stride, keep=keep, min_foreground=min_foreground, edge=edge
    )
    info = info_of(split.card, split.split, features_of(patches, encoding))
    options = [
        _FORMAT,
        split.manifest_sha256,
        patches.patch_shape,
        stride,
        keep,
        min_foreground,
        edge,
        encoding,
    ]
    key = hashlib.sha256(json.dumps(options).encode()).hexdigest()[:16]
    folder = data_root() / "hub" if cache is None else Path(cache)
    path = folder / f"{split.dataset}@{split.version}.{split.split}.{key}.arrow"
    if not path.exists():
        _write(path, patches, info.features.arrow_schema, encoding, progress)
    return hf.Dataset.from_file(str(path), info=info, split=hf.NamedSplit(split.split))


def load_hf(
    name: str,
    *,
    patch_shape: tuple[int, ...] = (256, 256),
    version: int | None = None,
    root: Path | str | None = None,
    download: bool = True,
    progress: Progress = no_progress,
    **options: Any,
) -> "datasets.DatasetDict":
    """Every labelled split of a dataset as patches.

    Args:
        name: Dataset key, such as "vnc".
        patch_shape: (y, x), or (z, y, x) with encoding="bytes".
        version: Version of the split manifest; None = newest.
        root: Data root; None = MITOBENCH_DATA, else the user's cache folder.
        download: Whether the network may be used.
        progress: Told about bytes, slices and patches.
        options: Further options of `to_hf`.

    Returns:
        {"train", "val", "test": Dataset}.

    Raises:
        MissingExtraError: Hugging Face `datasets` is not installed.
        UnknownNameError: No such dataset or version.
        DatasetNotFoundError: It is not on disk and may not be downloaded.
    """
    hf = library()
    dataset = find_dataset(name)
    manifest = load_manifest(dataset.card.key, version, dataset.splits_folder)
    options = {"cache": data_root(root) / "hub", "patch_shape": patch_shape, "progress": progress, **options}
    names = [split for split in manifest.splits if split != "unlabelled"]
    loaded = {
        split: load_split(
            name, split, version=manifest.version, root=root, download=download, progress=progress
        )
        for split in names
    }
    return hf.DatasetDict({split: to_hf(volumes, **options) for split, volumes in loaded.items()})


def library() -> Any:
    """Hugging Face `datasets`.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import datasets
    except ImportError:
        raise MissingExtraError("datasets", "hub", "Handing patches to Hugging Face") from None
    return datasets


def features_of(patches: PatchDataset, encoding: Encoding) -> "datasets.Features":
    """The columns of patches and what they hold.

    Raises:
        BadInputError: An unknown encoding, or a 3-D patch as image.
    """
    hf = library()
    if encoding not in ("image", "bytes"):
        raise BadInputError(f"encoding is {encoding!r}; expected 'image' or 'bytes'.")
    if encoding == "image" and len(patches.patch_shape) != 2:
        raise BadInputError(
            f"patch_shape is {patches.patch_shape}, but an image has two axes. "
            "Pass (y, x), or encoding='bytes'."
        )
    pixels = hf.Image() if encoding == "image" else hf.Value("binary")
    features = {
        "image": pixels,
        "volume": hf.Value("string"),
        "origin": hf.Sequence(hf.Value("int64"), length=3),
    }
    if patches.has_masks:
        features["mask"] = pixels
    if encoding == "bytes":
        features["shape"] = hf.Sequence(hf.Value("int32"), length=len(patches.patch_shape))
    order = ("image", "mask", "shape", "volume", "origin")
    return hf.Features({name: features[name] for name in order if name in features})


def open_saved(folder: Path) -> "datasets.Dataset":
    """A dataset that was written by `Dataset.save_to_disk`.

    Raises:
        MissingExtraError: Hugging Face `datasets` is not installed.
        FormatError: Nothing of that kind is there, or several splits.
    """
    hf = library()
    try:
        found = hf.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise FormatError(
            f"{folder} is no dataset saved by Hugging Face ({error}). Write it with `dataset.save_to_disk`."
        ) from None
    if not isinstance(found, hf.Dataset):
        raise FormatError(f"{folder} holds the splits {', '.join(found)}. Give the folder of one.")
    return found


def info_of(card: DatasetCard, split: str, features: "datasets.Features") -> "datasets.DatasetInfo":
    """What the card says, in the words of Hugging Face."""
    return library().DatasetInfo(
        description="\n".join([f"{card.title}, {split} split, cut into patches.", *card.known_flaws]),
        citation=card.citation,
        homepage=card.sources[0] if card.sources else "",
        license=f"{card.licence.id}, {card.licence.url}",
        features=features,
    )


def _write(
    path: Path, patches: PatchDataset, schema: "pa.Schema", encoding: Encoding, progress: Progress
) -> None:
    """Stream the patches into an Arrow file that appears under its name only when it is whole."""
    import pyarrow as pa

    with (
        replacing(path) as unfinished,
        pa.OSFile(str(unfinished), "wb") as sink,
        pa.ipc.new_stream(sink, schema) as writer,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        for start in range(0, len(patches), _ROWS):
            batch = patches.gather(range(start, min(start + _ROWS, len(patches))))
            columns = columns_of(batch, encoding, threads)
            arrays = [pa.array(columns[field.name], field.type) for field in schema]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            progress(start + len(batch["volume"]), len(patches), path.name)


def columns_of(batch: PatchBatch, encoding: Encoding, threads: ThreadPoolExecutor) -> dict[str, list[Any]]:
    """A batch as columns of Arrow values, compressed where the encoding says so."""
    shape = list(batch["image"].shape[2:])
    columns: dict[str, list[Any]] = {
        "volume": batch["volume"],
        "origin": batch["origin"].tolist(),
        "shape": [shape] * len(batch["volume"]),
    }
    pixels: dict[str, Any] = {name: values for name, values in batch.items() if name in PIXELS}
    for name, values in pixels.items():
        if encoding == "bytes":
            columns[name] = [patch.tobytes() for patch in values]
        else:
            columns[name] = [{"bytes": png, "path": None} for png in threads.map(_png, values[:, 0])]
    return columns


def _png(image: NDArray[np.uint8]) -> bytes:
    from imagecodecs import png_encode

    return bytes(png_encode(image, **_PNG))
