"""SAM from segment_anything.modeling, as two calls: encode an image, decode prompts. No training here.

The package's own predictor, transforms and mask generator are not used: its batched resize is wrong in the released
version, its decoder takes one image at a time, and its builders load pickles unchecked.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mitobench.baselines.runtime import seeded
from mitobench.baselines.sam.attention import fold_attention
from mitobench.baselines.sam.prompts import NO_POINT, Prompts
from mitobench.baselines.sam.shapes import SamShape
from mitobench.baselines.sam.stem import FineMaps, Stem
from mitobench.errors import BadInputError, ShapeError

PATCH = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """Images as the encoder sees them.

    Attributes:
        features: (images, channels, rows, columns), one vector for each patch of 16 x 16 pixels.
        size: (height, width) of the encoder's input in pixels, padding included.
        finer: Maps of higher resolution that newer models make too, finest first.
    """

    features: Tensor
    size: tuple[int, int]
    finer: tuple[Tensor, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Masks:
    """What the decoder answers.

    Attributes:
        logits: (images, prompts, masks, 4 * rows, 4 * columns); enlarge them first, then threshold at 0.
        iou: (images, prompts, masks), the model's own guess of each mask's IoU.
    """

    logits: Tensor
    iou: Tensor


class AnySam(nn.Module, ABC):
    """A SAM as the rest of this package asks it, wherever its weights come from."""

    @abstractmethod
    def encode(self, image: Tensor, *, pad_to: int = PATCH) -> Embedding:
        """Embed (n, 1, y, x) grey values in [0, 255]."""

    @abstractmethod
    def decode(
        self, embedding: Embedding, prompts: Prompts | None = None, *, multimask: bool = False
    ) -> Masks:
        """Masks for a batch of images with any number of prompts each."""


class SamModel(AnySam):
    """Segment Anything with the weight names of the official files.

    Args:
        shape: Its size.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: SamShape) -> None:
        super().__init__()
        from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer

        grid = shape.image_size // PATCH
        self.image_encoder = ImageEncoderViT(
            img_size=shape.image_size,
            patch_size=PATCH,
            in_chans=shape.channels,
            embed_dim=shape.embed_dim,
            depth=shape.depth,
            num_heads=shape.heads,
            mlp_ratio=4,
            out_chans=shape.prompt_dim,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=shape.window,
            global_attn_indexes=shape.global_blocks,
        )
        fold_attention(self.image_encoder)
        self.prompt_encoder = PromptEncoder(
            embed_dim=shape.prompt_dim,
            image_embedding_size=(grid, grid),
            input_image_size=(shape.image_size, shape.image_size),
            mask_in_chans=16,
        )
        self.mask_decoder = MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(
                depth=2,
                embedding_dim=shape.prompt_dim,
                mlp_dim=shape.decoder_mlp,
                num_heads=shape.decoder_heads,
            ),
            transformer_dim=shape.prompt_dim,
            iou_head_depth=3,
            iou_head_hidden_dim=shape.prompt_dim,
        )
        self.fine_maps: FineMaps | None = None
        if shape.stem:
            self.image_encoder.patch_embed = Stem(shape)
            self.fine_maps = FineMaps(shape)
        self.channels = shape.channels
        self.register_buffer("mean", torch.tensor(shape.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(shape.std).view(1, -1, 1, 1), persistent=False)

    def encode(self, image: Tensor, *, pad_to: int = PATCH) -> Embedding:
        """Embed a batch of grey images of any size.

        Sides that are no multiple of `pad_to` are padded below and to the right with 0 after normalisation, as SAM was
        trained; black before it would look like something.

        Args:
            image: (n, 1, y, x) float in [0, 255].
            pad_to: A multiple of 16; the native size for images that are to fill SAM's square.

        Returns:
            Their embedding; positions are interpolated when the size is not the native one.

        Raises:
            ShapeError: Not (n, 1, y, x).
            BadInputError: Values below 0 or above 255: normalised already, or not scaled.
        """
        check_grey(image)
        normal = (image.expand(-1, self.channels, -1, -1) - self.mean) / self.std
        height, width = normal.shape[-2:]
        padded = functional.pad(normal, (0, -width % pad_to, 0, -height % pad_to))
        tokens, finer = self._look(padded)
        tokens = tokens + self._positions((tokens.shape[1], tokens.shape[2]))
        for block in self.image_encoder.blocks:
            tokens = block(tokens)
        features = self.image_encoder.neck(tokens.permute(0, 3, 1, 2))
        return Embedding(features=features, size=(padded.shape[-2], padded.shape[-1]), finer=finer)

    def decode(
        self, embedding: Embedding, prompts: Prompts | None = None, *, multimask: bool = False
    ) -> Masks:
        """Masks for a batch of images with any number of prompts each.

        Args:
            embedding: From `encode`.
            prompts: For the same images, or for one of them repeated; None asks without any prompt.
            multimask: Three masks for each prompt instead of one.

        Returns:
            Logits on a grid of 4 pixels, and guessed IoUs. Without prompts there is one answer per image.

        Raises:
            ShapeError: The prompts are for another number of images, or their masks on another grid.
        """
        decoder, features = self.mask_decoder, embedding.features
        images, _, rows, columns = features.shape
        if prompts is None:
            sparse = features.new_zeros((images, 1, 0, features.shape[1]))
        else:
            sparse = self._embed_prompts(prompts, embedding.size)
        if len(sparse) != images:
            raise ShapeError(f"The prompts are for {len(sparse)} images but the embedding holds {images}.")
        each = sparse.shape[1]
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([own.expand(images * each, -1, -1), sparse.flatten(0, 1)], dim=1)
        source = self._with_masks(features, each, None if prompts is None else prompts.masks)
        with _full_precision(features):
            places = self.prompt_encoder.pe_layer((rows, columns)).expand(images * each, -1, -1, -1)
        answers, source = decoder.transformer(source, places, tokens)
        enlarged: Any = self._enlarge(source.transpose(1, 2).unflatten(2, (rows, columns)), embedding.finer)
        wanted = range(1, decoder.num_mask_tokens) if multimask else range(1)
        kernels = torch.stack(
            [decoder.output_hypernetworks_mlps[index](answers[:, 1 + index]) for index in wanted], dim=1
        )
        logits = (kernels @ enlarged.flatten(2)).unflatten(2, enlarged.shape[-2:])
        iou = decoder.iou_prediction_head(answers[:, 0])[:, list(wanted)]
        return Masks(logits=logits.unflatten(0, (images, each)), iou=iou.unflatten(0, (images, each)))

    def _with_masks(self, features: Tensor, each: int, masks: Tensor | None) -> Tensor:
        """Features for each prompt, (images * prompts, channels, rows, columns), plus what an earlier mask says."""
        encoder = self.prompt_encoder
        if masks is None:
            alone: Tensor = features + encoder.no_mask_embed.weight.view(1, -1, 1, 1)
            return alone.repeat_interleave(each, dim=0)
        wanted = (len(features), each, 4 * features.shape[2], 4 * features.shape[3])
        if masks.shape != wanted:
            raise ShapeError(
                f"The masks have shape {tuple(masks.shape)}; expected {wanted}: logits of an answer."
            )
        said: Tensor = encoder.mask_downscaling(masks.flatten(0, 1)[:, None])
        return features.repeat_interleave(each, dim=0) + said

    def _look(self, image: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Tokens of a normalised image, and maps of higher resolution where there is a stem."""
        if self.fine_maps is None:
            return self.image_encoder.patch_embed(image), ()
        tokens, finer = self.image_encoder.patch_embed(image)
        return tokens, finer

    def _enlarge(self, source: Tensor, finer: tuple[Tensor, ...]) -> Tensor:
        if self.fine_maps is None:
            enlarged: Tensor = self.mask_decoder.output_upscaling(source)
            return enlarged
        merged: Tensor = self.fine_maps(self.mask_decoder.output_upscaling, source, finer)
        return merged

    def _positions(self, grid: tuple[int, int]) -> Tensor:
        positions: Tensor = self.image_encoder.pos_embed
        if positions.shape[1:3] == grid:
            return positions
        resized = functional.interpolate(
            positions.permute(0, 3, 1, 2), size=grid, mode="bicubic", align_corners=False
        )
        return resized.permute(0, 2, 3, 1)

    def _embed_prompts(self, prompts: Prompts, size: tuple[int, int]) -> Tensor:
        """(images, prompts, tokens, channels); as the package does it, without its writes through boolean masks."""
        return torch.cat(list(self._prompt_tokens(prompts, size)), dim=2)

    def _prompt_tokens(self, prompts: Prompts, size: tuple[int, int]) -> Iterator[Tensor]:
        encoder = self.prompt_encoder
        if prompts.points_xy is not None and prompts.point_labels is not None:
            places, labels = prompts.points_xy, prompts.point_labels
            if prompts.boxes_xy is None:  # the package ends points that come without a box with a "no point"
                places = functional.pad(places, (0, 0, 0, 1))
                labels = functional.pad(labels, (0, 1), value=NO_POINT)
            kind = torch.stack([encoder.point_embeddings[0].weight[0], encoder.point_embeddings[1].weight[0]])
            known = self._embed_places(places, size) + kind[labels.clamp(min=0)]
            yield torch.where((labels == NO_POINT)[..., None], encoder.not_a_point_embed.weight[0], known)
        if prompts.boxes_xy is not None:
            corners = prompts.boxes_xy.reshape(*prompts.boxes_xy.shape[:2], 2, 2)
            kind = torch.stack([encoder.point_embeddings[2].weight[0], encoder.point_embeddings[3].weight[0]])
            yield self._embed_places(corners, size) + kind

    def _embed_places(self, places_xy: Tensor, size: tuple[int, int]) -> Tensor:
        with _full_precision(places_xy):
            embedded: Tensor = self.prompt_encoder.pe_layer.forward_with_coords(
                places_xy.flatten(0, 1) + 0.5, size
            )
        return embedded.reshape(*places_xy.shape[:-1], -1)


def build_sam(shape: SamShape, *, seed: int) -> SamModel:
    """A SAM with random weights.

    The package leaves the positions at zero and draws the matrix of its prompt positions from the global generator;
    here both come from the seed.

    Args:
        shape: Its size.
        seed: Of all weights and of that matrix.

    Source: Kirillov et al. (2023), https://doi.org/10.1109/ICCV51070.2023.00371.
    """
    with seeded(seed):
        model = SamModel(shape)
        nn.init.trunc_normal_(model.image_encoder.pos_embed, std=0.02)
    return model.eval()


def _full_precision(like: Tensor) -> torch.autocast:
    """No autocast inside: bfloat16 tells 256 places apart, an image of 1024 pixels has more."""
    return torch.autocast(device_type=like.device.type, enabled=False)


def check_grey(image: Tensor) -> None:
    """Refuse what is not grey values in [0, 255], (n, 1, y, x) float; errors as in `SamModel.encode`."""
    if image.ndim != 4 or image.shape[1] != 1:
        raise ShapeError(
            f"The image has shape {tuple(image.shape)}; expected (n, 1, y, x). For one slice use image[None, None]."
        )
    if not image.is_floating_point():
        raise BadInputError(f"The image is {image.dtype}; expected float grey values in [0, 255].")
    low, high = image.aminmax() if image.numel() else (0, 0)
    if low < -0.5 or high > 255.5:
        raise BadInputError(
            f"The image holds values from {float(low):.3g} to {float(high):.3g}; expected grey values in [0, 255], "
            "not normalised: SAM does that itself."
        )
