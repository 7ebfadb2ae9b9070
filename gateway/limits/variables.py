"""How many values there are in the variables of an operation: each is converted, and each that is wrong is told."""

import sys
from collections.abc import Mapping
from typing import Any

LEAST_BYTES = 2
"""What a value takes in JSON, with what parts it from the next: shorter text need not be counted."""


def values_in(variables: Mapping[str, Any], at_most: int = sys.maxsize) -> int:
    """How many values, lists and objects among them; more than `at_most` as soon as it is known that there are more."""
    count, inner = len(variables), [one for one in variables.values() if type(one) is dict or type(one) is list]
    while inner and count <= at_most:
        value = inner.pop()
        count += len(value)
        if count <= at_most:
            values = value.values() if type(value) is dict else value
            inner += [one for one in values if type(one) is dict or type(one) is list]
    return count
