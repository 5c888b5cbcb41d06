"""More contenders of loading.py: rows of Hugging Face datasets, whole grids, and stitching."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from loading_peers import (
    BATCH,
    GRIDS,
    HUB,
    STITCHERS,
    Batches,
    arrays,
    count,
    entry,
    our_patches,
    torch_loader,
)

FLAT = (1, 256, 256)


def grid_places(shape: tuple[int, ...], patch: tuple[int, ...]) -> list[list[int]]:
    axes = [np.arange(0, n - p + 1, p) for n, p in zip(shape, patch, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).tolist()


# ------------------------------------------------------------------------------------------------ Hugging Face


def cells(files: Path) -> Iterator[tuple[Any, Any]]:
    image, labels = arrays(files)
    for z, y, x in grid_places(image.shape, FLAT):
        yield tuple(np.ascontiguousarray(a[z, y : y + 256, x : x + 256]) for a in (image, labels))


def open_rows(files: Path, kind: str) -> Any:
    """The grid patches as a dataset on disk, written on the first call."""
    import datasets as hf

    hf.disable_progress_bars()
    folder = files / f"hub-{kind}"
    if kind == "ours":
        return _our_rows(files, folder.with_suffix(".arrow"))
    if not folder.exists():
        if kind == "png":
            features = hf.Features(image=hf.Image(), mask=hf.Image())
            rows = ({"image": _png(a), "mask": _png(b)} for a, b in cells(files))
        else:
            features = hf.Features({name: hf.Array2D((256, 256), "uint8") for name in ("image", "mask")})
            rows = ({"image": a, "mask": b} for a, b in cells(files))
        many = list(rows)
        columns = {name: [row[name] for row in many] for name in ("image", "mask")}
        hf.Dataset.from_dict(columns, features=features).save_to_disk(folder)
    return hf.load_from_disk(folder)


def _our_rows(files: Path, path: Path) -> Any:
    import datasets as hf

    from mitobench.datasets import hub
    from mitobench.segmenter import no_progress

    patches = our_patches(files, grid_places(arrays(files)[0].shape, FLAT), FLAT)
    features = hub.features_of(patches, "bytes")
    if not path.exists():
        hub._write(path, patches, features.arrow_schema, "bytes", no_progress)
    return hf.Dataset.from_file(str(path), info=hf.DatasetInfo(features=features))


def _png(array: Any) -> dict[str, Any]:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


@entry(HUB, "mitobench: HubPatches, DataLoader, collate", "mitobench", "datasets", "torch")
def _(files: Path, places: Any, patch: Any, workers: int) -> Batches:
    from mitobench.datasets.hub_rows import HubPatches

    patches = HubPatches(open_rows(files, "ours"))
    return count(
        torch_loader(patches, workers, shuffle=True, collate_fn=patches.collate), lambda b: len(b["image"])
    )


@entry(HUB, "mitobench: DataLoader over PatchStream(HubPatches)", "mitobench", "datasets", "torch")
def _(files: Path, places: Any, patch: Any, workers: int) -> Batches:
    from torch.utils.data import DataLoader

    from mitobench.datasets.hub_rows import HubPatches
    from mitobench.patches import PatchStream

    stream = PatchStream(HubPatches(open_rows(files, "ours")), BATCH, threads=workers)
    return count(DataLoader(stream, batch_size=None, collate_fn=stream.collate), lambda b: len(b["image"]))


@entry(HUB, "mitobench: HubPatches.batches(threads)", "mitobench", "datasets")
def _(files: Path, places: Any, patch: Any, workers: int) -> Batches:
    from mitobench.datasets.hub_rows import HubPatches

    patches = HubPatches(open_rows(files, "ours"))
    return lambda: (len(b["volume"]) for b in patches.batches(BATCH, threads=workers))


@entry(HUB, "mitobench: with_transform(decode_batch)", "mitobench", "datasets", "torch")
def _(files: Path, places: Any, patch: Any, workers: int) -> Batches:
    from mitobench.datasets.hub_rows import decode_batch

    rows = open_rows(files, "ours").with_transform(decode_batch)
    return count(torch_loader(rows, workers, shuffle=True), lambda b: len(b["image"]))


@entry(HUB, "memory map: the same rows as patches of the volume, PatchDataset.batches", "mitobench")
def _(files: Path, places: Any, patch: Any, workers: int) -> Batches:
    patches = our_patches(files, grid_places(arrays(files)[0].shape, FLAT), FLAT)
    return lambda: (len(b["volume"]) for b in patches.batches(BATCH, threads=workers))


@entry(HUB, "limit: one frombuffer of the whole column, fancy index", "mitobench", "datasets", workers=(0,))
def _(files: Path, places: Any, patch: Any, workers: int) -> Batches:
    table = open_rows(files, "ours").data.table.combine_chunks()
    pixels = [
        np.frombuffer(table.column(n).chunk(0).buffers()[2], np.uint8).reshape(-1, 1, 256, 256)
        for n in ("image", "mask")
    ]

    def go() -> Iterator[int]:
        order = np.random.default_rng(0).permutation(len(pixels[0]))
        for start in range(0, len(order), BATCH):
            image, _ = (a[order[start : start + BATCH]] for a in pixels)
            yield len(image)

    return go


def hub_peer(name: str, kind: str, form: str) -> None:
    @entry(HUB, name, "datasets", "torch")
    def _(files: Path, places: Any, patch: Any, workers: int) -> Batches:
        import torch

        rows = open_rows(files, kind)
        if form == "uint8":
            rows = rows.with_format("torch", dtype=torch.uint8)
        elif form != "python":
            rows = rows.with_format(form)
        options = {"collate_fn": _stack_lists} if form == "python" else {}
        return count(torch_loader(rows, workers, shuffle=True, **options), lambda b: len(b["image"]))


def _stack_lists(rows: list[dict[str, Any]]) -> dict[str, Any]:
    import torch

    return {
        n: torch.stack([torch.from_numpy(np.array(row[n], np.uint8)) for row in rows])
        for n in ("image", "mask")
    }


hub_peer("Array2D, torch format, uint8", "array2d", "uint8")
hub_peer("Array2D, torch format", "array2d", "torch")
hub_peer("Array2D, Python lists", "array2d", "python")
hub_peer("Image (PNG), torch format", "png", "torch")
hub_peer("Image (PNG), PIL", "png", "python")


# ------------------------------------------------------------------------------------------------ whole grids


@entry(GRIDS, "mitobench", "mitobench")
def _(image: Any, labels: Any) -> Any:
    from mitobench.patches import PatchDataset
    from mitobench.volume import Volume

    volume = Volume(name="a", image=image, labels=labels, label_kind="semantic", voxel_size_nm=(50, 4.6, 4.6))
    patches = PatchDataset([volume], patch_shape=(256, 256), keep="foreground")
    batch = patches.gather(range(len(patches)))
    return batch["image"], batch["mask"]


@entry(GRIDS, "patchify per slice, then filter", "patchify")
def _(image: Any, labels: Any) -> Any:
    from patchify import patchify

    kept: list[Any] = []
    for z in range(len(image)):
        pairs = [patchify(a[z], (256, 256), step=256).reshape(-1, 256, 256) for a in (image, labels)]
        kept += [(a, b) for a, b in zip(*pairs, strict=True) if b.max() != 0]
    return tuple(np.array([pair[k] for pair in kept]) for k in (0, 1))


@entry(GRIDS, "MONAI GridPatch, then filter", "monai")
def _(image: Any, labels: Any) -> Any:
    from monai.transforms import GridPatch

    cut, kept = GridPatch(patch_size=(256, 256)), []
    for z in range(len(image)):
        a, b = (np.asarray(cut(source[z][None]))[:, 0] for source in (image, labels))
        keep = b.reshape(len(b), -1).any(1)
        kept.append((a[keep], b[keep]))
    return tuple(np.concatenate([pair[k] for pair in kept]) for k in (0, 1))


@entry(GRIDS, "torchio GridSampler, then filter", "torchio")
def _(image: Any, labels: Any) -> Any:
    import torch
    import torchio as tio

    a, b = (torch.from_numpy(source)[None] for source in (image, labels))
    subject = tio.Subject(image=tio.ScalarImage(tensor=a), label=tio.LabelMap(tensor=b))
    pieces = (
        tuple(piece[name].data.numpy()[0, 0] for name in ("image", "label"))
        for piece in tio.GridSampler(subject, FLAT)
    )
    kept = [pair for pair in pieces if pair[1].any()]
    return tuple(np.array([pair[k] for pair in kept]) for k in (0, 1))


# ------------------------------------------------------------------------------------------------ stitching


def ours(volume: Any, patch: tuple[int, ...], step: tuple[int, ...], **options: Any) -> Any:
    from mitobench.patches import cut_patches, grid_origins, stitch_patches

    origins = grid_origins(volume.shape, patch_shape=patch, stride=step)
    # The copy into one buffer stands for what a network returns, patch after patch.
    buffer = np.empty((1, *patch), volume.dtype)
    pieces = (cut_patches(volume, [place], patch_shape=patch, out=buffer)[0] for place in origins.tolist())
    return stitch_patches(pieces, origins, volume.shape, **options)


@entry(STITCHERS, "mitobench, gaussian", "mitobench")
def _(volume: Any, patch: tuple[int, ...], step: tuple[int, ...]) -> Any:
    return ours(volume, patch, step, weights="gaussian")


@entry(STITCHERS, "mitobench, hann", "mitobench")
def _(volume: Any, patch: tuple[int, ...], step: tuple[int, ...]) -> Any:
    return ours(volume, patch, step, weights="hann")


@entry(STITCHERS, "mitobench, halo (no blend)", "mitobench")
def _(volume: Any, patch: tuple[int, ...], step: tuple[int, ...]) -> Any:
    return ours(volume, patch, step, halo=tuple((p - s) // 2 for p, s in zip(patch, step, strict=True)))


def monai_stitcher(name: str, mode: str, **options: Any) -> None:
    @entry(STITCHERS, name, "monai")
    def _(volume: Any, patch: tuple[int, ...], step: tuple[int, ...]) -> Any:
        import torch
        from monai.inferers import sliding_window_inference

        whole = torch.from_numpy(volume)[None, None].float()
        overlap = tuple(1 - s / p for s, p in zip(step, patch, strict=True))
        with torch.no_grad():
            return sliding_window_inference(
                whole, patch, 4, lambda t: t, overlap=overlap, mode=mode, **options
            )[0, 0].numpy()


monai_stitcher("MONAI sliding window, gaussian", "gaussian")
monai_stitcher("MONAI sliding window, constant", "constant")
monai_stitcher("MONAI sliding window, gaussian, buffered", "gaussian", buffer_steps=1, buffer_dim=0)


def torchio_stitcher(name: str, mode: str) -> None:
    @entry(STITCHERS, name, "torchio")
    def _(volume: Any, patch: tuple[int, ...], step: tuple[int, ...]) -> Any:
        import torch
        import torchio as tio

        subject = tio.Subject(image=tio.ScalarImage(tensor=torch.from_numpy(volume)[None]))
        sampler = tio.GridSampler(
            subject, patch, patch_overlap=tuple(p - s for p, s in zip(patch, step, strict=True))
        )
        whole = tio.GridAggregator(sampler, overlap_mode=mode)
        for batch in tio.SubjectsLoader(sampler, batch_size=4):
            whole.add_batch(batch["image"][tio.DATA].float(), batch[tio.LOCATION])
        return whole.get_output_tensor()[0].numpy()


torchio_stitcher("torchio GridAggregator, hann", "hann")
torchio_stitcher("torchio GridAggregator, crop (no blend)", "crop")


@entry(STITCHERS, "patchify + unpatchify (no blend)", "patchify")
def _(volume: Any, patch: tuple[int, ...], step: tuple[int, ...]) -> Any:
    from patchify import patchify, unpatchify

    # unpatchify needs strides that fit; the rest at the edge is left out, in its favour.
    whole = tuple(slice(0, p + (n - p) // s * s) for n, p, s in zip(volume.shape, patch, step, strict=True))
    return unpatchify(patchify(volume[whole], patch, step).astype(np.float32), volume[whole].shape)


@entry(STITCHERS, "torch_em predict_with_halo (no blend)", "torch_em")
def _(volume: Any, patch: tuple[int, ...], step: tuple[int, ...]) -> Any:
    import torch
    from torch_em.util.prediction import predict_with_halo

    class Same(torch.nn.Module):
        out_channels = 1

        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x: Any) -> Any:
            return x

    halo = tuple((p - s) // 2 for p, s in zip(patch, step, strict=True))
    as_float = {"preprocess": lambda x: x.astype("float32"), "disable_tqdm": True}
    return predict_with_halo(volume, Same(), ["cpu"], step, halo, **as_float)[0]
