"""Each row of the threat table has tests. A test that is renamed or removed has to be named here again."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
REFUSED = "hostile/test_refusals.py::test_all_are_refused_within_limits"
FUZZED = "hostile/test_fuzz.py::"
ROWS = {
    "code in data": [
        REFUSED,
        "test_container.py::test_codecs_outside_the_list",
        "test_container.py::test_zarr_2_is_refused",
        "test_container.py::test_pickles_are_never_loaded",
        f"{FUZZED}test_changed_metadata_of_an_array",
        f"{FUZZED}test_a_damaged_model_card",
    ],
    "names that leave the archive, links, devices, twins": [
        REFUSED,
        "hostile/test_refusals.py::test_every_place_of_a_file_counts",
        f"{FUZZED}test_a_damaged_container",
        "test_intake_policy.py::test_no_other_path_is_taken",
    ],
    "bombs": [REFUSED, "test_container.py::test_a_chunk_bomb", "test_container.py::test_a_shape_bomb"],
    "truth by reference": [
        REFUSED,
        "hostile/test_refusals.py::test_only_containers_of_strangers_are_scored",
        "test_container.py::test_links_are_refused",
    ],
    "flood of objects": ["hostile/test_flood.py::test_every_invented_object_lowers_the_score"],
    "requests forged, tokens, redirects": [
        "test_intake_urls.py::test_bad_addresses",
        "test_intake_urls.py::test_numbers_inside_a_network_are_refused",
        "test_intake_urls.py::test_a_host_that_moves_inside_is_refused",
        "test_intake_urls.py::test_the_real_connection_goes_to_the_checked_number",
        f"{FUZZED}test_addresses",
    ],
    "file swapped between check and use": [
        "hostile/test_refusals.py::test_a_file_swapped_while_it_is_read",
        "test_intake_urls.py::test_other_bytes_the_second_time",
    ],
    "names and notes on the site": [
        "test_pages.py::test_csv_runs_no_formula",
        "test_intake_policy.py::test_nothing_a_stranger_wrote_is_markdown",
    ],
    "formulas in exports": ["test_pages.py::test_csv_runs_no_formula"],
    "squatting on names": ["test_intake_policy.py::test_the_owner_of_a_key"],
    "numbers edited by hand": [f"{FUZZED}test_a_changed_record", f"{FUZZED}test_damaged_tables"],
}


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_its_tests(row: str) -> None:
    """The tests that a row names are there."""
    for name in ROWS[row]:
        file, _, function = name.partition("::")
        tree = ast.parse((TESTS / file).read_text())
        assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, name
