"""Official weight files, checked by length and hash before they are opened. No network access."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from mitobench.baselines.checkpoint import WeightsFile, describe_file
from mitobench.baselines.sam.shapes import WEIGHTS_URL, OfficialFile
from mitobench.errors import BadInputError, FormatError, IntegrityError

M = TypeVar("M", bound=nn.Module)


def find_official(official: OfficialFile, path: Path) -> Path:
    """The official file itself, or the one of that name inside a folder.

    Raises:
        BadInputError: There is no such file.
    """
    found = path / official.name if path.is_dir() else path
    if not found.is_file():
        raise BadInputError(
            f"{found} does not exist; expected the official weights. Download {WEIGHTS_URL}{official.name} "
            f"({official.n_bytes / 1e6:.0f} MB) and give its path."
        )
    return found


def check_official(official: OfficialFile, path: Path) -> WeightsFile:
    """Compare a file with what is known of the official one; nothing is unpacked.

    Args:
        official: What is expected.
        path: The file.

    Returns:
        Its name, length and hash.

    Raises:
        FormatError: It is a web page, not weights.
        IntegrityError: Its length or hash differs.
    """
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise FormatError(
            f"{path} is a web page, not weights; the download was redirected. Get {WEIGHTS_URL}{official.name} again."
        )
    size = path.stat().st_size
    if size != official.n_bytes:
        kind = "truncated" if size < official.n_bytes else "another file"
        raise IntegrityError(
            f"{path} has {size:,} bytes, {official.name} has {official.n_bytes:,}: {kind}. Download it again."
        )
    found = describe_file(path)
    if found.sha256 != official.sha256:
        raise IntegrityError(
            f"{path}: sha256 is {found.sha256[:12]}..., {official.name} has {official.sha256[:12]}.... "
            "Download it again; the six digits in its name are no sha256."
        )
    return found


def load_official(model: M, path: Path) -> M:
    """Fill a model from a file that `check_official` has accepted; only tensors are unpacked from it.

    Args:
        model: Of the size that the file belongs to; changed in place.
        path: The file.

    Returns:
        The model.

    Raises:
        FormatError: Its tensors are not those of this model.
    """
    tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    fill(model, tensors, source=str(path))
    return model


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values, 64 hex digits; the order does not matter."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fill(
    model: nn.Module,
    tensors: dict[str, Tensor],
    *,
    source: str,
    only: Mapping[str, Tensor] | None = None,
) -> None:
    """Load tensors by name into a model; every name and shape must match.

    Args:
        model: Changed in place.
        tensors: What to load.
        source: Where it came from, for messages.
        only: The part of the model that is to be loaded; None for all of it.

    Raises:
        FormatError: Names are missing or unknown, or shapes differ; all are listed.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in (only or model.state_dict()).items()}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    problems = [f"missing {name}" for name in sorted(wanted.keys() - given.keys())]
    problems += [f"unknown {name}" for name in sorted(given.keys() - wanted.keys())]
    problems += [
        f"{name} has shape {given[name]}, expected {wanted[name]}"
        for name in sorted(wanted.keys() & given.keys())
        if given[name] != wanted[name]
    ]
    if problems:
        shown = "; ".join(problems[:8]) + (f"; and {len(problems) - 8} more" if len(problems) > 8 else "")
        raise FormatError(f"{source} does not fit this model: {shown}. Was it made for another size?")
    model.load_state_dict(tensors, strict=only is None)
