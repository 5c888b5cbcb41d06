"""Writes a prediction folder: one zarr v3 array per volume, and prediction.json. Reads no stranger's file."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.benchmark.manifest import write_manifest
from mitobench.errors import BadInputError, DtypeError, ShapeError
from mitobench.volume import LabelKind

CHUNKS = (16, 256, 256)
"""Voxels packed together, (z, y, x)."""


class PredictionWriter:
    """Writes a prediction folder volume by volume; a run that was stopped goes on where it was.

    Args:
        folder: The prediction folder; made when it is not there.
        dataset: Dataset key.
        version: Version of the split.
        split: Which part is predicted.
        track: What the model knows.
        model: Key of the model.
        seed: Seed of the model.
        command: How to make it again; the plain `mitobench predict` line when None.

    Raises:
        BadInputError: The folder holds another prediction.
    """

    def __init__(
        self,
        folder: Path,
        *,
        dataset: str,
        version: str,
        split: str,
        track: str,
        model: str,
        seed: int = 0,
        command: str | None = None,
    ) -> None:
        self.folder = Path(folder)
        typed = f"mitobench predict {model} --dataset {dataset} --split {split} --track {track}"
        self._fields: dict[str, Any] = {
            "dataset": dataset,
            "version": version,
            "split": split,
            "track": track,
            "model": model,
            "seed": seed,
            "command": typed if command is None else command,
        }
        self._refuse_another()
        self.folder.mkdir(parents=True, exist_ok=True)
        for left_over in self.folder.glob(".*.partial"):
            shutil.rmtree(left_over)

    def has(self, volume_name: str) -> bool:
        """Whether the labels of a volume are complete on disk."""
        return self._path(volume_name).is_dir()

    def add(
        self,
        volume_name: str,
        *,
        labels: NDArray[Any],
        kind: LabelKind,
        probability: NDArray[np.uint8] | None = None,
        seconds: float | None = None,
    ) -> Path:
        """Write the labels of one volume, whole or not at all.

        Args:
            volume_name: Name inside the split.
            labels: (z, y, x), integer or bool, 0 = background.
            kind: What they mean; the same for all volumes.
            probability: (z, y, x) uint8, kept beside the labels for figures; never scored.
            seconds: Wall time of the model.

        Returns:
            The zarr folder.

        Raises:
            DtypeError: The labels are not integers.
            BadInputError: A negative id.
            ShapeError: Not (z, y, x), or the probability has another shape.
        """
        packed = _pack_labels(volume_name, labels, kind)
        if probability is not None:
            if probability.shape != labels.shape:
                raise ShapeError(
                    f"Volume {volume_name!r}: the labels have shape {labels.shape} but the probability "
                    f"{probability.shape}. They must be equal."
                )
            self._write(self._path(f"{volume_name}.probability"), probability, {})
        note = {**self._fields, "kind": kind, "seconds": seconds}
        return self._write(self._path(volume_name), packed, {"mitobench": note})

    def finish(self) -> Path:
        """Write prediction.json; without it the folder is unfinished.

        Returns:
            The folder.

        Raises:
            BadInputError: No volume was added, or volumes of both kinds.
        """
        from mitobench import __version__

        notes = self._notes()
        kinds = sorted({str(note["kind"]) for note in notes.values()})
        if len(kinds) != 1:
            raise BadInputError(
                f"{self.folder} holds {' and '.join(kinds) or 'no'} labels; expected volumes of one kind. "
                "Delete the folder and predict again."
            )
        seconds = {name: note["seconds"] for name, note in notes.items() if note["seconds"] is not None}
        write_manifest(self.folder, **self._fields, kind=kinds[0], mitobench=__version__, seconds=seconds)
        return self.folder

    def _path(self, stem: str) -> Path:
        return self.folder / f"{stem}.zarr"

    def _notes(self) -> dict[str, dict[str, Any]]:
        notes = {}
        for path in sorted(self.folder.glob("*.zarr")):
            attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
            if "mitobench" in attributes:
                notes[path.stem] = attributes["mitobench"]
        return notes

    def _refuse_another(self) -> None:
        if not self.folder.is_dir():
            return
        for name, note in self._notes().items():
            other = {key: note[key] for key in self._fields if note.get(key) != self._fields[key]}
            if other:
                raise BadInputError(
                    f"{self.folder} already holds volume {name!r} of another prediction ({_said(other)}); "
                    f"this one is {_said({key: self._fields[key] for key in other})}. Give another folder."
                )

    def _write(self, target: Path, array: NDArray[Any], attributes: dict[str, Any]) -> Path:
        import zarr
        from zarr.codecs import BloscCodec

        partial = target.with_name(f".{target.name}.partial")
        try:
            stored = zarr.create_array(
                store=partial,
                shape=array.shape,
                chunks=tuple(min(c, max(1, s)) for c, s in zip(CHUNKS, array.shape, strict=True)),
                dtype=array.dtype,
                compressors=BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"),
                fill_value=0,
                attributes=attributes,
                zarr_format=3,
            )
            stored[...] = array
            shutil.rmtree(target, ignore_errors=True)
            partial.replace(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return target


def _pack_labels(name: str, labels: NDArray[Any], kind: LabelKind) -> NDArray[Any]:
    """The smallest unsigned dtype that holds the labels; semantic ones become 0 and 1."""
    if labels.ndim != 3:
        raise ShapeError(f"Volume {name!r}: the labels have shape {labels.shape}; expected (z, y, x).")
    if labels.dtype.kind not in "iub":
        raise DtypeError(
            f"Volume {name!r}: the labels are {labels.dtype}; expected integers. Threshold probabilities "
            "first."
        )
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise BadInputError(f"Volume {name!r}: the labels hold {labels.min()}; ids start at 0 = background.")
    if kind == "semantic" or labels.dtype.kind == "b":
        mask: NDArray[np.uint8] = (labels != 0).astype(np.uint8)
        return mask
    largest = int(labels.max()) if labels.size else 0
    if largest >= 2**32:
        import fastremap

        labels, _ = fastremap.renumber(labels, in_place=False)
        largest = int(labels.max())
    packed: NDArray[Any] = labels.astype(np.min_scalar_type(largest))
    return packed


def _said(fields: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in fields.items())
