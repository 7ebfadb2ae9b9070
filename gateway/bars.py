"""Progress bars of the command line: what is done, how much of it, how fast, and how long it will take."""

from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


def bars(console: Console) -> Progress:
    """A context in which bars are shown."""
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
    )


class Bar:
    """One of the bars, counting `unit`s; `total` None is for what nobody knows the end of."""

    def __init__(self, progress: Progress, what: str, unit: str, total: int | None = None) -> None:
        self._progress = progress
        self._unit = unit
        self._task = progress.add_task(what, total=total, rate="")
        self._begun = monotonic()
        self._done = 0

    def advance(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        seconds = max(monotonic() - self._begun, 0.001)
        self._progress.update(self._task, advance=count, rate=f"{self._done / seconds:,.0f} {self._unit}/s")
