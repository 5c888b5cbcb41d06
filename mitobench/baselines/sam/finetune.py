"""The recipe for fine-tuning SAM: what is trained, at which rate, on which view. The loop: training.py.

Prompt-free: the mask decoder is asked without points or boxes, so its learnt "no mask" vector becomes the prompt
"mitochondria". One answer per image, enlarged to the input before the loss sees it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mitobench.baselines.checkpoint import Checkpoint, WeightsFile, read_weights
from mitobench.baselines.network import NetworkSegmenter, View
from mitobench.baselines.run import Run
from mitobench.baselines.runtime import check_device, use_bf16
from mitobench.baselines.sam.model import SamModel, build_sam
from mitobench.baselines.sam.shapes import SHAPES, WEIGHTS_URL, SamShape
from mitobench.baselines.sam.weights import check_official, fill, find_official, load_official
from mitobench.baselines.settings import setting
from mitobench.baselines.training import TrainSettings, train_network
from mitobench.errors import BadInputError
from mitobench.segmenter import BaselineCard

NEVER_TRAINED = (
    "prompt_encoder.point_embeddings.",
    "prompt_encoder.not_a_point_embed.",
    "prompt_encoder.mask_downscaling.",
    "mask_decoder.iou_prediction_head.",
    "mask_decoder.output_hypernetworks_mlps.1.",
    "mask_decoder.output_hypernetworks_mlps.2.",
    "mask_decoder.output_hypernetworks_mlps.3.",
)
"""Weights that a prompt-free single-mask loss cannot reach; frozen by name so that weight decay does not eat them."""
_ENCODER = "image_encoder."
_BLOCKS_AFTER = {"neck": 0}
_RANDOM = "random"


@dataclass(frozen=True, kw_only=True)
class SamSettings(TrainSettings):
    """What SAM adds to the training settings; defaults are those of the official sizes on a GPU."""

    train: str = setting(
        "all",
        "What learns: every weight, the mask decoder alone, or only the rule that keeps or drops automatic masks.",
        choices=("all", "decoder", "rule"),
    )
    weights: str = setting(
        "", f"Official weights, or the folder they lie in; {_RANDOM!r} starts from random ones."
    )
    steps: int = setting(2000, "Training steps.")
    batch: int = setting(16, "Crops per step.")
    input: int = setting(512, "Side that the crop is scaled to before the network sees it, in pixels.")
    learning_rate: float = setting(2e-4, "Highest learning rate of AdamW, for prompts and mask decoder.")
    encoder_rate: float = setting(
        0.1, "Learning rate of the last encoder block, as a fraction of the decoder's."
    )
    layer_decay: float = setting(
        0.8, "Each encoder block learns at this fraction of the rate of the block after it."
    )
    warmup: int = setting(100, "Steps over which the learning rate rises; then it falls as a cosine.")
    threads: int = setting(0, "Processor threads; 0 leaves the number to torch.")
    val_every: int = setting(200, "Steps between two validations.")
    save_every: int = setting(500, "Steps between two saved states, each three times the weights.")
    grid: int = setting(
        32, "Points along each side of the prompt grid of automatic masks; used by train=rule."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input % 16:
            raise BadInputError(f"Setting input is {self.input}; expected a multiple of 16 (SAM's patches).")


@dataclass(frozen=True, kw_only=True)
class TinySettings(SamSettings):
    """The recipe of the tiny SAM: everything from a random start, in minutes on one processor core."""

    steps: int = setting(800, "Training steps.")
    batch: int = setting(8, "Crops per step.")
    input: int = setting(256, "Side that the crop is scaled to before the network sees it, in pixels.")
    learning_rate: float = setting(2e-3, "Highest learning rate of AdamW.")
    encoder_rate: float = setting(
        1.0, "Learning rate of the last encoder block, as a fraction of the decoder's."
    )
    layer_decay: float = setting(
        1.0, "Each encoder block learns at this fraction of the rate of the block after it."
    )
    warmup: int = setting(50, "Steps over which the learning rate rises; then it falls as a cosine.")
    threads: int = setting(1, "Processor threads; 0 leaves the number to torch.")
    val_every: int = setting(100, "Steps between two validations.")
    save_every: int = setting(50, "Steps between two saved states, each three times the weights.")
    grid: int = setting(
        16, "Points along each side of the prompt grid of automatic masks; used by train=rule."
    )


class PromptFree(nn.Module):
    """SAM as a network that maps grey squares to mask logits, asked without any prompt.

    Args:
        sam: The model.
        encoder_learns: Whether gradients go back into the image encoder.
    """

    def __init__(self, sam: SamModel, *, encoder_learns: bool = True) -> None:
        super().__init__()
        self.sam, self._encoder_learns = sam, encoder_learns

    def forward(self, image: Tensor) -> Tensor:
        """Logits of (n, 1, y, x) grey values in [0, 255], same shape, float32."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._encoder_learns):
            embedding = self.sam.encode(image)
        logits = self.sam.decode(embedding).logits[:, 0].float()
        return functional.interpolate(logits, size=image.shape[-2:], mode="bilinear", align_corners=False)


