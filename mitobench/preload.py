"""Libraries of scoring that are loaded before memory becomes short. No cap is set here.

OpenBLAS, which SciPy brings along, asks for its memory while it is loaded and asks again for ever when it is refused.
It does so in one call, so that no exception, no signal handler and no other thread ends it.
"""

from __future__ import annotations

import importlib

LIBRARIES = ("numpy.random", "scipy.linalg", "scipy.ndimage", "cc3d", "fastremap")


def is_capped() -> bool:
    """Whether this process was started with, or was given, a cap on its memory."""
    limits = _limits()
    return limits is not None and limits[0] != limits[1]


def preload() -> None:
    """Load them now; a cap on memory is lifted as long as that takes."""
    limits = _limits()
    if limits is None:
        return
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (limits[1], limits[1]))
    try:
        for name in LIBRARIES:
            importlib.import_module(name)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)


def _limits() -> tuple[int, int] | None:
    """The cap, and what it may be raised to; None on a system that knows none."""
    try:
        import resource
    except ModuleNotFoundError:
        return None
    return resource.getrlimit(resource.RLIMIT_DATA)
