"""Numbers quoted in prose are the ones that a command of this repository wrote."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def measured() -> dict[tuple[str, str], float]:
    """(dataset, prediction) to mean IoU, from the table of benchmarks/without_a_model.py."""
    text = (ROOT / "benchmarks" / "results" / "without_a_model.md").read_text()
    rows = re.findall(r"^\| (\w+) \| ([^|]+) \| \d+ [^|]+ \| ([\d.]+) \|", text, flags=re.MULTILINE)
    return {(dataset, what.strip()): float(value) for dataset, what, value in rows}


def test_what_hints_are_worth_is_measured() -> None:
    """The table of docs/understand/numbers.md says what the benchmark measured, rounded."""
    page = (ROOT / "docs" / "understand" / "numbers.md").read_text()
    table = measured()
    for what, words, digits in (
        ("everything", "mean patch IoU", 3),
        ("patch box, filled", "mean patch IoU", 2),
        ("slice box, ellipse", "mean IoU per slice object", 2),
    ):
        pair = " and ".join(f"{table[dataset, what]:.{digits}f}" for dataset in ("vnc", "cdeep3m"))
        assert f"| {pair} {words} |" in page


def test_the_historic_table_is_measured() -> None:
    """The recipe's table in docs/understand/numbers.md holds what benchmarks/historic.py printed, row by row."""
    printed = (ROOT / "benchmarks" / "results" / "historic.md").read_text()
    rows = re.findall(
        r"^\| (?:vnc|cdeep3m) \| ([^|]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", printed, flags=re.MULTILINE
    )
    page = (ROOT / "docs" / "understand" / "numbers.md").read_text()
    part = page.partition("## The recipe, run again")[2].partition("\n## ")[0]
    shown = re.findall(r"^\| [^|]+ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", part, flags=re.MULTILINE)
    assert len(rows) == 10
    assert shown == [tuple(numbers) for _, *numbers in rows]
