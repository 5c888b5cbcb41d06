"""Whatever number of a committed record is edited, the check fails and names the field."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitobench.benchmark import leaderboard

ENTRY, RECORD = "unet", "vnc@1.auto.0.json"
SOURCE = REPOSITORY / "leaderboard" / ENTRY
COMMITTED = json.loads((SOURCE / RECORD).read_text())
Where = tuple[str | int, ...]


def _numbers(value: Any, path: Where = ()) -> Iterator[Where]:
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _numbers(one, (*path, key))
    elif type(value) in {int, float}:
        yield path


NUMBERS = list(_numbers(COMMITTED))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A leaderboard of one committed record, built."""
    folder = tmp_path_factory.mktemp("board") / "leaderboard"
    (folder / ENTRY / "tables").mkdir(parents=True)
    for path in (SOURCE / "model.toml", SOURCE / RECORD, *SOURCE.glob(f"tables/{RECORD[:-5]}*.csv")):
        shutil.copy(path, folder / ENTRY / path.relative_to(SOURCE))
    leaderboard.build(folder)
    assert leaderboard.check(folder) == []
    return folder


def _said_of_an_edit(board: Path, where: Where, value: object) -> str:
    """Everything that the check says of the record once one number is another."""
    plain = json.loads(json.dumps(COMMITTED))
    place = plain
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    path = board / ENTRY / RECORD
    path.write_text(json.dumps(plain))
    problems = leaderboard.check(board)
    path.write_text(json.dumps(COMMITTED))
    return "\n".join(str(problem) for problem in problems if problem.file == f"{ENTRY}/{RECORD}")


def _found(where: Where) -> Any:
    value = COMMITTED
    for key in where:
        value = value[key]
    return value


def _assert_named(board: Path, where: Where, value: object) -> None:
    said = _said_of_an_edit(board, where, value)
    names = [part for part in where if isinstance(part, str)]
    assert all(name in said for name in names), f"{where} to {value}: {said or 'nothing was said'}"


@given(where=st.sampled_from(NUMBERS), by=st.sampled_from((-1, 1, 1e-6, -0.25)))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_edited_number_is_named(board: Path, where: Where, by: float) -> None:
    """Drawn anew each time; `test_every_number_of_a_record` goes through them all."""
    value = _found(where) + (round(by) or 1 if isinstance(_found(where), int) else by)
    _assert_named(board, where, value)


@pytest.mark.slow
@pytest.mark.parametrize("where", NUMBERS, ids=lambda where: ".".join(map(str, where)))
def test_every_number_of_a_record(board: Path, where: Where) -> None:
    """One more, a little more, and none at all: whatever stands there instead, the field is named.

    Ends of intervals may differ by less than 1e-9, because special functions round differently on other machines.
    """
    found = _found(where)
    for value in (found + 1, found + (1 if isinstance(found, int) else 1e-8), None):
        _assert_named(board, where, value)


def test_the_record_has_every_kind_of_number() -> None:
    """The record that is edited holds numbers in all its parts, so that the property says something."""
    tops = {where[0] for where in NUMBERS}
    parts = {"counts", "definitions", "intervals", "objects", "per_volume", "prediction", "provenance"}
    assert tops >= parts | {"regions", "schema", "scores", "seed", "table", "tiles"}
    assert len(NUMBERS) > 200
