"""Fine-tuning SAM: what is trained, at which rate, on which view. Numbers of the recipes: recipes.py.

Prompt-free: the mask decoder is asked without points or boxes, so its learnt "no mask" vector becomes the prompt
"mitochondria". One answer per image, enlarged to the input before the loss sees it.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mitobench.baselines.checkpoint import Checkpoint, read_weights
from mitobench.baselines.crops import CropSource
from mitobench.baselines.job import Job
from mitobench.baselines.loss import dice_ce
from mitobench.baselines.network import NetworkSegmenter, View
from mitobench.baselines.optimizer import constant
from mitobench.baselines.run import Run, check_labelled, describe_volumes
from mitobench.baselines.runtime import check_device, seeded, use_bf16
from mitobench.baselines.sam.embedded import (
    EmbeddedSource,
    EmbedRecipe,
    FromEmbedding,
    embed,
    embeddings_file,
    historic_tiles,
    overlapping_tiles,
    steps_in_epoch,
    targets_of,
)
from mitobench.baselines.sam.lora import add_low_rank, is_low_rank, merge_low_rank
from mitobench.baselines.sam.model import SamModel, build_sam
from mitobench.baselines.sam.prompted import Prompted, PromptedSource
from mitobench.baselines.sam.recipes import FROM_CROPS, FROM_EMBEDDINGS, SamSettings
from mitobench.baselines.sam.shapes import SHAPES
from mitobench.baselines.sam.start import START, shape_for, start_of, start_weights
from mitobench.baselines.sam.weights import fill, tensors_sha256
from mitobench.baselines.team import Team, own_device
from mitobench.baselines.training import train_network, trained_tensors
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
_ENCODER, _NECK = "image_encoder.", "image_encoder.neck."
_BLOCKS_AFTER = {"neck": 0}


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
    """Fine-tune SAM and write its checkpoint.

    Args:
        card: Names the size.
        run: Data, folder, seed.
        settings: The recipe; every `train` but "rule".
        device: Where to train.

    Returns:
        The checkpoint folder.

    Raises:
        BadInputError: An official size without weights, data that cannot be learnt from, or a recipe that keeps
            embeddings for a size whose decoder needs more than those.
        IntegrityError: The weights are not the official file.
    """
    if SHAPES[card.key].stem and settings.train in FROM_EMBEDDINGS:
        raise BadInputError(
            f"Setting train is {settings.train!r}, which keeps one map of each tile, but the decoder of {card.key} is "
            f"given finer ones too. Use train={' or train='.join(FROM_CROPS)}, or another size."
        )
    device = check_device(own_device(device))
    sam, base = start_weights(card.key, settings, seed=run.seed)
    start = {} if settings.train == "all" or base else {START: tensors_sha256(sam.state_dict())}
    prepare(sam, settings, seed=run.seed)
    bf16 = use_bf16(settings.precision, device)
    segmenter = prompt_free_segmenter(card, sam, settings, device=device, bf16=bf16)
    job = Job(
        base=base,
        rate=encoder_rates(card.key, settings),
        changed_only=settings.train != "all",
        found=start,
    )
    if settings.train in FROM_EMBEDDINGS:
        return _train_on_embeddings(run, segmenter, sam, settings, job)
    if settings.prompts == "none":
        return train_network(run, segmenter, settings, job)
    crops = CropSource(run.train, recipe=settings.crop_recipe(), seed=run.seed, device=device)
    source = PromptedSource(crops=crops, batch_size=settings.batch, kind=settings.prompts, seed=run.seed)
    learner = Prompted(sam, rounds=settings.rounds)
    return train_network(
        replace(run, val=[]), segmenter, settings, replace(job, learner=learner, source=lambda _: source)
    )


def _train_on_embeddings(
    run: Run, segmenter: NetworkSegmenter, sam: SamModel, settings: SamSettings, job: Job
) -> Path:
    """Encode once, then train the mask decoder; the embeddings are dropped when the checkpoint is there."""
    historic = settings.train == "historic"
    check_labelled(run.train)
    if historic:
        tiles = historic_tiles(run.train, side=settings.crop, seed=run.seed)
        steps = settings.epochs * steps_in_epoch(len(tiles.places), settings.batch)
        run, settings = replace(run, val=[]), replace(settings, steps=steps)
    else:
        tiles = overlapping_tiles(run.train, side=settings.crop)
    recipe = EmbedRecipe(
        side=settings.crop,
        variants=settings.variants,
        contrast=settings.contrast,
        seed=run.seed,
        device=segmenter.device,
        bf16=segmenter.bf16,
    )
    depends = [asdict(recipe), settings.input, settings.train, describe_volumes(run.train)]
    path = embeddings_file(run.folder, [*depends, tensors_sha256(sam.image_encoder.state_dict())])

    def source(team: Team) -> EmbeddedSource:
        crops = CropSource(run.train, recipe=settings.crop_recipe(), seed=run.seed, device=segmenter.device)
        if team.leads:
            embed(path, sam.to(segmenter.device), tiles, crops, recipe, progress=run.progress)
        team.wait()
        return EmbeddedSource(
            embeddings=np.load(path, mmap_mode="r"),
            targets=targets_of(tiles, crops, side=settings.crop),
            tiles=tiles,
            input=settings.input,
            crop=settings.crop,
            batch_size=settings.batch,
            foreground=settings.foreground,
            seed=run.seed,
            in_turn=historic,
            device=segmenter.device,
        )

    job = replace(job, learner=FromEmbedding(sam), source=source)
    job = replace(job, schedule=constant, loss=partial(dice_ce, pooled=False)) if historic else job
    folder = train_network(run, segmenter, settings, job)
    path.unlink(missing_ok=True)
    return folder


def restore_finetuned(
    card: BaselineCard, folder: Path, checkpoint: Checkpoint, settings: SamSettings, *, device: str
) -> NetworkSegmenter:
    """The fine-tuned SAM of a checkpoint folder.

    Args:
        card: Names the size.
        folder: The checkpoint folder. Where only changes are in it, the official weights that they change are looked
            for where training found them, then in this folder.
        checkpoint: What its checkpoint.json says.
        settings: Of that checkpoint.
        device: Where it will run.

    Raises:
        BadInputError: The official weights are in neither place.
        IntegrityError: The weights are not those that the checkpoint names, or change others than those found.
        FormatError: They do not fit this size.
    """
    tensors = read_weights(folder, checkpoint)
    whole = settings.train == "all"
    sam = (
        build_sam(shape_for(card.key, settings), seed=checkpoint.seed)
        if whole
        else start_of(card.key, folder, checkpoint, settings)
    )
    segmenter = prompt_free_segmenter(
        card,
        sam,
        settings,
        device=check_device(device),
        bf16=bool(checkpoint.found["bf16"]),
        threshold=float(checkpoint.found["threshold"]),
    )
    if whole:
        fill(segmenter.net, tensors, source=str(folder))
    else:
        prepare(sam, settings, seed=checkpoint.seed)
        fill(segmenter.net, tensors, source=str(folder), only=trained_tensors(segmenter.net))
        if settings.train == "lora":
            merge_low_rank(sam.image_encoder)
    segmenter.net.to(device).eval()
    return segmenter


def prepare(sam: SamModel, settings: SamSettings, *, seed: int) -> None:
    """Add what a recipe adds, and switch off gradients of everything that it does not train.

    Args:
        sam: Changed in place.
        settings: `train` and `rank` are used.
        seed: Of the weights that are added.
    """
    if settings.train == "lora":
        with seeded(seed):
            add_low_rank(sam.image_encoder, rank=settings.rank)
    for name, parameter in sam.named_parameters():
        parameter.requires_grad_(not name.startswith(NEVER_TRAINED) and _learns(name, settings.train))


def _learns(name: str, train: str) -> bool:
    """Whether a parameter of the encoder learns; all others do."""
    if not name.startswith(_ENCODER) or train == "all":
        return True
    return train == "lora" and (is_low_rank(name) or name.startswith(_NECK))


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
        net=PromptFree(sam, encoder_learns=settings.train in FROM_CROPS),
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
