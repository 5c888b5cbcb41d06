"""The page of learning curves, printed from what the benchmark of that name wrote. Nothing is measured here."""

from pathlib import Path

from mitobench.drawing.escape import text

PAGE, PICTURE = "labels.md", "learning_curves.svg"
_COMMAND = "python benchmarks/learning_curves.py"
_LEAD = (
    "Labels are drawn by hand. So the question is not only who is best with all of them, but who gets far with few. "
    "Every model below sees the same number of crops; only the number of labelled slices changes, spread evenly over "
    "the training stack."
)


def write_learning_page(target: Path, results: Path) -> None:
    """Write labels.md, and its drawing where it was measured.

    Args:
        target: The docs folder that is being filled.
        results: Folder of learning_curves.svg and learning_curves.md.
    """
    drawing, table = results / PICTURE, (results / PICTURE).with_suffix(".md")
    parts = ["# How far few labels go", _LEAD]
    if drawing.is_file():
        (target / PICTURE).write_bytes(drawing.read_bytes())
        words = "Foreground IoU on test against the number of labelled slices"
        parts.append(f"![{words}: a line for each model, a point for each seed]({PICTURE})")
    if table.is_file():
        # its own title gives way to that of the page
        parts.append("\n".join(table.read_text(encoding="utf-8").splitlines()[1:]).strip())
    if not drawing.is_file() and not table.is_file():
        parts.append(f'<p class="mb-note">Not measured yet: <code>{text(_COMMAND)}</code> does it.</p>')
    (target / PAGE).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
