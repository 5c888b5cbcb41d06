"""The whole story on synthetic EM, small enough for a laptop: fetch, cut, fine-tune, predict, score, rank, page."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from mitobench.segmenter import Progress, Segmenter, no_progress

DATASET = "synthetic"
RECORD = f"{DATASET}@1.auto.0"


@dataclass(frozen=True)
class _Step:
    """One entry of the demo board: which baseline, fitted or not, and what to call it."""

    key: str
    title: str
    baseline: str
    kind: str
    fitted: bool
    settings: tuple[tuple[str, object], ...] = ()


STEPS = (
    _Step("empty", "Empty", "empty", "control", fitted=False),
    _Step("everything", "Everything", "everything", "control", fitted=False),
    _Step("threshold", "Threshold", "threshold", "control", fitted=True),
    _Step("sam-vit-tiny-zero-shot", "SAM ViT-tiny, zero-shot", "sam-vit-tiny", "baseline", fitted=False),
    _Step(
        "sam-vit-tiny-finetuned",
        "SAM ViT-tiny, fine-tuned",
        "sam-vit-tiny",
        "baseline",
        fitted=True,
        settings=(("steps", 300), ("crop", 256), ("val_every", 50)),  # about a minute on one core
    ),
)


class DemoResult(TypedDict):
    """What the demo made.

    Keys:
        ranking: Rows of (place or "", title, IoU, F1 at IoU > 0.5), best IoU first.
        table: The leaderboard's table.csv.
        page: Start page of the built site, or None where mkdocs is not installed.
    """

    ranking: list[tuple[str, str, str, str]]
    table: str
    page: str | None


def run_demo(
    out: Path, *, say: Callable[[str], None] = lambda _: None, progress: Progress = no_progress
) -> DemoResult:
    """Run the main job from data to leaderboard page; run again to go on where a stopped run left off.

    Args:
        out: Folder for checkpoints, predictions, leaderboard and site.
        say: Told in one line what happens next.
        progress: Told about steps inside.

    Returns:
        The ranking and where to look.
    """
    from mitobench.benchmark import leaderboard
    from mitobench.datasets import same_tissue

    board = out / "leaderboard"
    board.mkdir(parents=True, exist_ok=True)
    _show_data(say)
    for step in STEPS:
        _run_step(step, out, board, say, progress)
    leaderboard.build(board, same_tissue=same_tissue())
    table = leaderboard.table(board).sort_values("iou", ascending=False)
    ranking = [
        (
            _place(row["rank"]),
            str(row["name"]),
            f"{row['iou']:.3f}",
            f"{row['f1_50']:.3f}",
        )
        for row in table.to_dict(orient="records")
    ]
    return DemoResult(
        ranking=ranking, table=str(board / "table.csv"), page=_build_page(out, board, say, progress)
    )


def _place(rank: object) -> str:
    """A rank for people; controls have none, which a table holds as None, NaN or NA."""
    return str(rank) if str(rank).isdigit() else ""


def _show_data(say: Callable[[str], None]) -> None:
    from mitobench.datasets import load_split

    splits = {name: load_split(DATASET, name) for name in ("train", "val", "test")}
    shapes = ", ".join(f"{name} {split[0].shape}" for name, split in splits.items())
    say(f"Data: procedural EM, seeded; {shapes} voxels at {splits['train'][0].voxel_size_nm} nm.")
    patches = splits["train"].patches(patch_shape=(128, 128), stride=(128, 128), keep="foreground")
    say(f"Patches: {len(patches)} of 128 x 128 with foreground in train.")


def _run_step(step: _Step, out: Path, board: Path, say: Callable[[str], None], progress: Progress) -> None:
    from mitobench import api, entries, models

    checkpoint = out / "checkpoints" / step.key
    say(f"{step.title}: {'fit, ' if step.fitted else ''}predict, score.")
    model: Segmenter
    if step.fitted:
        if not (checkpoint / "checkpoint.json").is_file():
            models.train(
                step.baseline,
                dataset=DATASET,
                out=checkpoint,
                settings=dict(step.settings),
                resume=checkpoint.is_dir(),
                progress=progress,
            )
        model = models.load_segmenter(checkpoint)
    else:
        model = models.load_segmenter(step.baseline)
    prediction = api.predict(
        model,
        dataset=DATASET,
        out=out / "predictions" / step.key / RECORD,
        probabilities=True,
        progress=progress,
    )
    card = out / "cards" / f"{step.key}.toml"
    card.parent.mkdir(exist_ok=True)
    card.write_text(_model_toml(step))
    entries.submit(
        prediction, model_toml=card, dataset=DATASET, checkpoint=checkpoint, folder=board, progress=progress
    )


def _model_toml(step: _Step) -> str:
    flags = "".join(f" --set {name}={value}" for name, value in step.settings)
    fit = f"mitobench finetune {step.baseline} --dataset {DATASET}{flags} --out runs/{step.key}"
    source = f"runs/{step.key}" if step.fitted else step.baseline
    lines = [
        *([fit] if step.fitted else []),
        f"mitobench predict {source} --dataset {DATASET} --out runs/{step.key}/prediction",
    ]
    learnt = [f"{DATASET}@1/train"] if step.fitted else []
    return "\n".join(
        [
            f'key = "{step.key}"',
            f'title = "{step.title}"',
            f'kind = "{step.kind}"',
            'authors = ["mitobench demo"]',
            'licence = "BSD-3-Clause"',
            f'initialisation = "{"random" if "sam" in step.key else "none"}"',
            f"training_data = {learnt}",
            f"commands = {lines}",
            'prompts = "none"',
            "",
        ]
    )


def _build_page(out: Path, board: Path, say: Callable[[str], None], progress: Progress) -> str | None:
    from mitobench.errors import MissingExtraError
    from mitobench.site import build_board_site

    say("Page: leaderboard and one page per entry.")
    try:
        return str(
            build_board_site(out / "site", folder=board, predictions=out / "predictions", progress=progress)
        )
    except MissingExtraError as missing:
        say(str(missing))
        return None
