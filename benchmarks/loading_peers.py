"""The contenders of loading.py: each way of getting patches, and of putting them back, behind one call.

A loader is a function (files, places, patch, workers) -> callable that yields the number of patches of each
batch; a stitcher is a function (volume, patch, step) -> volume. Names in NEEDS have to be importable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 32  # set by loading.py for the task at hand
Batches = Callable[[], Iterator[int]]
Loader = Callable[[Path, list[list[int]], tuple[int, int, int], int], Batches]

LOADERS: dict[str, Loader] = {}
HUB: dict[str, Loader] = {}
GRIDS: dict[str, Callable[[Any, Any], Any]] = {}
STITCHERS: dict[str, Callable[[Any, tuple[int, ...], tuple[int, ...]], Any]] = {}
NEEDS: dict[str, tuple[str, ...]] = {}
WRITERS: dict[str, Callable[[Path, Any, Any], None]] = {}
ONLY_WORKERS: dict[str, tuple[int, ...]] = {}


def entry(
    table: dict[str, Any], name: str, *needs: str, workers: tuple[int, ...] = (0, 2)
) -> Callable[[Any], Any]:
    """Put a function into a table of contenders."""

    def put(function: Any) -> Any:
        table[name], NEEDS[name], ONLY_WORKERS[name] = function, needs, workers
        return function

    return put


def arrays(files: Path, *, in_memory: bool = False) -> tuple[Any, Any]:
    """Image and labels, mapped or read."""
    image, labels = (
        np.load(files / f"{name}.npy", mmap_mode=None if in_memory else "r") for name in ("image", "labels")
    )
    return image, labels


def box(place: list[int], patch: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    z, y, x = (slice(start, start + length) for start, length in zip(place, patch, strict=True))
    return z, y, x


def count(loader: Any, size: Callable[[Any], int]) -> Batches:
    def go() -> Iterator[int]:
        for batch in loader:
            yield size(batch)

    return go


def torch_loader(dataset: Any, workers: int, **options: Any) -> Any:
    from torch.utils.data import DataLoader

    options = {"batch_size": BATCH, **options}
    return DataLoader(dataset, num_workers=workers, persistent_workers=workers > 0, **options)


# ------------------------------------------------------------------------------------------------ mitobench


def our_patches(files: Path, places: list[list[int]], patch: tuple[int, int, int]) -> Any:
    from mitobench.patches import PatchDataset
    from mitobench.volume import Volume

    image, labels = arrays(files)
    volume = Volume(name="a", image=image, labels=labels, label_kind="semantic", voxel_size_nm=(50, 4.6, 4.6))
    shape = patch[1:] if patch[0] == 1 else patch
    table = np.column_stack([np.zeros(len(places), int), places])
    return PatchDataset([volume], patch_shape=shape, table=table)


@entry(LOADERS, "mitobench: DataLoader, collate", "mitobench", "torch")
def _(files: Path, places: list[list[int]], patch: tuple[int, int, int], workers: int) -> Batches:
    patches = our_patches(files, places, patch)
    return count(torch_loader(patches, workers, collate_fn=patches.collate), lambda b: len(b["image"]))


@entry(LOADERS, "mitobench: DataLoader, torch's own collate", "mitobench", "torch")
def _(files: Path, places: list[list[int]], patch: tuple[int, int, int], workers: int) -> Batches:
    return count(torch_loader(our_patches(files, places, patch), workers), lambda b: len(b["image"]))


@entry(LOADERS, "mitobench: DataLoader over PatchStream(threads)", "mitobench", "torch")
def _(files: Path, places: list[list[int]], patch: tuple[int, int, int], workers: int) -> Batches:
    from torch.utils.data import DataLoader

    from mitobench.patches import PatchStream

    stream = PatchStream(our_patches(files, places, patch), BATCH, shuffle=False, threads=workers)
    return count(DataLoader(stream, batch_size=None, collate_fn=stream.collate), lambda b: len(b["image"]))


@entry(LOADERS, "mitobench: batches(threads)", "mitobench")
def _(files: Path, places: list[list[int]], patch: tuple[int, int, int], workers: int) -> Batches:
    patches = our_patches(files, places, patch)
    return lambda: (len(b["image"]) for b in patches.batches(BATCH, shuffle=False, threads=workers))


# ------------------------------------------------------------------------------------------------ peers: loading


@entry(LOADERS, "limit: windows copied out of RAM", workers=(0,))
def _(files: Path, places: list[list[int]], patch: tuple[int, int, int], workers: int) -> Batches:
    sources = arrays(files, in_memory=True)
    targets = [np.empty(patch, np.uint8) for _ in sources]

    def go() -> Iterator[int]:
        for start in range(0, len(places), BATCH):
            for place in places[start : start + BATCH]:
                for source, target in zip(sources, targets, strict=True):
                    np.copyto(target, source[box(place, patch)])
            yield len(places[start : start + BATCH])

    return go


class Windows:
    """One sample at a time, the usual map-style dataset; `open_pair` is called once per process."""

    def __init__(
        self, open_pair: Callable[[], tuple[Any, Any]], places: list[list[int]], patch: tuple[int, ...]
    ) -> None:
        self.open_pair, self.places, self.patch, self.pair = open_pair, places, patch, None

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        import torch

        if self.pair is None:
            self.pair = self.open_pair()
        where = box(self.places[index], self.patch)
        image, labels = (torch.from_numpy(np.ascontiguousarray(read(a, where))) for a in self.pair)
        return image, labels


def read(source: Any, where: tuple[slice, ...]) -> Any:
    got = source[where]
    return got.read().result() if hasattr(got, "read") else got


def map_style(name: str, open_pair: Callable[[Path], tuple[Any, Any]], *needs: str) -> None:
    @entry(LOADERS, name, "torch", *needs)
    def _(files: Path, places: list[list[int]], patch: tuple[int, int, int], workers: int) -> Batches:
        dataset = Windows(lambda: open_pair(files), places, patch)
        return count(torch_loader(dataset, workers), lambda b: len(b[0]))


def tensorstore_pair(files: Path) -> tuple[Any, Any]:
    import tensorstore

    context = tensorstore.Context({"cache_pool": {"total_bytes_limit": 0}})
    image, labels = (
        tensorstore.open(
            {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{files}/raw.zarr/{name}/"}},
            context=context,
            open=True,
            read=True,
        ).result()
        for name in ("image", "labels")
    )
    return image, labels


def zarr_pair(files: Path) -> tuple[Any, Any]:
    import zarr

    image, labels = (zarr.open_array(files / "zstd.zarr" / name, mode="r") for name in ("image", "labels"))
    return image, labels


def hdf5_pair(files: Path) -> tuple[Any, Any]:
    import h5py

    file = h5py.File(files / "volume.h5", "r")
    return file["image"], file["labels"]


map_style("map-style over npy memmap", arrays)
map_style("map-style over numpy in RAM", lambda files: arrays(files, in_memory=True))
map_style("h5py, contiguous", hdf5_pair, "h5py")
map_style("TensorStore, zarr v3 raw 1x256x256", tensorstore_pair, "tensorstore", "zarr")
map_style("zarr-python, zstd 16x128x128", zarr_pair, "zarr")


@entry(LOADERS, "batchgenerators", "batchgenerators")
def _(files: Path, places: list[list[int]], patch: tuple[int, int, int], workers: int) -> Batches:
    from batchgenerators.dataloading.data_loader import SlimDataLoaderBase
    from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
    from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter

    sources = [np.asarray(a) for a in arrays(files)]

    class Batches_(SlimDataLoaderBase):
        start = 0

        def generate_train_batch(self) -> dict[str, Any]:
            batch = [np.empty((BATCH, *patch), np.uint8) for _ in sources]
            for k in range(BATCH):
                where = box(places[(self.start + k) % len(places)], patch)
                for target, source in zip(batch, sources, strict=True):
                    target[k] = source[where]
            self.start += BATCH
            return {"data": batch[0], "seg": batch[1]}

    made = Batches_(None, BATCH)
    stream = (
        MultiThreadedAugmenter(made, None, workers, 2, None)
        if workers
        else SingleThreadedAugmenter(made, None)
    )
    return lambda: (len(next(stream)["data"]) for _ in range(len(places) // BATCH))


def torch_em_loader(name: str, in_memory: bool, plain: bool) -> None:
    @entry(LOADERS, name, "torch_em", "tifffile")
    def _(files: Path, places: list[list[int]], patch: tuple[int, int, int], workers: int) -> Batches:
        import torch
        import torch_em

        if in_memory:
            image, labels = ([a] for a in arrays(files, in_memory=True))
        else:
            image, labels = (str(files / f"{n}.tif") for n in ("image", "labels"))
        off = {"dtype": torch.uint8, "label_dtype": torch.uint8, "raw_transform": _same, "transform": _both}
        loader = torch_em.default_segmentation_loader(
            image,
            None,
            labels,
            None,
            batch_size=BATCH,
            patch_shape=patch,
            ndim=2 if patch[0] == 1 else 3,
            num_workers=workers,
            n_samples=len(places),
            is_seg_dataset=None if in_memory else True,
            persistent_workers=workers > 0,
            **(off if plain else {}),
        )
        return count(loader, lambda b: len(b[0]))


def _same(x: Any) -> Any:
    return x


def _both(*x: Any) -> Any:
    return x


torch_em_loader("torch_em, in RAM, transforms and checks off", True, True)
torch_em_loader("torch_em, TIFF, transforms and checks off", False, True)
torch_em_loader("torch_em, TIFF, as documented", False, False)


def monai_loader(name: str, kind: str) -> None:
    @entry(LOADERS, name, "monai")
    def _(files: Path, places: list[list[int]], patch: tuple[int, int, int], workers: int) -> Batches:
        from monai import transforms as t
        from monai.data import CacheDataset, GridPatchDataset, PatchIterd, list_data_collate

        keys = ["image", "label"]
        read_in: list[Any] = [
            t.LoadImaged(keys, reader="NumpyReader", dtype=np.uint8),
            t.EnsureChannelFirstd(keys, channel_dim="no_channel"),
        ]
        item = {"image": str(files / "image.npy"), "label": str(files / "labels.npy")}
        if kind == "grid":
            patches = GridPatchDataset(
                [t.Compose(read_in)(item)], PatchIterd(keys, patch_size=patch), with_coordinates=False
            )
            return count(_plain_loader(patches, workers), lambda b: len(b["image"]))
        crop: list[Any] = [t.RandSpatialCropSamplesd(keys, patch, BATCH, random_size=False)]
        if kind == "posneg":
            found = {"fg_indices_key": "label_fg_indices", "bg_indices_key": "label_bg_indices"}
            crop = [
                t.FgBgToIndicesd("label"),
                t.RandCropByPosNegLabeld(keys, "label", patch, pos=1, neg=1, num_samples=BATCH, **found),
            ]
        cached = CacheDataset([item], t.Compose(read_in + crop), progress=False, copy_cache=kind != "nocopy")

        class Again:
            def __len__(self) -> int:
                return len(places) // BATCH

            def __getitem__(self, index: int) -> Any:
                return cached[0]

        loader = torch_loader(Again(), workers, batch_size=1, collate_fn=list_data_collate)
        return count(loader, lambda b: len(b["image"]))


def _plain_loader(dataset: Any, workers: int) -> Any:
    from monai.data import DataLoader

    return DataLoader(dataset, batch_size=BATCH, num_workers=workers)


monai_loader("MONAI CacheDataset + random crop, copies off", "nocopy")
monai_loader("MONAI CacheDataset + random crop", "crop")
monai_loader("MONAI CacheDataset + pos/neg crop", "posneg")
monai_loader("MONAI GridPatchDataset", "grid")


def torchio_loader(name: str, grid: bool) -> None:
    @entry(LOADERS, name, "torchio")
    def _(files: Path, places: list[list[int]], patch: tuple[int, int, int], workers: int) -> Batches:
        import torch
        import torchio as tio

        image, labels = (torch.from_numpy(a)[None] for a in arrays(files, in_memory=True))
        subject = tio.Subject(image=tio.ScalarImage(tensor=image), label=tio.LabelMap(tensor=labels))
        if grid:
            loader = tio.SubjectsLoader(
                tio.GridSampler(subject, patch), batch_size=BATCH, num_workers=workers
            )
        else:
            n = 256 if patch[0] == 1 else 32
            many = tio.SubjectsDataset([subject] * 8)
            queue = tio.Queue(many, n, n, tio.UniformSampler(patch), num_workers=workers)
            loader = tio.SubjectsLoader(queue, batch_size=BATCH, num_workers=0)
        return count(loader, lambda b: len(b["image"][tio.DATA]))


torchio_loader("torchio GridSampler", True)
torchio_loader("torchio Queue, uniform", False)
