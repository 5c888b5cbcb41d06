"""Random damage to everything that strangers write: each ends in a result or in one of our errors, never otherwise.

The same examples every time, a fixed number of them, and no database: what CI finds, everybody finds.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_fakes import SHAPE, add_entry, model_toml, volume
from crafted import honest, zip_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitobench.benchmark.container import find_prediction
from mitobench.benchmark.container.metadata import parse_metadata
from mitobench.benchmark.manifest import parse_manifest
from mitobench.benchmark.model_card import read_model
from mitobench.benchmark.record import Record
from mitobench.benchmark.tables import (
    false_from_csv,
    objects_from_csv,
    outlines_from_csv,
    overlaps_from_csv,
)
from mitobench.errors import IntakeError, MitobenchError
from mitobench.intake.urls import HOSTS, check_url


def budget(examples: int) -> Any:
    """So many examples, always the same."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


CONTAINER = zip_bytes(honest())
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "copy", "zero", "ones"]),
        st.integers(0, len(CONTAINER)),
        st.integers(0, 64),
        st.integers(0, len(CONTAINER)),
        st.binary(min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=4,
)


def _edited(data: bytes, edits: list[tuple[str, int, int, int, bytes]]) -> bytes:
    found = bytearray(data)
    for how, at, length, source, new in edits:
        if how == "flip" and at < len(found):
            found[at] ^= 1 << length % 8
        elif how == "cut":
            del found[at : at + length]
        elif how == "insert":
            found[at:at] = new
        elif how == "copy":
            found[at : at + length] = found[source : source + length]
        elif how in ("zero", "ones"):
            found[at : at + length] = (b"\0" if how == "zero" else b"\xff") * len(found[at : at + length])
    return bytes(found)


@budget(150)
@given(edits=EDITS)
def test_a_damaged_container(tmp_path_factory: pytest.TempPathFactory, edits: Any) -> None:
    """Bytes flipped, cut, copied or put in: labels of the right form come out, or a refusal."""
    path = tmp_path_factory.getbasetemp() / "fuzzed.zip"
    path.write_bytes(_edited(CONTAINER, edits))
    try:
        found = find_prediction(path, volumes=[volume()], only_container=True)
        labels = found.open(volume())[:] if "a" in found.places else np.zeros(SHAPE, np.uint16)
    except MitobenchError:
        return
    assert labels.shape == SHAPE
    assert labels.dtype == np.uint16


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=6,
)


def _places(plain: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    return [at, *(place for key, value in inner for place in _places(value, (*at, key)))]


def _changed(plain: Any, place: tuple[Any, ...], value: Any, key: str | None) -> Any:
    """A copy with another value in one place, or with one key more there."""
    if not place:
        return {**plain, key: value} if key is not None and isinstance(plain, dict) else value
    copy = plain.copy()
    copy[place[0]] = _changed(plain[place[0]], place[1:], value, key)
    return copy


def _fuzzed(plain: Any) -> st.SearchStrategy[Any]:
    return st.builds(
        _changed, st.just(plain), st.sampled_from(_places(plain)), JSON, st.none() | st.text(max_size=6)
    )


@budget(80)
@given(plain=_fuzzed(json.loads(honest()[2].data)))
def test_changed_metadata_of_an_array(plain: Any) -> None:
    """Another value, or one key more, anywhere: what is taken is still a chunk that fits in memory."""
    try:
        found = parse_metadata(json.dumps(plain).encode(), where="zarr.json")
    except MitobenchError:
        return
    assert found.chunk_bytes <= 1 << 26
    assert found.packing in ("", "blosc", "zstd")


@budget(40)
@given(plain=_fuzzed(json.loads(honest()[1].data)))
def test_a_changed_manifest(plain: Any) -> None:
    """prediction.json is read or refused."""
    try:
        assert parse_manifest(json.dumps(plain).encode(), where="prediction.json").schema == 1
    except MitobenchError:
        return


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An entry as the package writes it."""
    return add_entry(tmp_path_factory.mktemp("board") / "leaderboard", "some-model")


@budget(60)
@given(data=st.data())
def test_a_changed_record(entry: Path, data: st.DataObject) -> None:
    """A record with another value or key anywhere is read or refused, and what is read is written alike."""
    (path,) = entry.glob("*.json")
    plain = data.draw(_fuzzed(json.loads(path.read_text())))
    try:
        record = Record.from_json(json.dumps(plain))
    except MitobenchError:
        return
    assert Record.from_json(record.to_json()).to_json() == record.to_json()


@budget(40)
@given(edits=EDITS, which=st.integers(0, 3))
def test_damaged_tables(entry: Path, edits: Any, which: int) -> None:
    """Rows that do not fit are refused by their line."""
    readers = (overlaps_from_csv, objects_from_csv, false_from_csv, outlines_from_csv)
    parts = ("", ".objects", ".tiles", ".outlines")
    (path,) = [one for one in entry.glob("tables/*.csv") if one.name.endswith(f"0{parts[which]}.csv")]
    text = _edited(path.read_bytes(), edits).decode(errors="replace")
    try:
        readers[which](text, where=path.name)
    except MitobenchError:
        return


TOML = model_toml("some-model").encode()


@budget(60)
@given(edits=EDITS, key=st.text("abc_\"'=[]{}\n#", max_size=8))
def test_a_damaged_model_card(tmp_path_factory: pytest.TempPathFactory, edits: Any, key: str) -> None:
    """model.toml is read or refused, whatever was typed."""
    path = tmp_path_factory.getbasetemp() / "model.toml"
    for data in (
        _edited(TOML, [(how, at % len(TOML), *rest) for how, at, *rest in edits]),
        TOML + key.encode(),
    ):
        path.write_bytes(data)
        try:
            read_model(path)
        except MitobenchError:
            continue
        assert tomllib.loads(data.decode())["key"] == read_model(path).key


@budget(100)
@given(
    start=st.sampled_from(
        ["", "https://", "https://zenodo.org", "https://zenodo.org@", "https:zenodo.org", "//"]
    ),
    text=st.text("aZ0.:/@[]\\%?#-x1 \t\n\u0430\u2024\u3002\u202e\0", max_size=24),
)
def test_addresses(start: str, text: str) -> None:
    """Whatever passes is https, without a login or port, at a host of the list."""
    try:
        address = check_url(start + text)
    except IntakeError:
        return
    assert address.url.startswith("https://")
    assert "@" not in address.url.split("/")[2]
    assert any(address.host == host or address.host.endswith(host.lstrip("*")) for host in HOSTS)
