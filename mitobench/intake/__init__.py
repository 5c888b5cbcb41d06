"""What happens to things that strangers send: which addresses, bytes, changes and claims are taken. Pure functions.

Nothing here knows git, tokens, scores or datasets; continuous integration and `mitobench submit --dry-run` call the
same functions through `mitobench.submissions`.
"""
