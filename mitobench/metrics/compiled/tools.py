"""How loops are compiled, and how arrays are handed to them. No loop lives here."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile on first call, keep the machine code on disk, and let other threads run meanwhile."""
    return cast("F", numba.njit(cache=True, nogil=True)(function))


def inlined(function: F) -> F:
    """Compile into the callers."""
    return cast("F", numba.njit(cache=True, nogil=True, inline="always")(function))


def aligned(array: NDArray[Any]) -> bool:
    """Whether the data start at a multiple of eight bytes, so that they can be read as words."""
    return array.ctypes.data % 8 == 0


def fixed(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view: one compiled version serves memory maps and arrays in memory."""
    view = array.view()
    view.flags.writeable = False
    return view


def words(array: NDArray[Any]) -> NDArray[np.uint64]:
    """The same bytes, eight at a time, read-only."""
    return fixed(array.view(np.uint64))
