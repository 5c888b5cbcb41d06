"""Writes the pictures of one record, its own and those that all records of a dataset share, with a scale bar each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mitobench.benchmark.pages.facts import Json
from mitobench.drawing.draw import Rgb, webp_bytes
from mitobench.drawing.scale_bar import with_scale_bar


@dataclass(frozen=True, kw_only=True)
class PictureFiles:
    """Writes the pictures of one record.

    Attributes:
        out: The docs folder that is being filled.
        own: Folder of what this record alone shows, relative to `out`.
        shared: Folder of what the records of a dataset show alike, relative to `out`.
        up: How to get from the page to `out`, such as "../".
    """

    out: Path
    own: Path
    shared: Path
    up: str

    def put(self, name: str, picture: Rgb, *, pixel_nm: float | None) -> str:
        """Write a picture of this record.

        Args:
            name: Of the file, without suffix.
            picture: (y, x, 3).
            pixel_nm: Nanometres per pixel, for the scale bar; None: without one.

        Returns:
            Its address, seen from the page.
        """
        return self._write(self.own / f"{name}.webp", picture, pixel_nm)

    def put_shared(self, name: str, picture: Callable[[], Rgb], *, pixel_nm: float | None) -> str:
        """Write a picture that other records show too, unless one of them has done so.

        Args:
            name: Of the file, without suffix: the same for the same picture.
            picture: Draws it.
            pixel_nm: As above.

        Returns:
            Its address, seen from the page.
        """
        path = self.shared / f"{name}.webp"
        if (self.out / path).exists():
            return self.up + path.as_posix()
        return self._write(path, picture(), pixel_nm)

    def _write(self, path: Path, picture: Rgb, pixel_nm: float | None) -> str:
        (self.out / path).parent.mkdir(parents=True, exist_ok=True)
        drawn = picture if pixel_nm is None else with_scale_bar(picture, pixel_nm=pixel_nm)
        (self.out / path).write_bytes(webp_bytes(drawn))
        return self.up + path.as_posix()


def files_of(record: Json, stem: str, *, out: Path, up: str) -> PictureFiles:
    """Where the pictures of a record go.

    Args:
        record: Decoded.
        stem: Its stem, such as "vnc@1.auto.0".
        out: The docs folder; pictures go to `out/pictures/`.
        up: How to get from the page to `out`.
    """
    pictures = Path("pictures")
    return PictureFiles(
        out=out, own=pictures / str(record["model"]) / stem, shared=pictures / stem.partition(".")[0], up=up
    )
