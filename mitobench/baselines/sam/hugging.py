"""SAM 1, 2 and 3 of Hugging Face `transformers`, behind the same two calls as ours. Nothing is downloaded here."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mitobench.baselines.runtime import check_device
from mitobench.baselines.sam.candidates import GridRecipe
from mitobench.baselines.sam.keep import OFFICIAL_RULE
from mitobench.baselines.sam.model import PATCH, AnySam, Embedding, Masks, check_grey
from mitobench.baselines.sam.predict import AutomaticSegmenter
from mitobench.baselines.sam.prompts import Prompts
from mitobench.errors import BadInputError, FormatError, MissingExtraError
from mitobench.segmenter import BaselineCard

EXTRA = "transformers"


@dataclass(frozen=True, kw_only=True)
class Family:
    """What differs between the generations.

    Attributes:
        title: Name shown in tables.
        model: Class of `transformers`.
        mean: Grey values that become 0, by channel.
        std: Grey values per unit, by channel.
        source: Where it was published.
    """

    title: str
    model: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    source: str


_IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
FAMILIES: dict[str, Family] = {
    "sam": Family(
        title="SAM (transformers)",
        model="SamModel",
        source="https://doi.org/10.1109/ICCV51070.2023.00371",
        **_IMAGENET,
    ),
    "sam2": Family(
        title="SAM 2 (transformers)",
        model="Sam2Model",
        source="https://arxiv.org/abs/2408.00714",
        **_IMAGENET,
    ),
    "sam3_tracker": Family(
        title="SAM 3 (transformers)",
        model="Sam3TrackerModel",
        source="https://arxiv.org/abs/2511.16719",
        mean=(127.5, 127.5, 127.5),
        std=(127.5, 127.5, 127.5),
    ),
}
"""By the `model_type` in config.json. The video models of the same weights hold an image model of the same kind."""
_SAME_WEIGHTS = {"sam2_video": "sam2", "sam3_tracker_video": "sam3_tracker", "sam3_video": "sam3_tracker"}


class HuggingSam(AnySam):
    """A model of `transformers` that is asked as our own SamModel is.

    Args:
        model: SamModel, Sam2Model or Sam3TrackerModel.
        family: Its generation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, family: Family) -> None:
        super().__init__()
        self.model = model
        self.side = int(model.config.prompt_encoder_config.image_size)
        self.register_buffer("mean", torch.tensor(family.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(family.std).view(1, -1, 1, 1), persistent=False)

    def encode(self, image: Tensor, *, pad_to: int = PATCH) -> Embedding:
        """Embed grey images; they are padded to the native square, the only size that these models take.

        Args:
            image: (n, 1, y, x) float in [0, 255].
            pad_to: Not used.

        Raises:
            ShapeError: Not (n, 1, y, x).
            BadInputError: Values outside [0, 255], or an image larger than the native square.
        """
        del pad_to
        check_grey(image)
        height, width = image.shape[-2:]
        if max(height, width) > self.side:
            raise BadInputError(
                f"The image is {height} x {width}; this model takes at most {self.side} x {self.side}. Scale it first."
            )
        normal = (image.expand(-1, 3, -1, -1) - self.mean) / self.std
        padded = functional.pad(normal, (0, self.side - width, 0, self.side - height))
        found = self.model.get_image_embeddings(padded)
        *finer, features = found if isinstance(found, list | tuple) else [found]
        return Embedding(features=features, size=(self.side, self.side), finer=tuple(finer))

    def decode(
        self, embedding: Embedding, prompts: Prompts | None = None, *, multimask: bool = False
    ) -> Masks:
        """Masks for a batch of images with any number of prompts each; as `SamModel.decode`, prompts are required.

        Raises:
            BadInputError: No prompts, or prompts with a mask.
        """
        if prompts is None or prompts.masks is not None:
            raise BadInputError("Models of transformers are asked with points or boxes, without a mask.")
        whole = [*embedding.finer, embedding.features]
        given: dict[str, Any] = {"image_embeddings": whole if embedding.finer else whole[0]}
        if prompts.points_xy is not None and prompts.point_labels is not None:
            given["input_points"] = prompts.points_xy
            given["input_labels"] = prompts.point_labels
        if prompts.boxes_xy is not None:
            given["input_boxes"] = prompts.boxes_xy
        found = self.model(**given, multimask_output=multimask)
        return Masks(logits=found.pred_masks, iou=found.iou_scores)


def load_hugging(folder: Path, *, device: str = "cpu") -> AutomaticSegmenter:
    """A SAM from a folder as `transformers` saves one, behind the Segmenter protocol and all prompted tracks.

    Args:
        folder: Holds config.json and safetensors; pickles are refused, nothing is downloaded.
        device: Where it will run.

    Raises:
        FormatError: No config.json, or not of a SAM.
        MissingExtraError: `transformers` is not installed, or too old for this generation.
    """
    kind = _kind(folder)
    family = FAMILIES[kind]
    net = hugging_class(family).from_pretrained(folder, local_files_only=True, use_safetensors=True)
    sam = HuggingSam(net, family).to(check_device(device)).eval()
    card = BaselineCard(
        key=f"{kind.replace('_', '-')}-transformers",
        title=family.title,
        summary=f"{family.model} of Hugging Face transformers, zero-shot from a grid of points.",
        trainable=False,
        runs_untrained=True,
        source=family.source,
        extra=EXTRA,
        parameters=sum(parameter.numel() for parameter in net.parameters()),
    )
    recipe = GridRecipe(per_side=32, crop=sam.side, input=sam.side)
    return AutomaticSegmenter(card=card, sam=sam, recipe=recipe, rule=OFFICIAL_RULE, device=device, threads=0)


def hugging_class(family: Family) -> Any:
    """The class of `transformers` for a generation.

    Raises:
        MissingExtraError: `transformers` is not installed, or too old to have it.
    """
    try:
        import transformers

        return getattr(transformers, family.model)
    except (ImportError, AttributeError) as error:
        raise MissingExtraError(f"transformers with {family.model}", EXTRA, family.title) from error


def _kind(folder: Path) -> str:
    path = folder / "config.json"
    try:
        said = json.loads(path.read_bytes())["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{path} names no model_type; expected a folder as transformers saves one, with config.json."
        ) from error
    kind = _SAME_WEIGHTS.get(str(said), str(said))
    if kind not in FAMILIES:
        raise FormatError(f"{path}: model_type is {said!r}; expected one of {', '.join(FAMILIES)}.")
    return kind


_NAMES = (
    (r"^image_encoder\.blocks", "vision_encoder.layers"),
    (r"^image_encoder\.patch_embed\.proj", "vision_encoder.patch_embed.projection"),
    (r"^image_encoder\.neck\.0", "vision_encoder.neck.conv1"),
    (r"^image_encoder\.neck\.1", "vision_encoder.neck.layer_norm1"),
    (r"^image_encoder\.neck\.2", "vision_encoder.neck.conv2"),
    (r"^image_encoder\.neck\.3", "vision_encoder.neck.layer_norm2"),
    (r"^image_encoder", "vision_encoder"),
    (
        r"^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix",
        "shared_image_embedding.positional_embedding",
    ),
    (r"\.point_embeddings\.", ".point_embed."),
    (r"\.mask_downscaling\.0", ".mask_embed.conv1"),
    (r"\.mask_downscaling\.1", ".mask_embed.layer_norm1"),
    (r"\.mask_downscaling\.3", ".mask_embed.conv2"),
    (r"\.mask_downscaling\.4", ".mask_embed.layer_norm2"),
    (r"\.mask_downscaling\.6", ".mask_embed.conv3"),
    (r"\.output_upscaling\.0", ".upscale_conv1"),
    (r"\.output_upscaling\.1", ".upscale_layer_norm"),
    (r"\.output_upscaling\.3", ".upscale_conv2"),
    (r"(mlps\.\d|iou_prediction_head)\.layers\.0\.", r"\1.proj_in."),
    (r"(mlps\.\d|iou_prediction_head)\.layers\.1\.", r"\1.layers.0."),
    (r"(mlps\.\d|iou_prediction_head)\.layers\.2\.", r"\1.proj_out."),
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"\.norm(\d)\.", r".layer_norm\1."),
)
_SHARED = (
    "shared_image_embedding.positional_embedding",
    "prompt_encoder.shared_embedding.positional_embedding",
)


def hugging_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a SAM 1 in the official names, under the names of `transformers`.

    Args:
        tensors: By official name.
    """
    renamed = {}
    for name, tensor in tensors.items():
        new = name
        for pattern, replacement in _NAMES:
            new = re.sub(pattern, replacement, new)
        renamed[new] = tensor
    first, again = _SHARED
    return renamed | {again: renamed[first]} if first in renamed else renamed
