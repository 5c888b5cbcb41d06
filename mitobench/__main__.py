"""`python -m mitobench` is the command line."""

from mitobench.cli import main

main()
