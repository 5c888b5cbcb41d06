"""Every error that mitobench raises on purpose, and nothing else.

Each one says what is wrong with its value, what was expected, and what to do now.

    MitobenchError
    |- BadInputError (ValueError)              a value that cannot be used
    |  |- ShapeError                           two arrays, or an array and a manifest, differ in shape
    |  |- DtypeError (TypeError)               a dtype that cannot hold what it should
    |  `- FormatError                          a file that is not what its name says
    |- UnknownNameError (KeyError)             no dataset, split, track, baseline, metric ... of that name
    |- DatasetNotFoundError (FileNotFoundError) a dataset that is not on disk yet
    |- PredictionNotFoundError (FileNotFoundError) a prediction, or a volume of it, that is not there
    |- IntegrityError (OSError)                bytes whose hash is not the one on the card
    |- FetchError (OSError)                    a download that did not work
    |- LicenceError (PermissionError)          a licence that has to be agreed to first
    |- RecordError (ValueError)                a leaderboard record that contradicts itself or its schema
    |- IntakeError (ValueError)              an address, change or file that a stranger sent and that is not taken
    |- WorkerError (RuntimeError)              processes or a cluster that cannot do the work
    `- MissingExtraError (ImportError)         an optional dependency that is not installed
"""

import difflib
from collections.abc import Iterable
from typing import Any


class MitobenchError(Exception):
    """Base of the family; the command line prints the message alone and exits 2."""


class BadInputError(MitobenchError, ValueError):
    """A value that cannot be used."""


class ShapeError(BadInputError):
    """Two shapes that should agree and do not."""


class DtypeError(BadInputError, TypeError):
    """A dtype that cannot hold what it should."""


class FormatError(BadInputError):
    """A file that is not what its name says."""


class UnknownNameError(MitobenchError, KeyError):
    """A name that is in no table; lists the known ones and the nearest, or those that start with it.

    Attributes:
        kind: What was looked for, such as "dataset".
        name: What was asked.
        known: The names that exist, sorted.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        near = difflib.get_close_matches(name, self.known, n=1)
        family = [other for other in self.known if other.startswith(f"{name}-")]
        hint = f" Did you mean {near[0]!r}?" if near else ""
        if family:
            hint = f" {name!r} is a family; name one of it: {', '.join(family)}."
        self.message = f"Unknown {kind} {name!r}. Known: {', '.join(self.known) or 'none'}.{hint}"
        super().__init__(self.message)

    def __str__(self) -> str:  # KeyError would show the repr of the message
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:  # so that it comes back whole from another process
        return type(self), (self.kind, self.name, self.known)


class DatasetNotFoundError(MitobenchError, FileNotFoundError):
    """A dataset that is not on disk yet."""


class PredictionNotFoundError(MitobenchError, FileNotFoundError):
    """A prediction, or one volume of it, that is not where it was looked for."""


class IntegrityError(MitobenchError, OSError):
    """Bytes whose hash or length is not the one on the card."""


class FetchError(MitobenchError, OSError):
    """A download that did not work after every source was tried."""


class LicenceError(MitobenchError, PermissionError):
    """A licence that has to be agreed to before the data are fetched."""


class RecordError(MitobenchError, ValueError):
    """A leaderboard record that contradicts its schema, its table or its file name."""


class IntakeError(MitobenchError, ValueError):
    """An address, change or file that a stranger sent and that is not taken."""


class WorkerError(MitobenchError, RuntimeError):
    """Processes that vanished, or a cluster that does not answer."""


class MissingExtraError(MitobenchError, ImportError):
    """An optional dependency that is not installed.

    Attributes:
        package: What is missing.
        extra: Name of the extra that brings it; with is_package, what to install where no extra does.
        purpose: What it is needed for.
        is_package: Whether `extra` is a package of its own.
    """

    def __init__(self, package: str, extra: str, purpose: str, is_package: bool = False) -> None:
        self.package, self.extra, self.purpose, self.is_package = package, extra, purpose, is_package
        install = extra if is_package else f"mitobench[{extra}]"
        super().__init__(f"{purpose} needs {package}, which is not installed. Run: pip install '{install}'")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.package, self.extra, self.purpose, self.is_package)
