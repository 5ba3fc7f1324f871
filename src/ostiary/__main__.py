"""`python -m ostiary`: the command line."""

from ostiary.cli import main

main()
