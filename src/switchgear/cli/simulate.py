"""`switchgear simulate`: a simulated provider. Its options stand in `switchgear.simulator.options`."""

from switchgear.simulator.options import command

__all__ = ["command"]
