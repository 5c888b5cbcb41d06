"""The recipes for fine-tuning SAM: what learns, for how long, at which rates. How it is done: finetune.py.

| train     | what learns                                                   | from                                    |
|-----------|---------------------------------------------------------------|-----------------------------------------|
| all       | the whole encoder, the mask decoder                           | new crops in every step                 |
| lora      | a low-rank change to queries and values, neck, mask decoder   | new crops in every step                 |
| decoder   | the mask decoder                                              | embeddings, computed once               |
| historic  | the mask decoder                                              | embeddings of whole patches, with a box |
| rule      | no weight: which automatic masks count                        | automatic masks, computed once          |
| masked    | the whole encoder, by filling in what is hidden; no labels    | new crops in every step                 |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mitobench.baselines.settings import Scalar, parse_settings, setting
from mitobench.baselines.training import TrainSettings
from mitobench.errors import BadInputError

RANDOM, MASKED = "random", "masked"
FROM_CROPS = ("all", "lora")
FROM_EMBEDDINGS = ("decoder", "historic")


@dataclass(frozen=True, kw_only=True)
class SamSettings(TrainSettings):
    """What SAM adds to the training settings; defaults are those of the official sizes on a GPU, train=all."""

    train: str = setting(
        "all",
        "What learns: every weight; a low-rank change of the encoder and the decoder; the mask decoder alone; the "
        "decoder as the recipe that this project started from did it; only the rule that keeps or drops automatic "
        "masks; or the encoder without labels, by filling in what is hidden of a slice. Each changes the other "
        "defaults to its own.",
        choices=("all", "lora", "decoder", "historic", "rule", MASKED),
    )
    weights: str = setting(
        "",
        f"Official weights, or the folder they lie in; the checkpoint of a train={MASKED} run; {RANDOM!r} starts "
        "from random ones.",
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
    hidden: float = setting(0.6, "Share of a crop that is hidden; used by train=masked.")
    rank: int = setting(8, "Rank of the low-rank changes; used by train=lora.")
    variants: int = setting(8, "Flips and turns of each tile that are embedded; used by train=decoder.")
    epochs: int = setting(10, "Passes over the patches; used by train=historic, in place of steps.")
    prompts: str = setting(
        "none",
        "What the decoder is asked with in training: nothing, or a box, a point or either of them for one object of "
        "each crop. With prompts nothing is validated.",
        choices=("none", "box", "point", "mixed"),
    )
    rounds: int = setting(2, "Times that a point is added where the answer is most wrong; used with prompts.")
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
        if not 0 < self.hidden < 1:
            raise BadInputError(f"Setting hidden is {self.hidden}; expected a share between 0 and 1.")
        for name in ("rank", "epochs"):
            if getattr(self, name) < 1:
                raise BadInputError(f"Setting {name} is {getattr(self, name)}; expected at least 1.")
        if not 1 <= self.variants <= 8:
            raise BadInputError(
                f"Setting variants is {self.variants}; expected 1 (as it lies) to 8 (all flips and turns)."
            )
        if self.rounds < 0:
            raise BadInputError(f"Setting rounds is {self.rounds}; expected 0 or more.")
        if self.prompts != "none" and self.train not in FROM_CROPS:
            raise BadInputError(
                f"Setting prompts is {self.prompts!r} with train={self.train}; expected train=all or train=lora. "
                "Embeddings are made once, and objects are chosen anew in every step."
            )


@dataclass(frozen=True, kw_only=True)
class TinySettings(SamSettings):
    """The recipe of the sizes of our own: everything from a random start, in minutes on one processor core."""

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


SETTINGS: dict[str, type[SamSettings]] = {
    "sam-vit-tiny": TinySettings,
    "sam-hybrid": TinySettings,
    "sam-vit-b": SamSettings,
    "sam-vit-l": SamSettings,
    "sam-vit-h": SamSettings,
}
"""The settings of each size."""

RECIPES: Mapping[str, Mapping[str, Scalar]] = MappingProxyType(
    {
        "lora": {
            "steps": 1500,
            "learning_rate": 1e-4,
            "encoder_rate": 3.0,
            "layer_decay": 1.0,
            "warmup": 75,
        },
        MASKED: {"foreground": 0.0, "choose_threshold": False, "encoder_rate": 1.0, "layer_decay": 1.0},
        "decoder": {"steps": 600, "batch": 64, "learning_rate": 3e-4, "warmup": 30},
        "historic": {
            "crop": 256,
            "input": 1024,
            "batch": 2,
            "learning_rate": 1e-5,
            "weight_decay": 0.0,
            "warmup": 0,
            "clip": 0.0,
            "average": 0.0,
            "foreground": 1.0,
            "zoom": 1.0,
            "contrast": 0.0,
            "variants": 1,
            "choose_threshold": False,
        },
    }
)
"""What each way to train changes in the defaults."""


def read_settings(key: str, given: Mapping[str, object]) -> SamSettings:
    """The settings of a size: its defaults, then those of the way it is trained, then what was given.

    Args:
        key: Names the size.
        given: Changed settings by name.

    Raises:
        UnknownNameError: A name that is no setting.
        BadInputError: A value that cannot be used.
    """
    return parse_settings(SETTINGS[key], {**recipe_defaults(given), **given})


def recipe_defaults(given: Mapping[str, Any]) -> Mapping[str, Scalar]:
    """What the chosen way to train changes in the defaults."""
    return RECIPES.get(str(given.get("train")), {})
