"""`python -m switchgear.simulator`: the same as `switchgear simulate`."""

from switchgear.simulator.options import command

if __name__ == "__main__":
    command()
