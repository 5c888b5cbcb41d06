"""kill -9 at any moment of a training: resuming gives the weights and the curve of a training that never stopped.

Moments are counted in events, which are steps of progress and the instants just before and just after a file is put in
place; no clock is asked.
"""

import os
import random
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mitobench.baselines import train_baseline
from mitobench.baselines.curve import Curve
from mitobench.baselines.runtime import torch_threads
from mitobench.baselines.sam.shapes import SHAPES
from tests.baseline_toys import TOY, discs
from tests.test_sam_model import TOY_SHAPE

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork a process to kill")
RECIPES: dict[str, tuple[str, dict[str, object]]] = {
    "unet": ("unet", {"channels": 4}),
    "sam-all": ("sam-vit-tiny", {}),
    "sam-lora": ("sam-vit-tiny", {"train": "lora", "rank": 2}),
    "sam-decoder": ("sam-vit-tiny", {"train": "decoder", "variants": 2}),
    "sam-prompted": ("sam-vit-tiny", {"prompts": "mixed", "rounds": 1}),
}
Event = Callable[[str, Path | None], None]


def _train(recipe: str, out: Path, event: Event, *, resume: bool) -> Path:
    """A training of six steps that reports its events."""
    baseline, changed = RECIPES[recipe]
    replace = Path.replace

    def reported(self: Path, target: Path) -> Path:
        event("before", self)
        placed = replace(self, target)
        event("after", None)
        return placed

    with pytest.MonkeyPatch.context() as patch, torch_threads(1):
        patch.setattr(Path, "replace", reported)
        patch.setitem(SHAPES, "sam-vit-tiny", TOY_SHAPE)
        patch.setattr(
            Curve, "_draw", lambda _, path: path.write_bytes(b"a picture")
        )  # plotting takes longest
        return train_baseline(
            baseline,
            train=[discs(slices=2)],
            val=[discs(slices=1)],
            out=out,
            settings={**TOY, "steps": 6, "val_every": 4, "save_every": 2, **changed},
            seed=5,
            resume=resume,
            progress=lambda *_: event("step", None),
        )


def _killed_at(moment: int, work: Callable[[Event], object]) -> bool:
    """Run `work` in a process that kills itself at an event; what it was writing is left half written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads; the child uses none
        child = os.fork()
    if child == 0:
        seen = 0

        def event(kind: str, half: Path | None) -> None:
            nonlocal seen
            seen += 1
            if seen == moment:
                if half is not None:
                    os.truncate(half, half.stat().st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            torch.set_num_threads(1)
            work(event)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status != 0


@pytest.mark.parametrize("recipe", RECIPES)
def test_kills_change_nothing(recipe: str, tmp_path: Path) -> None:
    """Killed again and again at seeded moments, the folder ends up byte for byte like that of an unbroken run."""
    kinds: list[str] = []
    whole = _train(recipe, tmp_path / "whole", lambda kind, _: kinds.append(kind), resume=False)
    dice, cut = random.Random(recipe), tmp_path / "cut"
    before = [number for number, kind in enumerate(kinds, start=1) if kind == "before"]
    moments = [before[1], *dice.sample(range(1, len(kinds) // 2), 2), dice.choice([1, 2])]
    killed = [
        _killed_at(moment, lambda event, first=number == 0: _train(recipe, cut, event, resume=not first))  # type: ignore[misc]
        for number, moment in enumerate(moments)
    ]
    assert killed[0]
    assert sum(killed) >= 3
    _train(recipe, cut, lambda *_: None, resume=True)
    for name in ("weights.safetensors", "curve.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name
    assert sorted(path.name for path in cut.iterdir()) == sorted(path.name for path in whole.iterdir())
