"""The end of a process, told ahead: what streams comes to its end by itself, so that clients go on elsewhere."""

from collections.abc import Callable


class Drain:
    """Whether the process is to end, and how many sockets and streams it still waits for."""

    def __init__(self, end_sources: Callable[[], None] = lambda: None, within_s: float = 0.0) -> None:
        """`end_sources` has all subscriptions end; `within_s` is how long that may take, in seconds."""
        self.within_s = within_s
        self.held = 0
        self._end_sources = end_sources
        self.followers: set[Callable[[], None]] = set()
        """What is called when it begins."""
        self._begun = False

    @property
    def begun(self) -> bool:
        """Whether the process is to end."""
        return self._begun

    def begin(self) -> None:
        """From now on the process is not ready, and its subscriptions end. May be called again."""
        if not self.begun:
            self._begun = True
            self._end_sources()
            for follow in list(self.followers):
                follow()

    def holding(self, follow: Callable[[], None] | None = None) -> "_Holding":
        """Have the end wait, for as long as it may, while in the context; `follow` is called when it has begun."""
        return _Holding(self, follow)


class _Holding:
    """A generator in its place would take more memory, for each socket."""

    __slots__ = ("_drain", "_follow")

    def __init__(self, drain: Drain, follow: Callable[[], None] | None) -> None:
        self._drain = drain
        self._follow = follow

    def __enter__(self) -> None:
        self._drain.held += 1
        if self._follow and self._drain.begun:
            self._follow()
        elif self._follow:
            self._drain.followers.add(self._follow)

    def __exit__(self, *_: object) -> None:
        self._drain.held -= 1
        if self._follow:
            self._drain.followers.discard(self._follow)
