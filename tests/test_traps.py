"""The nine traps that public mitochondria datasets set, and the tests that a naive reader fails."""

import ast
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, cdeep3m, write_zip
from fakes.cdeep3m import grey_png

from mitobench.datasets import fetch, load_card, registry, same_tissue
from mitobench.errors import IntegrityError

TESTS = Path(__file__).parent
TRAPS = {
    "train and test of Lucchi++ and Kasthuri++ exchanged, as a well-known loader has them": (
        "test_datasets_lucchi_pp.py::test_train_is_train_and_test_is_test",
        "test_datasets_kasthuri_pp.py::test_padding_is_ignored_in_every_split",
    ),
    "Lucchi++ images padded with zeros, labels not: a sort of names pairs the wrong slices": (
        "test_datasets_lucchi_pp.py::test_a_plain_sort_of_names_would_pair_wrong_slices",
        "test_datasets_kasthuri_pp.py::test_slices_are_in_the_order_of_their_numbers",
    ),
    "x and y exchanged in prose": (
        "test_datasets_lucchi_pp.py::test_card_has_rows_before_columns_and_names_its_twins",
        "test_datasets_lucchi.py::test_exchanged_rows_and_columns_are_refused",
    ),
    "grey pixels in masks": (
        "test_datasets.py::test_vnc_fake_would_catch_a_naive_reading",
        "test_datasets.py::test_cdeep3m_fake_would_catch_a_naive_reading",
        "test_datasets_lucchi_pp.py::test_a_threshold_would_find_more_than_mitochondria",
        "test_datasets_vnc.py::test_a_zero_among_the_codes_is_a_membrane",
        "test_datasets_tnbc.py::test_colours_of_masks_mean_nothing",
        "test_datasets_pictures.py::test_grey_outlines_are_cut_at_half",
    ),
    "padding that is no background": (
        "test_datasets_kasthuri_pp.py::test_padding_is_ignored_in_every_split",
        "test_datasets_urocell.py::test_only_constant_planes_are_missing",
        "test_datasets_mitoem.py::test_the_padded_copy_is_not_read",
        "test_datasets_cellmap.py::test_where_nobody_looked_is_neither_object_nor_background",
    ),
    "archives of a branch, packed anew": (
        "test_datasets_urocell.py::test_a_moving_archive_is_the_same_data",
        "test_fetch.py::test_the_folder_on_top_does_not_matter",
        "test_fetch.py::test_a_wrong_member_is_named_and_the_users_file_is_kept",
    ),
    "one tissue under several names": (
        "test_overlaps.py::test_models_that_saw_the_tissue_are_flagged",
        "test_overlaps.py::test_neighbours_are_those_of_the_references",
        "test_datasets_cem_mitolab.py::test_tiles_of_test_tissue_are_left_out",
        "test_datasets_tnbc.py::test_the_mixture_is_left_out",
    ),
    "UroCell blocks that touch": ("test_datasets_urocell.py::test_touching_blocks_are_in_one_split",),
    "CDeep3M in two renderings": ("test_traps.py::test_the_other_rendering_of_cdeep3m_is_refused",),
}
"""{trap: tests that fail on the naive reading}."""


@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_has_its_tests(trap: str) -> None:
    """The tests named above are there; a renamed or deleted one is noticed."""
    for named in TRAPS[trap]:
        file, _, test = named.partition("::")
        tree = ast.parse((TESTS / file).read_text("utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, named
    assert len(TRAPS) == 9


@pytest.mark.parametrize("part", ["images", "labels"])
def test_the_other_rendering_of_cdeep3m_is_refused(
    part: str, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cdeep3m2 has the same names, filtered images, and labels of 0 and 255: names alone would take it."""
    fake: Fake = cdeep3m.build(tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {"cdeep3m": fake.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    with zipfile.ZipFile(fake.archive) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    image, labels = fake.truth["training"]
    other = {"images": ("images/images.010.png", np.clip(image[0] * 1.1, 0, 255).astype(np.uint8))}
    other["labels"] = ("labels/mitos_3D.010.png", labels[0] * 255)
    ending, plane = other[part]
    name = next(name for name in members if name.endswith(f"training/{ending}"))
    write_zip(fake.archives / "cdeep3m-rendered-anew.zip", members | {name: grey_png(plane)})
    fake.archive.unlink()
    with pytest.raises(IntegrityError, match=r"010\.png has sha256"):
        fetch("cdeep3m")
    assert any("cdeep3m2 renders the same sections" in flaw for flaw in load_card("cdeep3m").known_flaws)
    assert "cdeep3m2" in load_card("cdeep3m").overlaps


def test_a_model_of_the_other_rendering_is_no_stranger() -> None:
    """Whoever learnt from cdeep3m2 has seen the sections of cdeep3m."""
    assert "cdeep3m2" in same_tissue()["cdeep3m"]
    assert "cdeep3m" in same_tissue()["cdeep3m2"]
