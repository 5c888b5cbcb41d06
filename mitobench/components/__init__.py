"""From a mask to objects: connected components of one connectivity and smallest size. No scores live here."""

from mitobench.components.label import as_objects, components, drop_small, warn_of_shades
from mitobench.components.slabs import Seams

__all__ = ["Seams", "as_objects", "components", "drop_small", "warn_of_shades"]
