"""Agreement to non-commercial licences: asked once, kept in the data root. Asks nobody itself."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mitobench.datasets.card import DatasetCard
from mitobench.errors import LicenceError
from mitobench.replacing import write_text_atomic

AGREEMENTS = "agreements.json"
VARIABLE = "MITOBENCH_AGREE"


def has_agreed(card: DatasetCard, root: Path) -> bool:
    """Whether a download of this dataset needs no further question."""
    if not card.licence.non_commercial:
        return True
    named = set(os.environ.get(VARIABLE, "").replace(",", " ").split())
    return bool(named & {card.key, "all"}) or _load(root).get(card.key, {}).get("licence") == card.licence.id


def record_agreement(card: DatasetCard, root: Path) -> None:
    """Remember that the user agreed, so that nobody asks again for this data root."""
    agreements = _load(root)
    agreements[card.key] = {
        "licence": card.licence.id,
        "url": card.licence.url,
        "agreed": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_text_atomic(root / AGREEMENTS, json.dumps(agreements, indent=1, sort_keys=True) + "\n")


def require_agreement(card: DatasetCard, root: Path, *, agree: bool, note: str = "") -> None:
    """Let a download pass, or say what has to be agreed to and how.

    Args:
        card: Whose licence.
        root: Data root, where agreements are kept.
        agree: The user agrees now.
        note: Added to the message, such as why archives on disk could not be used.

    Raises:
        LicenceError: The licence is non-commercial, and nobody agreed to it yet.
    """
    if has_agreed(card, root):
        return
    if not agree:
        raise LicenceError(
            f"{card.key} is published under {card.licence.id}, which excludes commercial use: "
            f"{card.licence.url}. Nothing was downloaded. Read it; to agree, run: "
            f"mitobench fetch {card.key} --agree, or pass agree=True to fetch(), "
            f"or set {VARIABLE}={card.key}. It is asked once.{note}"
        )
    record_agreement(card, root)


def _load(root: Path) -> dict[str, Any]:
    try:
        found = json.loads((root / AGREEMENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing or damaged: ask again
        return {}
    return found if isinstance(found, dict) else {}
