"""The one training loop: steps, validation, states to resume from, checkpoint. No network is built here."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mitobench.baselines.checkpoint import (
    CARD_FILE,
    Checkpoint,
    WeightsFile,
    package_versions,
    prepare_folder,
    read_checkpoint,
    write_checkpoint,
)
from mitobench.baselines.crops import CropRecipe, CropSource
from mitobench.baselines.curve import Curve
from mitobench.baselines.loss import dice_ce
from mitobench.baselines.network import NetworkSegmenter
from mitobench.baselines.optimizer import build_optimizer, schedule
from mitobench.baselines.resume import TrainingState, restore_state, save_state
from mitobench.baselines.run import Run, describe_volumes, refuse_other_run
from mitobench.baselines.runtime import autocast, seeded, torch_threads
from mitobench.baselines.settings import setting
from mitobench.baselines.validation import best_threshold, count_probabilities, iou_at_half
from mitobench.errors import BadInputError


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What every trained network lets a user choose; each recipe overrides the defaults that do not suit it."""

    steps: int = setting(400, "Training steps.")
    batch: int = setting(8, "Crops per step.")
    crop: int = setting(512, "Side of the square cut from a slice, in pixels.")
    input: int = setting(256, "Side that the crop is scaled to before the network sees it, in pixels.")
    learning_rate: float = setting(1e-3, "Highest learning rate of AdamW.")
    weight_decay: float = setting(0.05, "Weight decay, on matrices and kernels only.")
    warmup: int = setting(50, "Steps over which the learning rate rises; then it falls as a cosine.")
    clip: float = setting(1.0, "Largest norm of the gradient.")
    average: float = setting(
        0.99, "Decay of the running average of the weights that is kept; 0 keeps the last weights."
    )
    foreground: float = setting(0.5, "Share of crops centred near a mitochondrion.")
    zoom: float = setting(1.25, "Crops are zoomed by a random factor between 1 / zoom and zoom.")
    contrast: float = setting(0.15, "Contrast and brightness of crops vary by up to this fraction.")
    precision: str = setting(
        "auto",
        "Number format of the network; auto is bf16 where the processor has it.",
        choices=("auto", "fp32", "bf16"),
    )
    threads: int = setting(1, "Processor threads; 0 leaves the number to torch.")
    val_every: int = setting(50, "Steps between two validations.")
    save_every: int = setting(50, "Steps between two saved states.")
    choose_threshold: bool = setting(True, "Choose the probability threshold on the validation volumes.")
    turns: bool = setting(False, "Predict with the mean logits of the eight flips and quarter turns.")

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "crop", "input", "val_every", "save_every"):
            if getattr(self, name) < 1:
                raise BadInputError(f"Setting {name} is {getattr(self, name)}; expected at least 1.")
        for name in ("foreground", "average"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInputError(
                    f"Setting {name} is {getattr(self, name)}; expected a fraction from 0 to 1."
                )
        if self.zoom < 1:
            raise BadInputError(f"Setting zoom is {self.zoom}; expected at least 1 (1 means no zoom).")

    def crop_recipe(self) -> CropRecipe:
        """The part that says how crops are drawn."""
        return CropRecipe(
            crop=self.crop,
            input=self.input,
            batch=self.batch,
            foreground=self.foreground,
            zoom=self.zoom,
            contrast=self.contrast,
        )


def train_network(
    run: Run,
    segmenter: NetworkSegmenter,
    settings: TrainSettings,
    *,
    base: WeightsFile | None = None,
    rate: Callable[[str], float] = lambda _: 1.0,
) -> Path:
    """Train the network of a segmenter from where it stands and write the checkpoint.

    Args:
        run: Data, folder, seed.
        segmenter: Holds the network, its device and precision, and how it sees slices. Its weights are changed.
        settings: The recipe.
        base: The weights that training starts from; None for a random start.
        rate: Factor on the learning rate for each parameter name.

    Returns:
        The checkpoint folder. A finished checkpoint of the same run is returned as it is when resuming.

    Raises:
        BadInputError: The folder is taken, the data cannot be learnt from, the state belongs to another run, or the
            loss stopped being a number.
    """
    prepare_folder(run.folder, resume=run.resume)
    checkpoint = Checkpoint(
        baseline=run.baseline,
        seed=run.seed,
        settings=asdict(settings),
        found={"bf16": segmenter.bf16},
        data={"train": describe_volumes(run.train), "val": describe_volumes(run.val)},
        provenance=run.provenance,
        versions=package_versions(),
        base=base,
    )
    if (run.folder / CARD_FILE).exists():
        refuse_other_run(run.folder, read_checkpoint(run.folder).identity(), checkpoint.identity())
        return run.folder
    net = segmenter.net.to(segmenter.device)
    optimizer = build_optimizer(
        net, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay, rate=rate
    )
    state = TrainingState(net=net, optimizer=optimizer, curve=Curve(), identity=checkpoint.identity())
    with torch_threads(settings.threads), seeded(run.seed):
        restore_state(run.folder, state)
        if settings.average and not state.average:
            state.average = _copy(net)
        _loop(run, segmenter, settings, state)
    net.load_state_dict(state.average, strict=False)
    return _finish(run, segmenter, state, checkpoint)


def _loop(run: Run, segmenter: NetworkSegmenter, settings: TrainSettings, state: TrainingState) -> None:
    source = CropSource(run.train, recipe=settings.crop_recipe(), seed=run.seed)
    loss_of = dice_ce()
    started = time.monotonic() - state.seconds
    while state.step < settings.steps:
        state.net.train()
        for group in state.optimizer.param_groups:
            group["lr"] = group["peak"] * schedule(state.step, settings.steps, settings.warmup)
        batch = source.batch(state.step).to(segmenter.device)
        with autocast(segmenter.device, segmenter.bf16):
            logits = state.net(batch.image)
        loss = loss_of(logits, batch.mask, batch.ignore)
        value = loss.item()
        if not math.isfinite(value):
            raise BadInputError(
                f"The loss is {value} at step {state.step}; expected a number. Lower learning_rate, or use "
                "precision fp32."
            )
        state.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), settings.clip)
        state.optimizer.step()
        state.step += 1
        state.losses.append(value)
        _follow(state, settings.average)
        last = state.step == settings.steps
        if last or state.step % settings.val_every == 0:
            _validate(run, segmenter, state)
        state.seconds = time.monotonic() - started
        if not last and state.step % settings.save_every == 0:
            save_state(run.folder, state)
        run.progress(state.step, settings.steps, "training steps")


