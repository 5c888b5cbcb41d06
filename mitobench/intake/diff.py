"""Which changes a submission may make: files of one entry, plain files, by whoever owns its key. Knows no git."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mitobench.errors import IntakeError

_STEM = r"[a-z0-9]+(?:[_-][a-z0-9]+)*@[0-9a-z]+(?:-[0-9a-z]+)*\.[a-z0-9]+(?:-[a-z0-9]+)*\.(?:0|[1-9][0-9]*)"
_KEY = r"(?P<key>[a-z0-9]+(?:-[a-z0-9]+)*)"
KINDS: tuple[tuple[str, re.Pattern[str], int], ...] = (
    ("card", re.compile(rf"leaderboard/{_KEY}/model\.toml"), 1 << 16),
    ("record", re.compile(rf"leaderboard/{_KEY}/{_STEM}\.json"), 1 << 20),
    (
        "table",
        re.compile(rf"leaderboard/{_KEY}/tables/{_STEM}(?:\.objects|\.tiles|\.outlines|\.answers)?\.csv"),
        1 << 25,
    ),
    ("curve", re.compile(rf"leaderboard/{_KEY}/curves/{_STEM}\.json"), 1 << 20),
    ("picture", re.compile(rf"leaderboard/{_KEY}/gallery/{_STEM}/[A-Za-z0-9][A-Za-z0-9._-]*\.png"), 1 << 22),
    ("dispute", re.compile(rf"leaderboard/disputes/{_KEY}\.{_STEM}\.[0-9]+\.toml"), 1 << 14),
    ("derived", re.compile(r"leaderboard/(?:table\.csv|board\.json|ledger\.csv)"), 1 << 25),
)
"""(kind, path, most bytes): all that a submission may hold. "derived" files are made from the others."""
MAX_FILES = 500
"""Most files of one submission."""
RESERVED = frozenset({"disputes", "changes"})
"""Folders of the leaderboard that are no entry."""
REGULAR = "100644"
"""Mode of a plain file that is not executable."""
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One changed path, as `git diff --raw` tells it.

    Attributes:
        path: From the root of the repository.
        status: "A" added, "M" modified, "D" deleted, "T" type changed, or another letter of git's.
        mode: Mode after the change, such as "100644"; "000000" once deleted.
        n_bytes: Size after the change.
    """

    path: str
    status: str
    mode: str
    n_bytes: int = 0


def parse_raw_diff(raw: bytes) -> list[tuple[Change, str]]:
    """Read `git diff --raw -z --no-renames --abbrev=40`.

    Args:
        raw: Its output.

    Returns:
        (change, name of the blob after it) in the order of git; sizes are not in there and stay 0.

    Raises:
        IntakeError: It is something else, or a path is no text.
    """
    fields = raw.split(b"\0")
    if fields and fields[-1] == b"":
        fields.pop()
    if len(fields) % 2 or (raw and not raw.endswith(b"\0")):
        raise IntakeError("The list of changes is cut off; expected the output of git diff --raw -z.")
    found = []
    for head, path in zip(fields[::2], fields[1::2], strict=True):
        parts = head.decode("ascii", "replace").split(" ")
        if len(parts) != 5 or not parts[0].startswith(":"):
            raise IntakeError(
                f"The list of changes holds {head[:80]!r}; expected git diff --raw -z --no-renames."
            )
        try:
            name = path.decode("utf-8")
        except UnicodeDecodeError:
            raise IntakeError(f"The path {path[:80]!r} is no text. Rename the file.") from None
        found.append((Change(path=name, status=parts[4][:1], mode=parts[1]), parts[3]))
    return found


def check_changes(
    changes: Sequence[Change], *, author: str, owners: Mapping[str, str], is_maintainer: bool = False
) -> str:
    """Refuse a submission that touches more than one entry of its author's.

    Args:
        changes: All of them.
        author: Login of whoever sends it, as the platform says, never as the submission says.
        owners: Key to login, from the accepted state of the leaderboard; "" where nobody is recorded.
        is_maintainer: Whether the author may change entries of others.

    Returns:
        Key of the entry.

    Raises:
        IntakeError: Lists everything that is wrong with it.
    """
    if not _LOGIN.fullmatch(author):
        raise IntakeError(f"The author {author!r} is no login.")
    if not changes:
        raise IntakeError("The submission changes nothing. Add the folder of an entry.")
    if len(changes) > MAX_FILES:
        raise IntakeError(
            f"The submission changes {len(changes)} files; at most {MAX_FILES} belong to one entry."
        )
    wrong: list[str] = []
    keys: set[str] = set()
    own: set[str] = set()
    for change in changes:
        kind, key = _kind(change.path)
        wrong += _wrong_with(change, kind)
        if key:
            keys.add(key)
            own |= {key} if kind != "dispute" else set()
    if len(keys) > 1:
        wrong.append(f"it touches {len(keys)} entries: {', '.join(sorted(keys))}; send one at a time")
    if not keys and not wrong:
        wrong.append("it touches no entry; add the folder of one")
    wrong += [
        f"{key} belongs to {owners[key] or 'the maintainers'}, not to {author}; choose another key"
        for key in sorted(own)
        if key in owners and owners[key].lower() != author.lower() and not is_maintainer
    ]
    if wrong:
        raise IntakeError("\n".join(["The submission cannot be taken:", *(f"- {one}" for one in wrong)]))
    return keys.pop()


def kind_of(path: str) -> str:
    """Which of `KINDS` a path is; "" for none."""
    return _kind(path)[0]


def _kind(path: str) -> tuple[str, str]:
    for kind, pattern, _ in KINDS:
        match = pattern.fullmatch(path) if path.isascii() else None
        if match is not None:
            key = match.groupdict().get("key", "")
            return ("", "") if key in RESERVED else (kind, key)
    return "", ""


def _wrong_with(change: Change, kind: str) -> Iterable[str]:
    shown = ascii(change.path)
    if not kind:
        return [f"{shown} is no file of an entry; send model.toml, records and their tables alone, no code"]
    if change.status == "D":
        if kind == "picture":
            return []
        return [f"{shown} is deleted; a row never vanishes: give its record the status 'withdrawn'"]
    if change.status not in {"A", "M"} or change.mode != REGULAR:
        return [
            f"{shown} is no plain file (git says {change.status!r}, mode {change.mode!r}); copy the file itself"
        ]
    limit = next(most for name, _, most in KINDS if name == kind)
    if change.n_bytes > limit:
        return [f"{shown} has {change.n_bytes} bytes; at most {limit} are taken"]
    return []
