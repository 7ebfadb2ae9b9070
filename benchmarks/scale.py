"""How much is measured: enough for figures, fast enough to look, or just that it works."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Counts and seconds of a run."""

    name: str
    orders: int
    rounds: int
    seconds: float
    """Of one server in one round."""
    warm: float
    """Seconds that each server is driven before its first round."""
    deliveries: int
    """Commands whose delivery is timed, in each round."""
    subscribers: int
    changes: int
    """Changes that are delivered to all subscribers, in each round."""
    idle: int
    """Subscribers that wait, while memory is looked at."""
    replayed: int
    """Orders that are projected anew."""
    launches: int
    """Rounds of works that launch a process in each."""


SMOKE = Scale(
    name="smoke",
    orders=60,
    rounds=1,
    seconds=0.1,
    warm=0.1,
    deliveries=5,
    subscribers=50,
    changes=1,
    idle=50,
    replayed=100,
    launches=1,
)
QUICK = Scale(
    name="quick",
    orders=600,
    rounds=3,
    seconds=0.3,
    warm=0.6,
    deliveries=30,
    subscribers=1_000,
    changes=1,
    idle=2_000,
    replayed=1_500,
    launches=2,
)
FULL = Scale(
    name="full",
    orders=10_000,
    rounds=7,
    seconds=1.0,
    warm=3.0,
    deliveries=40,
    subscribers=5_000,
    changes=1,
    idle=10_000,
    replayed=5_000,
    launches=5,
)
SCALES = {scale.name: scale for scale in (SMOKE, QUICK, FULL)}