def finetune(card: BaselineCard, run: Run, settings: SamSettings, *, device: str) -> Path:
    """Fine-tune SAM without prompts and write its checkpoint.

    Args:
        card: Names the size.
        run: Data, folder, seed.
        settings: The recipe; `train` is "all" or "decoder".
        device: Where to train.

    Returns:
        The checkpoint folder.

    Raises:
        BadInputError: An official size without weights, or data that cannot be learnt from.
        IntegrityError: The weights are not the official file.
    """
    sam, base = start_weights(card.key, settings, seed=run.seed)
    freeze(sam, encoder_learns=settings.train == "all")
    bf16 = use_bf16(settings.precision, check_device(device))
    segmenter = prompt_free_segmenter(card, sam, settings, device=device, bf16=bf16)
    return train_network(run, segmenter, settings, base=base, rate=encoder_rates(card.key, settings))


def restore_finetuned(
    card: BaselineCard, folder: Path, checkpoint: Checkpoint, settings: SamSettings, *, device: str
) -> NetworkSegmenter:
    """The fine-tuned SAM of a checkpoint folder.

    Args:
        card: Names the size.
        folder: The checkpoint folder.
        checkpoint: What its checkpoint.json says.
        settings: Of that checkpoint.
        device: Where it will run.

    Raises:
        IntegrityError: The weights are not those that the checkpoint names.
        FormatError: They do not fit this size.
    """
    sam = build_sam(shape_for(card.key, settings), seed=checkpoint.seed)
    segmenter = prompt_free_segmenter(
        card,
        sam,
        settings,
        device=check_device(device),
        bf16=bool(checkpoint.found["bf16"]),
        threshold=float(checkpoint.found["threshold"]),
    )
    fill(segmenter.net, read_weights(folder, checkpoint), source=str(folder))
    segmenter.net.to(device).eval()
    return segmenter


def start_weights(key: str, settings: SamSettings, *, seed: int) -> tuple[SamModel, WeightsFile | None]:
    """SAM as training finds it: official weights where a size has some, else random ones.

    Args:
        key: Names the size.
        settings: `weights` and `input` are used.
        seed: Of random weights.

    Returns:
        The model, and the file it was filled from; None for a random start.

    Raises:
        BadInputError: An official size without weights, or a size of our own with some.
        IntegrityError: The weights are not the official file.
    """
    official, shape = SHAPES[key].official, shape_for(key, settings)
    if settings.weights == _RANDOM or (official is None and not settings.weights):
        return build_sam(shape, seed=seed), None
    if official is None:
        raise BadInputError(
            f"Baseline {key!r} has no official weights, but weights is {settings.weights!r}. Leave it out."
        )
    if not settings.weights:
        raise BadInputError(
            f"Baseline {key!r} needs its official weights. Download {WEIGHTS_URL}{official.name} "
            f"({official.n_bytes / 1e6:.0f} MB) and give its path as weights, or train from weights={_RANDOM}."
        )
    path = find_official(official, Path(settings.weights))
    described = check_official(official, path)
    return load_official(build_sam(shape, seed=seed), path), described


def shape_for(key: str, settings: SamSettings) -> SamShape:
    """The shape of a size; one without official weights is made for the input it will see.

    Args:
        key: Names the size.
        settings: `input` is used.
    """
    shape = SHAPES[key]
    return shape if shape.official else replace(shape, image_size=settings.input)


def freeze(sam: SamModel, *, encoder_learns: bool) -> None:
    """Switch off gradients of everything that the recipe does not train.

    Args:
        sam: Changed in place.
        encoder_learns: Whether the image encoder is trained.
    """
    for name, parameter in sam.named_parameters():
        frozen = name.startswith(NEVER_TRAINED) or (name.startswith(_ENCODER) and not encoder_learns)
        parameter.requires_grad_(not frozen)


def encoder_rates(key: str, settings: SamSettings) -> Callable[[str], float]:
    """Learning rate of each parameter as a fraction of the decoder's: lower towards the encoder's input.

    Args:
        key: Names the size.
        settings: `encoder_rate` and `layer_decay` are used.

    Returns:
        A function of the parameter's name.
    """
    depth = SHAPES[key].depth

    def rate(name: str) -> float:
        _, found, inside = name.partition(_ENCODER)
        if not found:
            return 1.0
        part, _, rest = inside.partition(".")
        blocks_after = (
            depth - 1 - int(rest.partition(".")[0]) if part == "blocks" else _BLOCKS_AFTER.get(part, depth)
        )
        return settings.encoder_rate * settings.layer_decay**blocks_after

    return rate


def prompt_free_segmenter(
    card: BaselineCard,
    sam: SamModel,
    settings: SamSettings,
    *,
    device: str,
    bf16: bool,
    threshold: float = 0.5,
) -> NetworkSegmenter:
    """SAM behind the Segmenter protocol, asked without prompts in tiles of the size it is trained on."""
    return NetworkSegmenter(
        card=card,
        net=PromptFree(sam, encoder_learns=settings.train == "all"),
        view=View(
            shrink=settings.crop / settings.input,
            tile=settings.input,
            halo=settings.input // 4,
            turns=settings.turns,
        ),
        threshold=threshold,
        device=device,
        bf16=bf16,
        threads=settings.threads,
    )
