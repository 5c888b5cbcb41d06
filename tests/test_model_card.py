"""model.toml and reported.toml: what people write."""

from pathlib import Path

import pytest
from benchmark_fakes import model_toml

from mitobench.benchmark.model_card import read_model
from mitobench.benchmark.reported import read_reported
from mitobench.errors import RecordError


def _write(folder: Path, **fields: str) -> Path:
    (folder / "x").mkdir()
    path = folder / "x" / "model.toml"
    path.write_text(model_toml("x", **fields))
    return path


def test_a_plain_card(tmp_path: Path) -> None:
    """Required fields are enough; authors may be names or tables."""
    card = read_model(_write(tmp_path))
    assert card.title == "Model x"
    assert card.authors[0] == "Ada Example"
    assert card.authors[1].name == "Ben Example"  # type: ignore[union-attr]
    assert card.seen(dataset="fake", split="train") == ("fake@1/train",)
    assert card.seen(dataset="fake", split="test") == ()


def test_a_full_card(tmp_path: Path) -> None:
    """Every optional field has its place."""
    card = read_model(
        _write(
            tmp_path,
            code='{ url = "https://example.org/code", commit = "0123abc" }',
            weights=f'{{ url = "https://example.org/w", sha256 = "{"0" * 64}" }}',
            predictions=f'[{{ record = "vnc@1.auto.0", url = "https://example.org/p", sha256 = "{"1" * 64}" }}]',
            paper='"https://doi.org/10.1000/1"',
            parameters="31000000",
            prompts='"own"',
            notes='"""two\nlines"""',
        )
    )
    assert card.code is not None
    assert card.code.commit == "0123abc"
    assert card.parameters == 31_000_000
    assert card.notes == "two\nlines"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"surprise": "1"}, "surprise"),
        ({"kind": '"winner"'}, "kind"),
        ({"authors": "[]"}, "authors"),
        ({"commands": "[]"}, "commands"),
        ({"title": '"<b>bold</b>"'}, "title"),
        ({"title": '"=1+1"'}, "title"),
        ({"title": '"abc\\u202etxt"'}, "title"),
        ({"authors": '["Ada\\u200bExample"]'}, "U\\+200B"),
        ({"notes": '"\\u0007"'}, "U\\+0007"),
        ({"licence": '"a\\nb"'}, "licence"),
        ({"paper": '"http://example.org"'}, "https"),
        ({"paper": '"https://user@example.org"'}, "user name"),
        ({"paper": '"javascript:alert(1)"'}, "https"),
        ({"weights": '{ url = "https://example.org/w" }'}, "sha256"),
        ({"training_data": '["fake"]'}, "vnc@1/train"),
        ({"training_data": '["fake@1"]'}, "vnc@1/train"),
        ({"parameters": '"many"'}, "parameters"),
        ({"parameters": "-1"}, "parameters"),
        ({"paper": "2026-01-01"}, "paper"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, fields: dict[str, str], said: str) -> None:
    """A wrong field is refused by name, whatever a stranger put there."""
    with pytest.raises(RecordError, match=said):
        read_model(_write(tmp_path, **fields))


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    """All missing fields are told at once."""
    path = _write(tmp_path)
    path.write_text('key = "x"\n')
    with pytest.raises(RecordError, match=r"(?s)x/model\.toml.*title.*licence.*commands"):
        read_model(path)


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    """A syntax error is told with its place."""
    path = _write(tmp_path)
    path.write_text("key = \n")
    with pytest.raises(RecordError, match="line 1"):
        read_model(path)


def test_no_file(tmp_path: Path) -> None:
    """An entry without a card is told where to read."""
    with pytest.raises(RecordError, match=r"README\.md"):
        read_model(tmp_path / "x" / "model.toml")


def test_reported_of_this_repository() -> None:
    """Every reported number has a source, and the recipe we started from stands among them with its caveat."""
    rows = read_reported(Path(__file__).parents[1] / "leaderboard")
    assert all(row.source and row.protocol for row in rows)
    assert all(0.0 <= row.value <= 1.0 for row in rows)
    recipe = {row.value: row.caveat for row in rows if "starting recipe" in row.model}
    assert set(recipe) == {0.09, 0.76}
    assert all("Not comparable" in caveat for caveat in recipe.values())


def test_reported_is_optional_and_strict(tmp_path: Path) -> None:
    """No file is no rows; a number in quotes is refused."""
    assert read_reported(tmp_path) == ()
    (tmp_path / "reported.toml").write_text('[[row]]\nmodel = "m"\nvalue = "0.5"\n')
    with pytest.raises(RecordError, match=r"row\.0\.value"):
        read_reported(tmp_path)
