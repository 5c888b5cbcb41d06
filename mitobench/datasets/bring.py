"""Bring published files from their hosts, or say how people get them by hand. Decides nothing about licences."""

from collections.abc import Mapping
from pathlib import Path

from mitobench.datasets.card import DatasetCard
from mitobench.datasets.card_rows import download_text
from mitobench.datasets.download import download
from mitobench.datasets.folder import bring_folder
from mitobench.datasets.remote import RemoteFile
from mitobench.datasets.web import Patience
from mitobench.errors import FetchError
from mitobench.segmenter import Progress


def bring(
    card: DatasetCard,
    coming: Mapping[RemoteFile, Path],
    *,
    patience: Patience | None,
    progress: Progress,
) -> None:
    """Bring these files to these places; their size is told before the first byte.

    Raises:
        FetchError: One could not be had. Where the card knows how people get it by hand, the steps are named; a
            host that lets no program in is not asked.
    """
    if by_hand := [file for file in coming if file.manual and not file.urls]:
        raise FetchError(_by_hand(card, by_hand))
    progress(0, 0, f"{card.key}: download of {download_text(card)}")
    for file, path in coming.items():
        from_host = bring_folder if file.kind == "folder" else download
        try:
            from_host(file, path, spare_bytes=card.store_bytes, patience=patience, progress=progress)
        except FetchError as error:
            if not file.manual:
                raise
            raise FetchError(f"{error}\n{_by_hand(card, [file])}") from error


def _by_hand(card: DatasetCard, files: list[RemoteFile]) -> str:
    steps = "\n".join(f"{file.name}:\n{file.manual}" for file in files)
    return (
        f"{card.key} has to be got by hand, because its host lets no program in or is gone:\n{steps}\n"
        f"Put everything into one folder under these names and run: mitobench fetch {card.key} --from FOLDER"
    )
