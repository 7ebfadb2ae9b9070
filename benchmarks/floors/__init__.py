"""The same work written by hand, as little as can be done about it: what a gateway could cost at best."""
