"""The volumes of a split as layers of napari, at their scale. The only place that imports napari."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mitobench.errors import MissingExtraError
from mitobench.volume import Volume

INSTALL = "napari[all]>=0.5"
"""What to install; no extra of ours brings it, because it carries a window toolkit."""


def open_napari(volumes: Sequence[Volume], *, title: str) -> Any:
    """Open a viewer with image, labels and ignore mask of each volume; the first volume is visible.

    Args:
        volumes: Their arrays are handed over as they are, so that memory maps stay on disk.
        title: Of the window.

    Returns:
        The napari.Viewer. In a script, call napari.run() to keep it open.

    Raises:
        MissingExtraError: napari is not installed.
    """
    try:
        import napari
    except ImportError as error:
        raise MissingExtraError("napari", INSTALL, "Opening layers", is_package=True) from error
    viewer = napari.Viewer(title=title, axis_labels=("z", "y", "x"))
    for number, volume in enumerate(volumes):
        steps = np.asarray(volume.voxel_size_nm)
        place: dict[str, Any] = {
            "scale": tuple(steps.tolist()),
            "translate": tuple((steps * volume.origin).tolist()),
            "units": ("nm" if volume.voxel_size_known else "pixel",) * 3,
            "visible": number == 0,
        }
        viewer.add_image(volume.image, name=f"{volume.name} image", contrast_limits=(0, 255), **place)
        if volume.labels is not None:
            viewer.add_labels(volume.labels, name=f"{volume.name} labels", **place)
        if volume.ignore is not None:
            viewer.add_labels(volume.ignore, name=f"{volume.name} ignored", opacity=0.3, **place)
    viewer.scale_bar.visible = True
    return viewer


def run_napari() -> None:
    """Keep the windows open until they are closed."""
    import napari

    napari.run()
