"""A SAM that keeps its embeddings on disk, so that other prompts and tracks need no encoder. No prompt is read here."""

import contextlib
import hashlib
from pathlib import Path

import torch
from torch import Tensor

from mitobench.baselines.sam.model import PATCH, AnySam, Embedding, Masks
from mitobench.baselines.sam.prompts import Prompts
from mitobench.baselines.sam.weights import tensors_sha256
from mitobench.replacing import replacing


class CachedSam(AnySam):
    """Any SAM, whose `encode` looks on disk first.

    An embedding is found by the weights, the image, the padding and the precision, so no other one can be taken for
    it. It is kept in half the precision, and what comes back is the same the first time and every later time. Each
    file is put in place whole; one that is damaged is made again.

    Args:
        sam: The model; it must not be trained while its embeddings are kept.
        folder: Where files are kept, one for each batch of images; made when it is not there.

    Example:
        `replace(segmenter, sam=CachedSam(segmenter.sam, Path("embeddings")))`
    """

    def __init__(self, sam: AnySam, folder: Path) -> None:
        super().__init__()
        self.sam, self.folder = sam, Path(folder)
        self._weights = tensors_sha256(sam.state_dict())
        self.folder.mkdir(parents=True, exist_ok=True)
        for torn in self.folder.glob(".*.safetensors.*"):  # a killed run's half-written file
            torn.unlink(missing_ok=True)

    @property
    def n_bytes(self) -> int:
        """What the kept embeddings take on disk, those of other models in the folder too."""
        return sum(file.stat().st_size for file in self.folder.glob("*.safetensors"))

    def encode(self, image: Tensor, *, pad_to: int = PATCH) -> Embedding:
        """As the model's own, read from disk where it is known."""
        from safetensors.torch import save_file

        path = self.folder / f"{self._key(image, pad_to)}.safetensors"
        found = _read(path, image.device)
        if found is None:
            made = self.sam.encode(image, pad_to=pad_to)
            maps = {str(n): one for n, one in enumerate([made.features, *made.finer])}
            whole = {name: one.detach().to("cpu", torch.float16).contiguous() for name, one in maps.items()}
            whole["size"] = torch.tensor(made.size)
            with replacing(path) as temporary:
                save_file(whole, temporary)
            found = _embedding(whole, image.device)
        return found

    def decode(
        self, embedding: Embedding, prompts: Prompts | None = None, *, multimask: bool = False
    ) -> Masks:
        """The model's own."""
        return self.sam.decode(embedding, prompts, multimask=multimask)

    def _key(self, image: Tensor, pad_to: int) -> str:
        precise = not torch.is_autocast_enabled(image.device.type)
        digest = hashlib.sha256(f"{self._weights} {tuple(image.shape)} {pad_to} {precise}".encode())
        digest.update(image.detach().float().cpu().contiguous().numpy().data)
        return digest.hexdigest()


def _read(path: Path, device: torch.device) -> Embedding | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with contextlib.suppress(OSError, SafetensorError, KeyError):
        return _embedding(load_file(path), device)
    return None


def _embedding(whole: dict[str, Tensor], device: torch.device) -> Embedding:
    height, width = whole["size"].tolist()
    maps = [whole[str(n)].to(device).float() for n in range(len(whole) - 1)]
    return Embedding(features=maps[0], size=(height, width), finer=tuple(maps[1:]))
