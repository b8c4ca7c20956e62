"""`python -m switchgear`: the command line."""

from switchgear.cli import main

if __name__ == "__main__":
    main(prog_name="switchgear")
