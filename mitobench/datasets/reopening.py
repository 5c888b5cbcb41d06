"""Open published files again in other processes: once in each, and without hashing again what has not changed."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mitobench.datasets.archives import Published
from mitobench.datasets.filestate import State
from mitobench.datasets.remote import RemoteFile

_OPEN: dict[str, Published] = {}
_OPENING = threading.Lock()
_AT_MOST = 4  # conversions that one process works on; those before are over


@dataclass(frozen=True, kw_only=True)
class Reopening:
    """A picklable description; calling it gives the files.

    Attributes:
        run: Name of this run and no other.
        places: {file of the card: where it lies}, on a file system that the other process sees too.
        scratch: Folder where packed tars have been unpacked.
        known: Hashes of files as the first process knows them.
    """

    run: str
    places: Mapping[RemoteFile, Path]
    scratch: Path
    known: Mapping[str, tuple[State, str]]

    def __call__(self) -> Published:
        """The files, open in this process.

        Raises:
            IntegrityError: A place does not hold what it should.
        """
        with _OPENING:
            if self.run not in _OPEN:
                while len(_OPEN) >= _AT_MOST:
                    del _OPEN[next(iter(_OPEN))]
                _OPEN[self.run] = Published(self.places, scratch=self.scratch, known=self.known)
            return _OPEN[self.run]
