"""The one training loop: steps, validation, states to resume from, checkpoint. No network is built here.

It runs in one process or in several that share each batch; see team.py.
"""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mitobench.baselines.checkpoint import (
    CARD_FILE,
    Checkpoint,
    package_versions,
    prepare_folder,
    read_checkpoint,
    write_checkpoint,
)
from mitobench.baselines.crops import CropRecipe, CropSource
from mitobench.baselines.curve import Curve
from mitobench.baselines.job import PLAIN, Direct, Job, Source
from mitobench.baselines.network import NetworkSegmenter
from mitobench.baselines.optimizer import build_optimizer
from mitobench.baselines.resume import TrainingState, restore_state, save_state
from mitobench.baselines.run import Run, describe_volumes, refuse_other_run
from mitobench.baselines.runtime import autocast, seeded, torch_threads
from mitobench.baselines.settings import setting
from mitobench.baselines.team import Team, teamed
from mitobench.baselines.validation import best_threshold, count_probabilities, iou_at_half
from mitobench.errors import BadInputError

_WORTH_COMPILING = 1000


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
    clip: float = setting(1.0, "Largest norm of the gradient; 0 leaves it as it is.")
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
    compile: str = setting(
        "auto",
        f"Compile the network first; auto does so on a GPU from {_WORTH_COMPILING} steps on, where it pays for itself.",
        choices=("auto", "on", "off"),
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


def train_network(run: Run, segmenter: NetworkSegmenter, settings: TrainSettings, job: Job = PLAIN) -> Path:
    """Train the network of a segmenter from where it stands and write the checkpoint.

    Args:
        run: Data, folder, seed.
        segmenter: Holds the network, its device and precision, and how it sees slices. Its weights are changed.
        settings: The recipe.
        job: What the recipe needs beyond its settings.

    Returns:
        The checkpoint folder. A finished checkpoint of the same run is returned as it is when resuming.

    Raises:
        BadInputError: The folder is taken, the data cannot be learnt from, the state belongs to another run, the
            batch cannot be shared among the processes, or the loss stopped being a number.
    """
    with teamed(segmenter.device) as team:
        if team.leads:
            prepare_folder(run.folder, resume=run.resume)
        team.wait()
        checkpoint = Checkpoint(
            baseline=run.baseline,
            seed=run.seed,
            settings=asdict(settings),
            found={"bf16": segmenter.bf16, **job.found},
            data={"train": describe_volumes(run.train), "val": describe_volumes(run.val)},
            provenance=run.provenance,
            versions=package_versions(),
            base=job.base,
        )
        if (run.folder / CARD_FILE).exists():
            refuse_other_run(run.folder, read_checkpoint(run.folder).identity(), checkpoint.identity())
            return run.folder
        net = segmenter.net.to(segmenter.device)
        optimizer = build_optimizer(
            net, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay, rate=job.rate
        )
        state = TrainingState(net=net, optimizer=optimizer, curve=Curve(), identity=checkpoint.identity())
        with torch_threads(settings.threads), seeded(run.seed):
            restore_state(run.folder, state)
            if settings.average and not state.average:
                state.average = _copy(net)
            _loop(run, segmenter, settings, job, state, team)
        net.load_state_dict(state.average, strict=False)
        if team.leads:
            _finish(run, segmenter, state, checkpoint, changed_only=job.changed_only)
        team.wait()
    return run.folder


def _loop(
    run: Run, segmenter: NetworkSegmenter, settings: TrainSettings, job: Job, state: TrainingState, team: Team
) -> None:
    own = team.share(settings.batch)
    source = job.source(team) if job.source else _crops(run, segmenter, settings)
    learner = (job.learner or Direct(state.net)).to(segmenter.device)
    if settings.compile == "on" or (settings.compile == "auto" and _pays(settings, segmenter.device)):
        learner.compile(dynamic=False)
    learner = team.wrap(learner, device=segmenter.device)
    loss_of = job.loss()
    started = time.monotonic() - state.seconds
    while state.step < settings.steps:
        learner.train()
        for group in state.optimizer.param_groups:
            group["lr"] = group["peak"] * job.schedule(state.step, settings.steps, settings.warmup)
        batch = source.batch(state.step, own=own)
        with autocast(segmenter.device, segmenter.bf16):
            answers: list[Tensor] = learner(batch)
        mask, ignore = team.gather(batch.mask), team.gather(batch.ignore)
        losses = [loss_of(team.gather(logits.float()), mask, ignore) for logits in answers]
        loss = torch.stack(losses).mean()
        value = loss.item()
        if not math.isfinite(value):
            raise BadInputError(
                f"The loss is {value} at step {state.step}; expected a number. Lower learning_rate, or use "
                "precision fp32."
            )
        state.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(
            loss * team.size
        )  # the team averages gradients; each holds its share of the sum
        if settings.clip:
            torch.nn.utils.clip_grad_norm_(state.net.parameters(), settings.clip)
        state.optimizer.step()
        state.step += 1
        state.losses.append(value)
        _follow(state, settings.average)
        last = state.step == settings.steps
        if last or state.step % settings.val_every == 0:
            _note(state)
            if team.leads:
                _validate(run, segmenter, state)
        state.seconds = time.monotonic() - started
        if team.leads:
            if not last and state.step % settings.save_every == 0:
                save_state(run.folder, state)
            run.progress(state.step, settings.steps, "training steps")


def _crops(run: Run, segmenter: NetworkSegmenter, settings: TrainSettings) -> Source:
    return CropSource(run.train, recipe=settings.crop_recipe(), seed=run.seed, device=segmenter.device)


def _pays(settings: TrainSettings, device: str) -> bool:
    """Compiling takes a minute or more: too long for few steps, and for a processor that gains little."""
    return torch.device(device).type == "cuda" and settings.steps >= _WORTH_COMPILING


def _copy(net: nn.Module) -> dict[str, Tensor]:
    """All that changes in training, by name."""
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    return {
        name: tensor.detach().clone()
        for name, tensor in net.state_dict().items()
        if tensor.is_floating_point() and name not in frozen
    }


def _follow(state: TrainingState, decay: float) -> None:
    """Move the running average towards the weights; faster in the first steps, when they are still random."""
    if not state.average:
        return
    keep = min(decay, (1 + state.step) / (10 + state.step))
    own = state.net.state_dict()
    with torch.no_grad():
        torch._foreach_lerp_(list(state.average.values()), [own[name] for name in state.average], 1 - keep)


def _note(state: TrainingState) -> None:
    """Add the mean loss since the last note to the curve."""
    state.curve.step.append(state.step)
    state.curve.train_loss.append(sum(state.losses) / len(state.losses))
    state.losses.clear()


def _validate(run: Run, segmenter: NetworkSegmenter, state: TrainingState) -> None:
    """Add a score to the curve; what is validated is what would be kept."""
    if not run.val:
        return
    own = _copy(state.net)
    state.net.load_state_dict(state.average, strict=False)
    state.val_counts = count_probabilities(segmenter, run.val)
    state.net.load_state_dict(own, strict=False)
    state.curve.val_step.append(state.step)
    state.curve.val_iou.append(iou_at_half(state.val_counts))


def _finish(
    run: Run, segmenter: NetworkSegmenter, state: TrainingState, checkpoint: Checkpoint, *, changed_only: bool
) -> None:
    state.curve.write(run.folder)
    net = segmenter.net
    found = {
        **checkpoint.found,
        "threshold": best_threshold(state.val_counts) if checkpoint.settings["choose_threshold"] else 0.5,
        "device": segmenter.device,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "seconds": round(state.seconds, 1),
        "val_iou": state.curve.val_iou[-1] if state.curve.val_iou else None,
    }
    whole = checkpoint.model_copy(update={"found": found})
    tensors = trained_tensors(net) if changed_only else net.state_dict()
    write_checkpoint(run.folder, whole, tensors=tensors)


def trained_tensors(net: nn.Module) -> dict[str, Tensor]:
    """The parameters that learn, by name, without copying them."""
    return {name: parameter.data for name, parameter in net.named_parameters() if parameter.requires_grad}