def _copy(net: nn.Module) -> dict[str, Tensor]:
    return {
        name: tensor.detach().clone()
        for name, tensor in net.state_dict().items()
        if tensor.is_floating_point()
    }


def _follow(state: TrainingState, decay: float) -> None:
    """Move the running average towards the weights; faster in the first steps, when they are still random."""
    keep = min(decay, (1 + state.step) / (10 + state.step))
    own = state.net.state_dict()
    with torch.no_grad():
        for name, tensor in state.average.items():
            tensor.lerp_(own[name], 1 - keep)


def _validate(run: Run, segmenter: NetworkSegmenter, state: TrainingState) -> None:
    """Add a point to the curve; what is validated is what would be kept."""
    state.curve.step.append(state.step)
    state.curve.train_loss.append(sum(state.losses) / len(state.losses))
    state.losses.clear()
    if not run.val:
        return
    own = _copy(state.net)
    state.net.load_state_dict(state.average, strict=False)
    state.val_counts = count_probabilities(segmenter, run.val)
    state.net.load_state_dict(own, strict=False)
    state.curve.val_step.append(state.step)
    state.curve.val_iou.append(iou_at_half(state.val_counts))


def _finish(run: Run, segmenter: NetworkSegmenter, state: TrainingState, checkpoint: Checkpoint) -> Path:
    state.curve.write(run.folder)
    found = {
        **checkpoint.found,
        "threshold": best_threshold(state.val_counts) if checkpoint.settings["choose_threshold"] else 0.5,
        "device": segmenter.device,
        "parameters": sum(parameter.numel() for parameter in segmenter.net.parameters()),
        "seconds": round(state.seconds, 1),
        "val_iou": state.curve.val_iou[-1] if state.curve.val_iou else None,
    }
    whole = checkpoint.model_copy(update={"found": found})
    return write_checkpoint(run.folder, whole, tensors=segmenter.net.state_dict())
