"""A submission on its way to the board: looked at, rescored, commented on. Wings and rules of intake meet here.

Continuous integration calls these through `mitobench intake`, people through `mitobench submit --dry-run`.
"""
