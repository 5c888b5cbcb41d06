"""Board, records and cards, handed in as plain data, become the pages that mkdocs builds. No score is computed here."""

from mitobench.benchmark.pages.facts import DatasetFacts, EntryFacts, Volumes
from mitobench.benchmark.pages.site import write_site_config, write_site_pages
from mitobench.benchmark.pages.sources import entry_facts

__all__ = ["DatasetFacts", "EntryFacts", "Volumes", "entry_facts", "write_site_config", "write_site_pages"]
