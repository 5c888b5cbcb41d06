"""Files and folders take their name whole or not at all."""

import os

import pytest

from mitobench.replacing import TEMPORARY_SUFFIX, replacing


@pytest.mark.parametrize("folder", [False, True])
def test_what_was_there_stays_until_the_new_is_whole(tmp_path, folder):
    """A block that fails leaves the old and nothing else; one that ends puts the new in its place."""
    path = tmp_path / "new" / "a"

    def write(where, text):
        if folder:
            where.mkdir()
            where = where / "part"
        where.write_text(text)

    def text():
        return (path / "part" if folder else path).read_text()

    with replacing(path) as temporary:
        write(temporary, "old")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:  # noqa: PT012 - the block is what fails
        write(temporary, "half")
        raise KeyboardInterrupt
    assert text() == "old"
    with replacing(path) as temporary:
        write(temporary, "new")
    assert text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_old_leftovers_go_and_young_ones_may_be_at_work(tmp_path):
    """An hour is old, unless the caller knows better."""
    old, young = (tmp_path / f".a.{process}{TEMPORARY_SUFFIX}" for process in (1, 2))
    for left in (old, young):
        left.write_text("half")
    os.utime(old, (0, 0))
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("whole")
    assert sorted(tmp_path.iterdir()) == [young, tmp_path / "a"]
    os.utime(young, (0, 0))
    with replacing(tmp_path / "a", old_seconds=0) as temporary:
        temporary.write_text("whole")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]
