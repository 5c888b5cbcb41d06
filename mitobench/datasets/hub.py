"""Patches of splits as Hugging Face `datasets`, and back. The only module that imports that library."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.card import DatasetCard
from mitobench.datasets.manifest import load_manifest
from mitobench.datasets.registry import find_dataset
from mitobench.datasets.roots import data_root
from mitobench.datasets.split import Split, load_split
from mitobench.errors import BadInputError, FormatError, MissingExtraError
from mitobench.patches import Edge, Keep, PatchBatch, PatchDataset
from mitobench.patches.gathered import GatheredPatches
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
    hf = _library()
    if encoding not in ("image", "bytes"):
        raise BadInputError(f"encoding is {encoding!r}; expected 'image' or 'bytes'.")
    if encoding == "image" and len(patch_shape) != 2:
        raise BadInputError(
            f"patch_shape is {patch_shape}, but an image has two axes. Pass (y, x), or encoding='bytes'."
        )
    patches = PatchDataset(
        split, patch_shape=patch_shape, stride=stride, keep=keep, min_foreground=min_foreground, edge=edge
    )
    info = _info(split.card, split.split, _features(patches, encoding))
    options = [_FORMAT, split.manifest_sha256, patches.patch_shape, stride, keep, min_foreground, edge, encoding]
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
    hf = _library()
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


def decode_batch(rows: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Rows of encoding="bytes" with pixels as arrays; made for `Dataset.with_transform(decode_batch)`.

    Args:
        rows: Lists by column, as `Dataset[:8]` gives them.

    Returns:
        The same columns; "image" and "mask" become (n, 1, *patch_shape) uint8, "shape" is dropped.

    Raises:
        FormatError: The rows hold no raw pixels.
    """
    if "shape" not in rows:
        raise FormatError(
            f"The rows have the columns {', '.join(rows)} and no 'shape'. "
            "decode_batch reads to_hf(..., encoding='bytes'); keep that column."
        )
    shapes = {tuple(shape) for shape in rows["shape"]}
    if len(shapes) > 1:
        raise FormatError(f"The rows hold patches of the shapes {sorted(shapes)}; decode one shape at a time.")
    decoded = {name: values for name, values in rows.items() if name != "shape"}
    for name in {"image", "mask"} & set(rows):
        pixels = np.frombuffer(bytearray().join(rows[name]), np.uint8)
        decoded[name] = list(pixels.reshape(len(rows[name]), 1, *shapes.pop() if len(shapes) else ()))
    return decoded
