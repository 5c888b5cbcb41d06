"""Writes the prediction container: one stored zip of a zarr v3 array per volume and prediction.json. Scores nothing."""

import dataclasses
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mitobench.arrays import ArraySource
from mitobench.benchmark.container.metadata import GROUP
from mitobench.benchmark.container.packing import Chunk, checked, packed_chunks
from mitobench.benchmark.container.reader import ZARR, container_manifest
from mitobench.benchmark.container.zarrs import write_zarr
from mitobench.benchmark.container.zips import ZipFile
from mitobench.benchmark.manifest import MANIFEST, manifest_text
from mitobench.benchmark.record import to_json
from mitobench.errors import BadInputError, ShapeError
from mitobench.replacing import TEMPORARY_SUFFIX, replacing, write_text_atomic
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind

NO_PROMPTS: Mapping[str, str] = MappingProxyType({})
CONTAINER = "prediction.zarr.zip"
"""Name of the container in a prediction folder."""


class PredictionWriter:
    """Writes a container volume by volume; a run that was stopped goes on where it was.

    Finished volumes wait beside the container, each in a file of its own, until `finish` puts them into it.

    Args:
        path: The prediction folder, in which the container gets its name, or the container, which ends in .zip.
        dataset: Dataset key.
        version: Version of the split.
        split: Which part is predicted.
        track: What the model knows.
        model: Key of the model.
        seed: Seed of the model.
        command: How to make it again; the plain `mitobench predict` line when None.
        prompts: Name to SHA-256 of the prompt files that the model is given.

    Attributes:
        container: The file that `finish` writes.

    Raises:
        BadInputError: Another prediction is there.
    """

    def __init__(
        self,
        path: Path,
        *,
        dataset: str,
        version: str,
        split: str,
        track: str,
        model: str,
        seed: int = 0,
        command: str | None = None,
        prompts: Mapping[str, str] = NO_PROMPTS,
    ) -> None:
        path = Path(path)
        self._alone = path.suffix == ".zip"
        self.container = path if self._alone else path / CONTAINER
        self._parts = self.container.with_name(f".{self.container.name}.parts")
        typed = f"mitobench predict {model} --dataset {dataset} --split {split} --track {track}"
        self._fields: dict[str, Any] = {
            "dataset": dataset,
            "version": version,
            "split": split,
            "track": track,
            "model": model,
            "seed": seed,
            "command": typed if command is None else command,
            "prompts": dict(prompts),
        }
        self._refuse_another()
        self._parts.mkdir(parents=True, exist_ok=True)
        here = self.container.parent.glob(f".{self.container.name}.*{TEMPORARY_SUFFIX}")
        for left_over in [*self._parts.glob(".*"), *here]:
            left_over.unlink()

    def has(self, volume_name: str) -> bool:
        """Whether the labels of a volume are complete on disk."""
        return volume_name in self._notes()

    def add(
        self,
        volume_name: str,
        *,
        labels: ArraySource,
        kind: LabelKind,
        probability: ArraySource | None = None,
        seconds: float | None = None,
        largest: int | None = None,
        progress: Progress = no_progress,
    ) -> Path:
        """Write the labels of one volume, whole or not at all.

        Args:
            volume_name: Name inside the split.
            labels: (z, y, x), integer or bool, 0 = background; read piece by piece, so it may live on disk.
            kind: What they mean; the same for all volumes.
            probability: (z, y, x) uint8, kept beside the container for figures; never scored.
            seconds: Wall time of the model.
            largest: Largest id, when it is known and no id is negative; looked for when None.
            progress: Told about finished pieces.

        Returns:
            The file in which the volume waits.

        Raises:
            DtypeError: The labels are not integers.
            BadInputError: A negative id.
            ShapeError: Not (z, y, x), or the probability has another shape.
        """
        packing = checked(volume_name, labels, kind, largest=largest)
        if probability is not None:
            if probability.shape != labels.shape:
                raise ShapeError(
                    f"Volume {volume_name!r}: the labels have shape {labels.shape} but the probability "
                    f"{probability.shape}. They must be equal."
                )
            write_zarr(self.container.with_name(f"{volume_name}.probability.zarr"), probability)
        target = self._parts / f"{volume_name}.zip"
        chunks = packed_chunks(labels, packing, progress=progress, what=f"packing {volume_name}")
        _write_zip(target, ((f"{volume_name}/{name}", data) for name, data in chunks))
        note = {**self._fields, "kind": kind, "seconds": seconds}
        write_text_atomic(target.with_suffix(".json"), to_json(note))
        return target

    def scratch(self, volume_name: str) -> Path:
        """Folder for the unfinished work on one volume, beside the container; not part of the prediction."""
        return self.container.with_name(f".{self.container.name}.{volume_name}.blocks")

    def finish(self) -> Path:
        """Put all volumes into the container; without it the prediction is unfinished.

        Returns:
            The path that was given.

        Raises:
            BadInputError: No volume was added, or volumes of both kinds.
        """
        from mitobench import __version__

        notes = self._notes()
        kinds = sorted({str(note["kind"]) for note in notes.values()})
        if len(kinds) != 1:
            raise BadInputError(
                f"{self.container} would hold {' and '.join(kinds) or 'no'} labels; expected volumes of one kind. "
                "Delete it and predict again."
            )
        if any(path.suffix == ".zip" for path in self._parts.iterdir()):
            seconds = {name: note["seconds"] for name, note in notes.items() if note["seconds"] is not None}
            text = manifest_text(**self._fields, kind=kinds[0], mitobench=__version__, seconds=seconds)
            _write_zip(self.container, self._members(sorted(notes), text))
        shutil.rmtree(self._parts)
        return self.container if self._alone else self.container.parent

    def _members(self, names: list[str], manifest: bytes) -> Iterator[Chunk]:
        """All that the container holds, in one order, so that equal predictions give equal bytes."""
        yield ZARR, GROUP
        yield MANIFEST, manifest
        before = ZipFile(self.container) if self.container.exists() else None
        for name in names:
            part = self._parts / f"{name}.zip"
            source = ZipFile(part) if part.exists() else before
            members = source.members if source else {}
            for member in sorted(members, key=_natural):
                if source and member.startswith(f"{name}/"):
                    yield member, source.read(member)

    def _notes(self) -> dict[str, dict[str, Any]]:
        """What is known of each finished volume: from the container, and from those that wait for it."""
        notes: dict[str, dict[str, Any]] = {}
        if self.container.exists():
            file = ZipFile(self.container)
            said = dataclasses.asdict(container_manifest(file))
            for name in {member.partition("/")[0] for member in file.members} - {ZARR, MANIFEST}:
                notes[name] = {**said, "seconds": said["seconds"].get(name)}
        for path in sorted(self._parts.glob("*.json")):
            if path.with_suffix(".zip").exists():
                notes[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        return notes

    def _refuse_another(self) -> None:
        for name, note in self._notes().items():
            other = {key: note[key] for key in self._fields if note.get(key) != self._fields[key]}
            if other:
                raise BadInputError(
                    f"{self.container.parent} already holds volume {name!r} of another prediction ({_said(other)}); "
                    f"this one is {_said({key: self._fields[key] for key in other})}. Give another folder."
                )


def _write_zip(path: Path, members: Iterator[Chunk]) -> None:
    """A stored zip, whole or not at all; equal members give equal bytes on every machine."""
    with replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as file:
        for name, data in members:
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100644 << 16
            file.writestr(info, data)


def _natural(member: str) -> tuple[tuple[bool, int], ...]:
    """zarr.json first, then chunks by their numbers."""
    return tuple((part.isdigit(), int(part) if part.isdigit() else 0) for part in member.split("/")[2:])


def _said(fields: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in fields.items())
