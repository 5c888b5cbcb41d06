"""Which datasets show the same tissue, and what the board says of models that learnt from one of them."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmark_fakes import add_entry
from typer.testing import CliRunner

from mitobench.benchmark import leaderboard
from mitobench.cli import app
from mitobench.datasets import DATASETS, load_card, same_tissue
from mitobench.datasets.overlaps import tissue_map
from mitobench.errors import BadInputError, RecordError

ELSEWHERE = {"cdeep3m2"}
"""Named on a card, though they are not loaded here."""
NEIGHBOURS = {
    "lucchi": {"lucchi-pp", "mitonet-lucchi-pp"},
    "lucchi-pp": {"lucchi", "mitonet-lucchi-pp"},
    "mitonet-lucchi-pp": {"lucchi", "lucchi-pp"},
    "cdeep3m": {"cdeep3m2"},
    "betaseg": {"mitoem2-beta"},
    "mitoem2-beta": {"betaseg"},
    "mitoem2-pyra": {"mitoem-r", "mitoem-h", "cem-mitolab"},
    "mitoem-r": {"mitoem2-pyra", "cem-mitolab"},
    "mitoem-h": {"mitoem2-pyra", "cem-mitolab"},
    "mitoem2-jurkat": {"cellmap"},
    "cellmap": {"mitoem2-jurkat", "mitoem2-macro", "cem-mitolab"},
    "kasthuri-pp": {"cem-mitolab"},
    "platelet": {"cem-mitolab"},
    "cem-mitolab": {"mitoem-r", "mitoem-h", "mitoem2-pyra", "kasthuri-pp", "platelet", "cellmap"},
    "vnc": set(),
    "urocell": set(),
}
"""{dataset: all that show its tissue}, as the references say."""


def cards(**links: tuple[tuple[str, ...], dict[str, str]]):
    """Cards that differ in their names and in what they overlap with."""
    base = load_card("vnc")
    return [replace(base, key=key, overlaps=same, shares=parts) for key, (same, parts) in links.items()]


def test_the_same_tissue_is_followed_as_far_as_it_leads() -> None:
    """a = b and b = c make a = c, whichever of two says so."""
    found = tissue_map(cards(a=(("b",), {}), b=((), {}), c=(("b",), {}), d=((), {})))
    assert found == {"a": {"b", "c"}, "b": {"a", "c"}, "c": {"a", "b"}, "d": set()}


def test_parts_are_followed_one_step() -> None:
    """Tiles of rat and human in one collection touch both; rat and human stay apart. A twin of one is touched too."""
    found = tissue_map(
        cards(
            rat=(("twin",), {"tiles": "some"}), human=((), {"tiles": "some"}), tiles=((), {}), twin=((), {})
        )
    )
    assert found["tiles"] == {"rat", "human", "twin"}
    assert found["rat"] == {"twin", "tiles"}
    assert found["twin"] == {"rat", "tiles"}
    assert found["human"] == {"tiles"}


def test_a_card_does_not_overlap_with_itself_or_twice() -> None:
    """Each other dataset stands in one of the two lists."""
    for same, parts in ((("vnc",), {}), ((), {"vnc": "all"}), (("x",), {"x": "some"})):
        with pytest.raises(BadInputError, match="each in one of the two"):
            replace(load_card("vnc"), overlaps=same, shares=parts)


@pytest.mark.parametrize("key", sorted(DATASETS))
def test_both_cards_of_a_pair_say_it(key: str) -> None:
    """A reader of either card learns of the other dataset, in the same words: the same tissue, or a part."""
    card = load_card(key)
    assert {*card.overlaps, *card.shares} <= {*DATASETS, *ELSEWHERE}, "of an unknown dataset nothing follows"
    for field in ("overlaps", "shares"):
        for other in set(getattr(card, field)) & set(DATASETS):
            assert key in getattr(load_card(other), field), f"{other}: name {key} in its {field} as well"
    named = set(dict(card.rows()).get("Same tissue as", "").split(", ")) - {""}
    assert named == set(card.overlaps)


@pytest.mark.parametrize(("key", "others"), NEIGHBOURS.items())
def test_neighbours_are_those_of_the_references(key: str, others: set[str]) -> None:
    """The whole neighbourhood of a dataset, not only what its own card says."""
    assert same_tissue()[key] == others


def seen_on_board(folder: Path) -> dict[str, list[str]]:
    """What the built board says, from each of the places that users read."""
    rows = json.loads((folder / "board.json").read_text())["rows"]
    lines = csv.DictReader(io.StringIO((folder / "table.csv").read_text()))
    found = {row["entry"]: row["contaminated_by"] for row in rows}
    assert {row["entry"]: row["contaminated"] for row in rows} == {key: bool(by) for key, by in found.items()}
    assert {line["entry"]: line["seen"].split() for line in lines} == found
    return found


def invoke(command: str, board: Path, *options: str) -> str:
    """Run `mitobench leaderboard <command>`."""
    words = ["leaderboard", command, "--leaderboard", str(board), *options]
    return CliRunner().invoke(app, words, catch_exceptions=False).stdout


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """Models that learnt from different things, all scored on the test half of lucchi-pp."""
    folder = tmp_path / "leaderboard"
    learnt = {
        "own-train": '["lucchi-pp@1/train"]',
        "other-tissue": '["vnc@1/train", "kasthuri-pp@1/train"]',
        "own-test": '["lucchi-pp@1/train", "lucchi-pp@1/test"]',
        "own-test-elsewhen": '["lucchi-pp@7/test"]',
        "same-images": '["vnc@1/train", "lucchi@1/train"]',
        "other-spelling": '["mitonet_lucchi_pp@1/test"]',
    }
    for place, (key, data) in enumerate(learnt.items()):
        add_entry(folder, key, shift=place, training_data=data, dataset="lucchi-pp")
    return folder


def test_models_that_saw_the_tissue_are_flagged(board: Path) -> None:
    """From the command line: the training half of the same dataset is fine, any part of its twins is not."""
    invoke("build", board)
    assert seen_on_board(board) == {
        "own-train": [],
        "other-tissue": [],
        "own-test": ["lucchi-pp@1/test"],
        "own-test-elsewhen": ["lucchi-pp@7/test"],
        "same-images": ["lucchi@1/train"],
        "other-spelling": ["mitonet_lucchi_pp@1/test"],
    }
    seen = {row["entry"]: row["seen"] for row in json.loads(invoke("table", board, "--json"))}
    assert seen["same-images"] == "lucchi@1/train"
    assert seen["own-train"] == ""


def test_a_board_without_its_flags_is_stale(tmp_path: Path) -> None:
    """`leaderboard check` takes no board from which a flag was left out, and no training data of no dataset."""
    folder = tmp_path / "leaderboard"
    add_entry(folder, "twin", training_data='["lucchi@1/train"]', dataset="lucchi-pp")
    leaderboard.build(folder)  # knows of no overlaps
    with pytest.raises(RecordError, match=r"board\.json.* is stale"):
        invoke("check", folder)
    invoke("build", folder)
    invoke("check", folder)
    card = folder / "twin" / "model.toml"
    card.write_text(card.read_text().replace("lucchi@1/train", "luchi@1/train"))
    invoke("build", folder)
    with pytest.raises(RecordError, match="luchi@1/train is of no known dataset"):
        invoke("check", folder)
