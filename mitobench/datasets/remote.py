"""What one published file is: its names, addresses and hashes. No file is read here except hash lists."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

from mitobench.errors import BadInputError

HASH_LISTS = Path(__file__).with_name("hashes")
"""Folder of `<key>.toml` lists: path inside the archive = SHA-256 of that file."""

NOT_KNOWN = "not known"
"""Written on cards, in hash lists and in split manifests where nobody here has seen the value."""


class Bucket(Protocol):
    """A bucket, and what of it has arrived."""

    def read(self, key: str) -> bytes | None:
        """A key that was wanted before, None where the bucket has none; KeyError for any other key."""
        ...

    def keys(self, prefix: str) -> list[str]:
        """All keys that start so, asked of the bucket."""
        ...

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right below that prefix, asked of the bucket."""
        ...


Wanted = Callable[[Bucket], Iterator[list[str]]]
"""Gives the keys to bring, some at a time; when it is asked for more, those before have arrived."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """How the names of the files in a remote folder are found. What it says is checked, never trusted.

    Attributes:
        kind: "html", the index page that web servers make of a folder; "s3", a bucket's answer to `list-type=2`;
            "tsv", a table with a header; "json", a list of objects, or an object that has one under "files".
        columns: Columns of the table, or keys of the objects, that hold paths.
        base: URL that those paths are relative to; "" = the folder of the list.
        most_files: More than that is refused.
    """

    kind: Literal["html", "s3", "tsv", "json"]
    columns: tuple[str, ...] = ()
    base: str = ""
    most_files: int = 20_000


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file, or one folder of files, that a dataset is published as.

    Attributes:
        name: File name under which it is kept, such as "name-<commit>.zip".
        urls: Where it can be downloaded, in order of preference.
        kind: "zip" or "tar" (packed or not), whose members are read by name or pattern; "plain"; or
            "folder", a remote folder whose files are found by `listing` or `wanted`.
        also_named: Patterns of other names under which users may have it ("name-*.zip").
        hash_list: TOML of {path inside the archive: SHA-256}, for archives. A single folder on top, as
            GitHub writes it, is no part of these paths. "git-sha1:<hex>" is the name that git gives the file; "not
            known" is recorded when it is first read. An archive's own hash is not kept: hosts pack it anew.
        listing: How the files of a folder are found; its `urls` are then those of the list.
        wanted: For a folder in a bucket: told what has arrived, gives the keys that are needed next. Its `urls`
            are those of the bucket.
        patterns: Paths inside an archive, with "*" for a part of a name and "**/" in front for any folder, where
            only the whole archive can have a hash. Of a folder they start with its name; "<name>/**" is all of it.
        sha256: Hash of a plain file, or of an archive with patterns; None where it is not known: the first one read is
            taken at its word and recorded.
        n_bytes: Exact length where the host serves fixed bytes, else None.
        about_bytes: Length to expect when it is not fixed; for disk checks and progress only.
        under: Folder that a reader finds its members in, where several archives may have the same paths inside; its
            patterns start with it, the paths in the archive do not.
        allow_http: Whether the host offers no https; the hashes then carry the trust alone.
        absent_ok: Whether a host may say that there is no such file, as stores of chunks do of empty ones.
        manual: The exact steps to get it by hand, where no program may: a login, a drive without addresses.
    """

    name: str
    urls: tuple[str, ...]
    kind: Literal["zip", "tar", "plain", "folder"] = "zip"
    also_named: tuple[str, ...] = ()
    hash_list: Path | None = None
    listing: Listing | None = None
    wanted: Wanted | None = None
    patterns: tuple[str, ...] = ()
    sha256: str | None = None
    n_bytes: int | None = None
    about_bytes: int = 0
    allow_http: bool = False
    under: str = ""
    absent_ok: bool = False
    manual: str = ""

    def __post_init__(self) -> None:
        shape = (self.hash_list is not None, bool(self.patterns), self.sha256 is not None)
        if shape not in _SHAPES[self.kind]:
            raise BadInputError(
                f"RemoteFile {self.name!r} is {self.kind!r}: a zip or tar needs hash_list, or patterns; a folder "
                "needs patterns; a plain file has neither hash_list nor patterns."
            )
        ways = (self.listing is not None) + (self.wanted is not None)
        within = all(pattern.startswith(f"{self.name}/") for pattern in self.patterns)
        if self.kind == "folder" and not (within and (ways == 1 or (ways == 0 and self.manual))):
            raise BadInputError(
                f"RemoteFile {self.name!r} is a folder: give listing, wanted or manual, and patterns that start "
                f"with {self.name + '/'!r}."
            )
        if self.under and not all(pattern.startswith(f"{self.under}/") for pattern in self.patterns or [""]):
            raise BadInputError(
                f"RemoteFile {self.name!r} has patterns {self.patterns}; expected all to start with {self.under}/."
            )

    @property
    def members(self) -> Mapping[str, str | None]:
        """{path inside the archive: hash, None where not known}; a plain file has one: itself."""
        if self.patterns:
            return MappingProxyType({})
        if self.hash_list is None:
            return MappingProxyType({self.name: self.sha256})
        return _load_hash_list(self.hash_list)

    @property
    def expected_bytes(self) -> int:
        """Length to plan with."""
        return self.n_bytes or self.about_bytes


_LISTED, _PINNED, _MATCHED, _BARE = (
    (True, False, False),
    (False, True, True),
    (False, True, False),
    (False, False, False),
)
_SHAPES = {
    "zip": {_LISTED, _PINNED, _MATCHED},
    "tar": {_LISTED, _PINNED, _MATCHED},
    "folder": {_PINNED, _MATCHED},
    "plain": {(False, False, True), _BARE},
}
"""{kind: what of (hash_list, patterns, sha256) it may have}."""


@cache
def _load_hash_list(path: Path) -> Mapping[str, str | None]:
    with path.open("rb") as file:
        members = tomllib.load(file)["members"]
    return MappingProxyType(
        {str(name): None if found == NOT_KNOWN else str(found) for name, found in members.items()}
    )
