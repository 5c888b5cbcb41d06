"""The words of a datasheet: a card as rows for people, on the command line and on the site. No fact is decided here."""

from typing import TYPE_CHECKING

from mitobench.datasets.remote import NOT_KNOWN

if TYPE_CHECKING:
    from mitobench.datasets.card import DatasetCard, Target, VolumeCard

_STAND_IN = "A volume that states none says 1 nm as a stand-in, and its scores in nm are left out."


def card_rows(card: "DatasetCard") -> list[tuple[str, str]]:
    """A card as (label, value) pairs in reading order; empty values left out, labels may come more than once."""
    licence = card.licence
    rows = [
        ("Key", card.key),
        ("Title", card.title),
        ("Specimen", card.specimen),
        ("Tissue", card.tissue),
        ("Modality", card.modality),
        ("Voxel size (z, y, x)", _voxel_size(card)),
        (
            "Voxel size note",
            " ".join([*([] if card.voxel_size_known else [_STAND_IN]), card.voxel_size_note]).strip(),
        ),
        ("Volumes (z, y, x)", "; ".join(_volume(volume) for volume in card.volumes)),
        ("Image dtype", card.image_dtype),
        ("Labels", f"{card.label_kind}, {card.label_dtype}, version {card.label_version}"),
        ("Label ids", ", ".join(f"{value} = {meaning}" for value, meaning in card.label_ids.items())),
        *(("Other labels", _target(target)) for target in card.targets),
        ("Official split", card.official_split or "none"),
        ("Official split by", card.official_split_by or ""),
        ("Licence", f"{licence.id}{' (non-commercial)' if licence.non_commercial else ''}, {licence.url}"),
        ("Pixels may be shown", "yes" if licence.pixels_redistributable else "no"),
        ("Citation", card.citation),
        ("DOI", card.doi or ""),
        ("Download", download_text(card)),
        ("On disk", _store(card)),
        ("Same tissue as", ", ".join(card.overlaps)),
        *(("Shares tissue with", f"{key}: {what}") for key, what in card.shares.items()),
        *(("Known flaw", flaw) for flaw in card.known_flaws),
        *(("Source", source) for source in card.sources),
    ]
    return [(label, value) for label, value in rows if value]


def _voxel_size(card: "DatasetCard") -> str:
    return f"{_steps(card.voxel_size_nm)} nm" if card.voxel_size_known else NOT_KNOWN


def _steps(nm: tuple[float, float, float]) -> str:
    return " x ".join(f"{step:g}" for step in nm)


def _volume(volume: "VolumeCard") -> str:
    count = f"{volume.count} volumes" if volume.count else f"how many: {NOT_KNOWN}"
    family = f" ({count})" if volume.name.endswith("*") else ""
    size = f", {_steps(volume.voxel_size_nm)} nm" if volume.voxel_size_nm else ""
    return f"{volume.name}{family} {volume.shape_text}{size}{'' if volume.labelled else ' (no labels)'}"


def _target(target: "Target") -> str:
    ids = ", ".join(f"{value} = {meaning}" for value, meaning in target.label_ids.items())
    return f"{target.key}: {target.label_kind}, {target.label_dtype}, {ids}{'. ' if target.note else ''}{target.note}"


def download_text(card: "DatasetCard") -> str:
    """Size of the published files for people; where nobody knows it, what to plan with."""
    if not card.files:
        return "none, generated"
    planned = f"{card.download_bytes / 1e6:.1f} MB"
    return planned if card.raw_bytes else f"{NOT_KNOWN}; {planned} to plan with"


def _store(card: "DatasetCard") -> str:
    planned = f"{card.store_bytes / 1e6:.1f} MB"
    known = all(all(volume.shape) for volume in card.volumes)
    return planned if known else f"{NOT_KNOWN}; {planned} to plan with"
