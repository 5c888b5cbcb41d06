"""Board, records and cards, handed in as plain data, become the pages that mkdocs builds. No score is computed here.

Names are imported from the modules: a process that only draws then loads little more than NumPy and Pillow.
"""
