"""Synthetic tissue that looks like EM: seeded, any shape and voxel size. No files and no dataset cards."""

from mitobench.datasets.phantom.render import make_phantom

__all__ = ["make_phantom"]
