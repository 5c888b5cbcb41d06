"""The folder layout of nnU-Net: which cases are train, val and test, and where their files lie. Reads no voxel."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mitobench.errors import FormatError

SPLITS = ("train", "val", "test")
_LIMIT = 1 << 20  # bytes; a list of a few names is far below
_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One volume of a dataset in this layout.

    Attributes:
        name: `<split>-<case>`, lower-case letters, digits and dashes.
        case: As published.
        image: Path of the image.
        labels: Path of the labels.
    """

    name: str
    case: str
    image: str
    labels: str


def read_cases(split_file: bytes, name: str, *, folder: str, members: Iterable[str]) -> list[Case]:
    """Pair the cases of a published split file with images and labels. The file is somebody else's: nothing is assumed.

    Args:
        split_file: JSON: a list of one object {"train", "val", "test": [case, ...]}.
        name: Its path, for errors.
        folder: Folder of the dataset in the archive.
        members: All images and labels of the archive.

    Returns:
        Every case once, train before val before test, in the order of the file.

    Raises:
        FormatError: Another form, a case that is no plain name, that is listed twice or has no files.
    """
    there, cases = set(members), []
    for split, listed in _lists(split_file, name).items():
        for case in listed:
            if not isinstance(case, str) or not _CASE.fullmatch(case):
                raise FormatError(
                    f"{name} lists the case {case!r:.80}; expected letters, digits, - and _. Get it again."
                )
            part = "Ts" if split == "test" else "Tr"
            image, labels = (
                f"{folder}/images{part}/{case}_0000.nii.gz",
                f"{folder}/labels{part}/{case}.nii.gz",
            )
            if missing := [path for path in (image, labels) if path not in there]:
                raise FormatError(
                    f"{name} lists {case} for {split}, but the archive lacks {missing[0]}. Get the archive again."
                )
            own = re.sub(r"[_-]+", "-", case.lower()).strip("-")
            cases.append(Case(name=f"{split}-{own}", case=case, image=image, labels=labels))
    once = {case.name.split("-", 1)[1] for case in cases}
    if len(once) != len(cases):
        raise FormatError(
            f"{name} lists {len(cases)} cases but only {len(once)} different ones. A volume may be in one split only; "
            "the file is not the published one."
        )
    return cases


def _lists(split_file: bytes, name: str) -> Mapping[str, list[Any]]:
    if len(split_file) > _LIMIT:
        raise FormatError(f"{name} has {len(split_file)} bytes; expected at most {_LIMIT}. Get it again.")
    try:
        found = json.loads(split_file)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name} is no JSON ({error}). The file is damaged; get it again.") from error
    if isinstance(found, dict):
        raise FormatError(
            f"{name} is one object; expected a list of one. So it is in the copy on Hugging Face, whose labels are "
            "classes (1 mitochondrion, 2 rim) and not objects. Get the archive from Zenodo, as the card says."
        )
    fits = isinstance(found, list) and len(found) == 1 and isinstance(found[0], dict)
    if not fits or not all(isinstance(found[0].get(split), list) and found[0][split] for split in SPLITS):
        raise FormatError(
            f"{name} has another form; expected a list of one object with {', '.join(SPLITS)}, each a list of cases. "
            "The file is not the published one; get it again."
        )
    return {split: found[0][split] for split in SPLITS}
