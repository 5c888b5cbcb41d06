"""Splits as users meet them: a sequence of volumes, opened lazily. Downloads are delegated to fetch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from mitobench.arrays import natural_key
from mitobench.datasets.card import MAIN_TARGET, NO_VOXEL_SIZE, DatasetCard, name_fits
from mitobench.datasets.fetch import ensure_store
from mitobench.datasets.manifest import Box, SplitManifest, load_manifest
from mitobench.datasets.registry import find_dataset
from mitobench.datasets.store import OpenFiles, StoredVolume, StoreIndex
from mitobench.errors import DatasetNotFoundError
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Volume

if TYPE_CHECKING:
    from mitobench.datasets.view import View
    from mitobench.patches import PatchDataset


class Split(Sequence[Volume]):
    """The volumes of one split of one dataset.

    Attributes:
        dataset: Key of the dataset.
        split: "train", "val", "test" or "unlabelled".
        version: Version of the split manifest.
        card: The dataset's card.
        manifest: The manifest itself.
        target: Whose labels its volumes carry.
    """

    def __init__(
        self,
        *,
        split: str,
        card: DatasetCard,
        manifest: SplitManifest,
        volumes: Sequence[Volume],
        target: str = MAIN_TARGET,
    ) -> None:
        self.dataset, self.split, self.version = card.key, split, manifest.version
        self.target = target
        self.card, self.manifest = card, manifest
        self._volumes = tuple(volumes)

    @property
    def manifest_sha256(self) -> str:
        """Hash of what decides a score; see `SplitManifest.sha256`."""
        return self.manifest.sha256

    @overload
    def __getitem__(self, index: int) -> Volume: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Volume, ...]: ...
    def __getitem__(self, index: int | slice) -> Volume | tuple[Volume, ...]:
        return self._volumes[index]

    def __len__(self) -> int:
        return len(self._volumes)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{volume.name} {volume.shape}" for volume in self._volumes)
        return f"Split({self.dataset}@{self.version} {self.split}: {shapes})"

    def patches(self, **options: Any) -> "PatchDataset":
        """Cut every volume into patches; options are those of `mitobench.patches.PatchDataset`."""
        from mitobench.patches import PatchDataset

        return PatchDataset(self, **options)

    def to_hf(self, *, patch_shape: tuple[int, ...], **options: Any) -> Any:
        """The patches as a Hugging Face `datasets.Dataset`; options are those of `hub.to_hf`."""
        from mitobench.datasets.hub import to_hf

        return to_hf(self, patch_shape=patch_shape, **options)

    def view(self, **options: Any) -> "View":
        """A contact sheet and a page, or layers in napari; options are those of `mitobench.view`."""
        from mitobench.datasets.view import view_split

        return view_split(self, **options)

    def to_zarr(self, path: Path | str, *, progress: Progress = no_progress) -> Path:
        """The whole volumes as zarr groups in a new folder, with licence and citation; see `export_splits`."""
        from mitobench.datasets.export import export_splits

        return export_splits([self], to="zarr", out=path, progress=progress)


def load_split(
    name: str,
    split: str,
    *,
    target: str = MAIN_TARGET,
    version: int | None = None,
    root: Path | str | None = None,
    download: bool = True,
    progress: Progress = no_progress,
) -> Split:
    """One split of a dataset, memory-mapped; fetched, verified and converted on first use.

    Later calls look at file lengths and recorded hashes only; `verify` reads every byte.

    Args:
        name: Dataset key, such as "vnc".
        split: "train", "val", "test"; "unlabelled" where the dataset has images without ground truth.
        target: Whose labels to load; the card lists others than "mitochondrion", such as "nucleus". A volume
            without such labels has none.
        version: Version of the split manifest; None = newest.
        root: Data root; None = MITOBENCH_DATA, else the user's cache folder.
        download: Whether the network may be used; archives in MITOBENCH_SOURCES are always taken.
        progress: Told about bytes and slices.

    Returns:
        Volumes whose images and labels are read-only memory maps.

    Raises:
        UnknownNameError: No such dataset, split, target or version.
        DatasetNotFoundError: It is not on disk and download is False, or this release reads other labels.
        LicenceError: It has to be downloaded under a licence that was not agreed to yet.
        FetchError: No source worked.
        IntegrityError: The published files are not the ones on the card.
    """
    dataset = find_dataset(name)
    manifest = load_manifest(dataset.card.key, version, dataset.splits_folder)
    boxes = manifest.boxes(split)
    other = dataset.card.target(target)
    if manifest.label_version != dataset.card.label_version:
        raise DatasetNotFoundError(
            f"{name}@{manifest.version} needs ground truth version {manifest.label_version}, but this "
            f"release reads {dataset.card.label_version}. Install the release that introduced that split."
        )
    folder, index = ensure_store(dataset, root=root, allow_download=download, progress=progress)
    files = OpenFiles(folder)
    volumes = [
        Volume(
            name=name if box.volume.endswith("*") else box.volume_name,
            label_kind=(other or dataset.card).label_kind,
            voxel_size_nm=(step := index.volumes[name].voxel_size_nm),
            voxel_size_known=dataset.card.voxel_size_known or step != NO_VOXEL_SIZE,
            origin=box.start,
            **_arrays(box, index.volumes[name], files, target),
        )
        for box in boxes
        for name in _members(box, index)
    ]
    return Split(split=split, card=dataset.card, manifest=manifest, volumes=volumes, target=target)


def _members(box: Box, index: StoreIndex) -> list[str]:
    """The volume of the box, or all those of its family in natural order."""
    if not box.volume.endswith("*"):
        return [box.volume]
    return sorted((name for name in index.volumes if name_fits(name, box.volume)), key=natural_key)


def _arrays(box: Box, stored: StoredVolume, files: OpenFiles, target: str) -> dict[str, Any]:
    """Image, labels and ignore mask of a box; whole volumes are not cut, since there may be tens of thousands."""
    labels = stored.labels if target == MAIN_TARGET else stored.targets.get(target)
    found = {"image": stored.image, "labels": labels, "ignore": stored.ignore}
    whole = not any((*box.start, *box.stop))
    cut = tuple(slice(start, stop or None) for start, stop in zip(box.start, box.stop, strict=True))
    arrays: dict[str, Any] = {}
    for what, array in found.items():
        opened = None if array is None else files.array(array, stored.shape)
        arrays[what] = opened if opened is None or whole else opened[cut]
    return arrays
