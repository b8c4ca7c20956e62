"""Where a request goes: models, targets, breakers, credentials, retries. Pure decisions, no I/O.

The caller awaits, measures time and draws random numbers; what is here takes `now` (seconds of a monotonic clock)
and a draw, and returns a decision. It imports neither asyncio nor any client or server library.

router       models to routes, a route to the target to try
decision     the same choice with its reasons
breaker      when a failing target is left out, and when it is tried again
credentials  a provider's keys in rotation
retry        what an outcome means, and whether there is another attempt
"""

from switchgear.routing.breaker import Breaker
from switchgear.routing.credentials import Credential, CredentialPool
from switchgear.routing.decision import Candidate, Decision
from switchgear.routing.retry import Outcome, RetryPlan, Step, classify, most_useful, parse_retry_after
from switchgear.routing.router import Route, Router

__all__ = [
    "Breaker",
    "Candidate",
    "Credential",
    "CredentialPool",
    "Decision",
    "Outcome",
    "RetryPlan",
    "Route",
    "Router",
    "Step",
    "classify",
    "most_useful",
    "parse_retry_after",
]
