"""What lies beside exported data so that nobody loses sight of whose they are: card, licence, citation."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mitobench.datasets.card import DatasetCard
from mitobench.datasets.split import Split
from mitobench.volume import Volume

_HUB_LICENCES = frozenset(
    {
        *(
            "cc0-1.0",
            "cc-by-4.0",
            "cc-by-3.0",
            "cc-by-sa-3.0",
            "cc-by-sa-4.0",
            "cc-by-nc-4.0",
            "cc-by-nc-3.0",
        ),
        *("cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "odc-by", "pddl", "mit"),
    }
)
"""Licence ids that the Hugging Face hub knows; all others are told as "other" with name and link."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def notes(
    splits: Sequence[Split], *, plan: Mapping[str, Any], front_matter: Mapping[str, Any], how_to: str
) -> dict[str, str]:
    """The texts of an export.

    Args:
        splits: What is exported, all of one dataset and version.
        plan: As in export.json.
        front_matter: Added to the YAML header of README.md.
        how_to: Python that loads the export.

    Returns:
        {"README.md", "LICENCE.txt", "CITATION.txt": text}.
    """
    card = splits[0].card
    return {
        "README.md": _readme(splits, plan=plan, front_matter=front_matter, how_to=how_to),
        "LICENCE.txt": licence_text(card),
        "CITATION.txt": f"{card.citation}\n" + (f"https://doi.org/{card.doi}\n" if card.doi else ""),
    }


def licence_text(card: DatasetCard) -> str:
    """What the owners allow, in plain words."""
    licence = card.licence
    lines = [f"{card.title} is published by its owners under {licence.id}: {licence.url}"]
    if licence.non_commercial:
        lines += ["NON-COMMERCIAL: the licence excludes commercial use, of this copy too."]
    if not licence.pixels_redistributable:
        lines += [
            "It is not clear that the pixels may be passed on: keep this copy to yourself until you know."
        ]
    lines += ["mitobench changed the form (cut, converted), not the content, and owns none of it."]
    return "\n".join(lines) + "\n"


def size_category(rows: int) -> str:
    """The word of the hub for so many rows."""
    return next((word for limit, word in _SIZES if rows < limit), "n>1M")


def _readme(
    splits: Sequence[Split], *, plan: Mapping[str, Any], front_matter: Mapping[str, Any], how_to: str
) -> str:
    card = splits[0].card
    volumes = [
        f"| {s.split} | {v.name} | {' x '.join(map(str, v.shape))} | {_voxel_size(v)} | {v.label_kind} |"
        for s in splits
        for v in s
    ]
    flaws = [f"- {flaw}" for flaw in card.known_flaws]
    lines = [
        "---",
        *(f"{key}: {json.dumps(value)}" for key, value in {**_header(card), **front_matter}.items()),
        "---",
        "",
        f"# {card.title}",
        "",
        f"- Specimen: {card.specimen}",
        f"- Tissue: {card.tissue}",
        f"- Modality: {card.modality}",
        f"- Labels: {plan['target']}, version {card.label_version}",
        "",
        "## Licence",
        "",
        licence_text(card),
        "## Cite",
        "",
        card.citation + (f" https://doi.org/{card.doi}" if card.doi else ""),
        "",
        "## Splits",
        "",
        f"Those of `{card.key}@{splits[0].version}` (manifest SHA-256 `{splits[0].manifest_sha256}`).",
        "Train on train, choose on val; a score on test counts only for a model that has seen neither its pixels",
        "nor its labels.",
        "",
        "| split | volume | shape (z, y, x) | voxel size, nm | labels |",
        "|---|---|---|---|---|",
        *volumes,
        "",
        "## Load",
        "",
        "```python",
        how_to,
        "```",
        "",
        *(["## Known flaws", "", *flaws, ""] if flaws else []),
        "## Made with",
        "",
        f"`mitobench` {plan['mitobench']}; `export.json` holds every option and the hash of every file.",
        "",
    ]
    return "\n".join(lines)


def _voxel_size(volume: Volume) -> str:
    if not volume.voxel_size_known:
        return "not known; files say 1 as a stand-in"
    return " x ".join(f"{step:g}" for step in volume.voxel_size_nm)


def _header(card: DatasetCard) -> dict[str, Any]:
    """YAML of the hub; JSON values are YAML too."""
    known = card.licence.id.lower()
    licence: dict[str, Any] = {"license": known}
    if known not in _HUB_LICENCES:
        licence = {"license": "other", "license_name": known, "license_link": card.licence.url}
    return {
        "pretty_name": card.title,
        **licence,
        "task_categories": ["image-segmentation"],
        "tags": [
            *("biology", "electron-microscopy", "mitochondria"),
            *(["non-commercial"] if card.licence.non_commercial else []),
        ],
    }
