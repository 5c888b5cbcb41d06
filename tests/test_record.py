"""The record: its schema, its text and its name."""

import json
from pathlib import Path

import pytest
from benchmark_fakes import blobs, score, volume, write_prediction

from mitobench.benchmark.names import RecordName
from mitobench.benchmark.record import Record, to_json
from mitobench.errors import BadInputError, MitobenchError, RecordError
from mitobench.replacing import write_text_atomic


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return score(write_prediction(tmp_path / "p", {"a": blobs(1)}), [volume()])


def _edited(record: Record, **fields: object) -> str:
    return json.dumps({**record.to_dict(), **fields})


def test_round_trip(record: Record, tmp_path: Path) -> None:
    """Written and read back, a record is the same, byte for byte."""
    path = record.write(tmp_path)
    assert path.name == "fake@1.auto.0.json"
    assert Record.read(path) == record
    assert Record.read(path).to_json() == record.to_json() == path.read_text()


def test_tables_are_written_beside_it(record: Record, tmp_path: Path) -> None:
    """The tables of a record go where it says they are."""
    record.write(tmp_path / "any.json")
    assert (tmp_path / record.table.path).read_text() == record.files[record.table.path]
    assert record.objects is not None
    assert (tmp_path / record.objects.path).is_file()


def test_text_is_the_same_for_any_order(record: Record) -> None:
    """Keys are sorted, so the order in which scores were computed does not show."""
    turned = record.changed(scores=dict(reversed(record.scores.items())))
    assert turned.to_json() == record.to_json()


def test_a_killed_write_leaves_the_old_file(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is replaced whole or not at all, and nothing else is left behind."""
    path = tmp_path / "r.json"
    path.write_text("old")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        write_text_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.glob(".r.json*")) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"surprise": 1}, "surprise"),
        ({"seed": "0"}, "seed"),
        ({"seed": -1}, "seed"),
        ({"model": "No Capitals"}, "model"),
        ({"status": "verified"}, "status"),
        ({"schema": 4}, "schema"),
        ({"schema": 1}, "outlines stand in a record of schema 1"),
        ({"scores": {"iou": "0.5"}}, "scores.iou"),
        ({"manifest_sha256": "xyz"}, "manifest_sha256"),
        ({"table": {"path": "../x.csv", "sha256": "0" * 64, "rows": 1}}, "table.path"),
        ({"table": {"path": "tables/other@1.auto.0.csv", "sha256": "0" * 64, "rows": 1}}, "table.path"),
        ({"per_volume": {}}, "per_volume"),
        ({"regions": []}, "regions"),
        ({"files": {"a": "b"}}, "files"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(record: Record, fields: dict[str, object], said: str) -> None:
    """Unknown keys, numbers in strings and contradictions are refused, and the field is named."""
    with pytest.raises(RecordError, match=said.replace(".", r"\.")):
        Record.from_json(_edited(record, **fields))


def test_all_problems_are_told_at_once(record: Record) -> None:
    """Two wrong fields give one message with both."""
    with pytest.raises(RecordError, match=r"(?s)2 field.*seed.*split|2 field.*split.*seed"):
        Record.from_json(_edited(record, seed="0", split="Test!"))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_not_a_number_is_refused(record: Record, value: str) -> None:
    """Undefined is null; NaN and infinity are not JSON."""
    text = record.to_json().replace('"seed": 0', f'"seed": {value}')
    with pytest.raises(RecordError, match="null"):
        Record.from_json(text)


def test_a_key_that_stands_twice_is_refused(record: Record) -> None:
    """The second of two equal keys would silently win."""
    text = record.to_json().replace('"seed": 0', '"seed": 0, "seed": 1')
    with pytest.raises(RecordError, match="seed twice"):
        Record.from_json(text)


def test_counts_have_to_add_up(record: Record) -> None:
    """Hits and misses are all true objects."""
    plain = record.to_dict()
    plain["counts"]["objects"][0]["tp"] += 1
    with pytest.raises(RecordError, match="n_pred"):
        Record.from_json(json.dumps(plain))


def test_a_volume_stands_once(record: Record) -> None:
    """Two regions of one volume would count it twice."""
    plain = record.to_dict()
    plain["regions"] *= 2
    with pytest.raises(RecordError, match="a volume twice"):
        Record.from_json(json.dumps(plain))


def test_nan_never_reaches_a_file() -> None:
    """Whatever is written as JSON, NaN is refused rather than written."""
    with pytest.raises(ValueError, match="JSON"):
        to_json({"a": float("nan")})


def test_undefined_is_null(tmp_path: Path) -> None:
    """The precision of an empty prediction is null, not NaN and not 0."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs() * 0}), [volume()])
    assert record.scores["precision"] is None
    assert '"precision": null' in record.to_json()


def test_status_is_all_that_changes(record: Record) -> None:
    """A record climbs the ladder without losing its tables."""
    climbed = record.changed(status="rescored")
    assert climbed.status == "rescored"
    assert climbed.files == record.files
    assert climbed.changed(status=record.status) == record


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    """A wrong path is told as such."""
    with pytest.raises(BadInputError, match="is not a file"):
        Record.read(tmp_path / "none.json")


@pytest.mark.parametrize(
    "name", ["vnc@1.auto.0.json", "lucchi_pp@2.slice-box.12.json", "cdeep3m@1.point.3.json"]
)
def test_good_names(name: str) -> None:
    """A good name reads back as itself."""
    assert RecordName.parse(name).file == name


@pytest.mark.parametrize(
    "name",
    [
        "vnc.auto.0.json",
        "vnc@1.auto.json",
        "vnc@1.auto.00.json",
        "vnc@1.auto.-1.json",
        "VNC@1.auto.0.json",
        "vnc@1.auto.0.txt",
        "../vnc@1.auto.0.json",
        "vnc@1.auto.0.5.json",
        "vnc@1.auto.٣.json",
        "vnc@1.auto.0.json\n",
    ],
)
def test_bad_names(name: str) -> None:
    """Anything else is refused, with an example of a good one."""
    with pytest.raises(MitobenchError, match=r"vnc@1\.auto\.0\.json"):
        RecordName.parse(name)


def test_the_name_says_what_the_record_says(record: Record) -> None:
    """Name and content come from the same fields."""
    name = record.name
    assert (name.dataset, name.version, name.track, name.seed) == ("fake", "1", "auto", 0)
    assert record.table.path == f"tables/{name.stem}.csv"
