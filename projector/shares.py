"""How workers come to equal shares of the leases without talking to each other. Pure, but for the shuffling.

Each takes what is free up to its share, in an order of its own so that two rarely reach for the same one; a worker
that has too little when nothing is free takes one from the worker that has the most, one at each look. The rule is
that of the change feed processor for .NET (EqualPartitionsBalancingStrategy), which does not shuffle.
"""

import random
from collections import Counter
from collections.abc import Mapping


def to_take(owners: Mapping[str, str | None], me: str) -> list[str]:
    """The leases that worker `me` should take now, given the owner of each; None is a lease that is free."""
    counts = Counter(owner for owner in owners.values() if owner is not None)
    workers = counts.keys() | {me}
    share = -(-len(owners) // len(workers))
    missing = share - counts[me]
    if missing <= 0:
        return []
    free = [lease for lease, owner in owners.items() if owner is None]
    if free:
        return random.sample(free, min(missing, len(free)))
    richest, most = counts.most_common(1)[0]
    if richest == me or most <= share - (1 if missing > 1 else 0):
        return []
    return [random.choice([lease for lease, owner in owners.items() if owner == richest])]
