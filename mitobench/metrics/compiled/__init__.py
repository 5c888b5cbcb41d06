"""Inner loops compiled by numba, imported only where `engine.use_numba` says so. Each has a NumPy twin elsewhere.

Arrays are never bound to a second name inside a loop and indices are unsigned: numba would add reference counting
and wrap-around tests, which cost more than the work. Compiled code is cached beside the files.
"""
