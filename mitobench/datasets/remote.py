"""What one published file is: its names, addresses and hashes. No file is read here except hash lists."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from mitobench.errors import BadInputError

HASH_LISTS = Path(__file__).with_name("hashes")
"""Folder of `<key>.toml` lists: path inside the archive = SHA-256 of that file."""

NOT_KNOWN = "not known"
"""Written on cards, in hash lists and in split manifests where nobody here has seen the value."""


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file that a dataset is published as.

    Attributes:
        name: File name under which it is kept, such as "name-<commit>.zip".
        urls: Where it can be downloaded, in order of preference.
        kind: "zip" or "tar" (packed or not), whose members are read by name or pattern; or "plain".
        also_named: Patterns of other names under which users may have it ("name-*.zip").
        hash_list: TOML of {path inside the archive: SHA-256}, for archives. A single folder on top, as
            GitHub writes it, is no part of these paths. "git-sha1:<hex>" is the name that git gives the file; "not
            known" is recorded when it is first read. An archive's own hash is not kept: hosts pack it anew.
        patterns: Paths inside an archive, with "*" for a part of a name and "**/" in front for any folder, where
            only the whole archive can have a hash.
        sha256: Hash of a plain file, or of an archive with patterns; None where it is not known: the first one read is
            taken at its word and recorded.
        n_bytes: Exact length where the host serves fixed bytes, else None.
        about_bytes: Length to expect when it is not fixed; for disk checks and progress only.
        under: Folder that a reader finds its members in, where several archives may have the same paths inside; its
            patterns start with it, the paths in the archive do not.
        allow_http: Whether the host offers no https; the hashes then carry the trust alone.
    """

    name: str
    urls: tuple[str, ...]
    kind: Literal["zip", "tar", "plain"] = "zip"
    also_named: tuple[str, ...] = ()
    hash_list: Path | None = None
    patterns: tuple[str, ...] = ()
    sha256: str | None = None
    n_bytes: int | None = None
    about_bytes: int = 0
    allow_http: bool = False
    under: str = ""

    def __post_init__(self) -> None:
        listed, matched = self.hash_list is not None, bool(self.patterns)
        fits = (
            {(True, False, False), (False, True, True), (False, True, False)}
            if self.kind in {"zip", "tar"}
            else {(False, False, True), (False, False, False)}
        )
        if (listed, matched, self.sha256 is not None) not in fits:
            raise BadInputError(
                f"RemoteFile {self.name!r} is {self.kind!r}: a zip or tar needs hash_list, or patterns; "
                "a plain file has neither hash_list nor patterns."
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


@cache
def _load_hash_list(path: Path) -> Mapping[str, str | None]:
    with path.open("rb") as file:
        members = tomllib.load(file)["members"]
    return MappingProxyType(
        {str(name): None if found == NOT_KNOWN else str(found) for name, found in members.items()}
    )
