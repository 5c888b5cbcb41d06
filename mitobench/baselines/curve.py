"""The training curve: what the loss and the validation score did, as JSON and as a drawing. No training lives here."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from mitobench.baselines.checkpoint import write_json
from mitobench.replacing import replacing

CURVE_FILE, PICTURE_FILE = "curve.json", "curve.png"


@dataclass(kw_only=True)
class Curve:
    """Grows while training runs.

    Attributes:
        step: Training steps done, one entry for each loss.
        train_loss: Mean loss of the steps since the entry before.
        val_step: Training steps done, one entry for each validation.
        val_iou: Foreground IoU pooled over the validation volumes, probability above 0.5; None where undefined.
    """

    step: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    val_step: list[int] = field(default_factory=list)
    val_iou: list[float | None] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write curve.json and draw curve.png into a folder, each replaced in one step."""
        write_json(folder / CURVE_FILE, asdict(self))
        with replacing(folder / PICTURE_FILE) as temporary:
            self._draw(temporary)

    def _draw(self, path: Path) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 3.6), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        loss = figure.add_subplot()
        loss.plot(self.step, self.train_loss, color="tab:gray", label="training loss")
        loss.set_xlabel("step")
        loss.set_ylabel("training loss (Dice + cross-entropy)")
        loss.set_ylim(bottom=0)
        if self.val_step:
            score = loss.twinx()
            heights = [float("nan") if iou is None else iou for iou in self.val_iou]
            score.plot(self.val_step, heights, color="tab:blue", marker=".", label="validation IoU")
            score.set_ylabel("validation IoU", color="tab:blue")
            score.set_ylim(0, 1)
        figure.savefig(path, format="png")
