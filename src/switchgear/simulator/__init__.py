"""A provider that speaks the formats of OpenAI, Anthropic, Gemini and Ollama: demo, test double, load-test target.

Generated or recorded answers, at a set pace, with faults on request; see `behaviour` for what a request can ask for and
in which ways. One or a few files per wire format (`openai_*`, `anthropic_*`, `gemini_*`, `ollama_*`) and its rows in
`routes`; whose dialect a request is in, `dialects` tells by its path and headers.

    settings      options                      http        requests out of bytes
    simulator     the object that serves       connection  one client, its answers in order
    run           the process                  service     from request to answer
    behaviour     timing and faults            delivery    from answer to bytes, faults included
    faults        rules                        wheel       one timer for all streams
    replay        recorded exchanges           journal     what was seen
"""

from switchgear.simulator.journal import Record, Stats
from switchgear.simulator.run import run, serve
from switchgear.simulator.settings import SimulatorSettings
from switchgear.simulator.simulator import Simulator

__all__ = ["Record", "Simulator", "SimulatorSettings", "Stats", "run", "serve"]
