"""Looking at a split: a contact sheet and a page for a browser, or layers in napari. Draws; decides nothing."""

from mitobench.datasets.view.napari_layers import run_napari
from mitobench.datasets.view.show import View, view, view_split

__all__ = ["View", "run_napari", "view", "view_split"]
