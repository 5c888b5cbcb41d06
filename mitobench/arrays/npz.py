"""One array out of a .npz archive of plain numbers. Objects in it are never unpacked."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import FormatError


def read_npz(path: Path, names: Sequence[str]) -> NDArray[Any]:
    """The first array of these names, in memory.

    Args:
        path: The archive.
        names: Names to look for, in this order.

    Raises:
        FormatError: Not such an archive, none of the names, or Python objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in names:
                if name in archive.files:
                    return np.asarray(archive[name])
            there = ", ".join(archive.files) or "nothing"
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path} cannot be read as a .npz archive of plain numbers: {error}") from error
    raise FormatError(f"{path} holds {there}; expected {' or '.join(names)}.")
