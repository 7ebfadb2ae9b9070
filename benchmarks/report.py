"""Results as a file, and as tables: in the terminal and in docs/performance.md."""

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks import picture
from benchmarks.figures import Figure, Target, Work
from benchmarks.machine import machine, versions

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
PICTURE = HERE.parent / "docs" / "images" / "performance.svg"
RESULTS, GROWTH = HERE / "results.json", HERE / "growth.json"


class Results(msgspec.Struct):
    """A run: when, on what, and what was measured."""

    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    works: list[Work]


def keep(works: list[Work]) -> None:
    """Write results.json."""
    _keep(RESULTS, works)


def keep_growth(works: list[Work]) -> None:
    """Write growth.json."""
    _keep(GROWTH, works)


def kept(path: Path) -> Results | None:
    """What was written, if something was."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else None


def write() -> None:
    """Write the picture and the tables of what is kept."""
    if results := kept(RESULTS):
        PICTURE.write_text(picture.drawn(results.works))
    PAGE.write_text(rewritten(PAGE.read_text()))


def rewritten(page: str) -> str:
    """The page with its tables made anew; its prose is left alone."""
    results, growth = kept(RESULTS), kept(GROWTH)
    if results:
        page = _between(page, "targets", _targets(results.works))
        page = _between(page, "figures", _figures(results.works))
        page = _between(page, "conditions", _conditions(results))
    if growth:
        page = _between(page, "growth", _growth(growth.works))
    return page


def told(work: Work) -> str:
    """The work's figures and targets, for a terminal."""
    lines = [f"{work.title} ({work.unit})"]
    for figure in work.figures:
        low, high = min(figure.rounds), max(figure.rounds)
        lines.append(f"  {figure.server:<28}{_number(figure.median):>9}   {_number(low)} to {_number(high)}")
    lines += [f"  {_wanted(target)}: {_is(work, target)}" for target in work.targets]
    lines += [f"  not measured: {missing}" for missing in work.missing]
    return "\n".join(lines)


def _keep(path: Path, works: list[Work]) -> None:
    results = Results(f"{datetime.now(UTC):%Y-%m-%d}", machine(), versions(), works)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def _between(page: str, name: str, table: str) -> str:
    marks = f"<!-- {name} -->", f"<!-- /{name} -->"
    return re.sub(f"(?<={marks[0]}\n).*?(?={marks[1]})", lambda _: f"{table}\n", page, flags=re.DOTALL)


def _targets(works: list[Work]) -> str:
    rows = [
        f"| {work.title} | {_shown(work, work.figure(target.of))} | {_wanted(target)} | {_is(work, target)} |"
        for work in works
        for target in work.targets
    ]
    return "\n".join(["| work | the gateway | to reach | is |", "|---|---|---|---|", *rows])


def _figures(works: list[Work]) -> str:
    rows = [
        f"| {work.title if index == 0 else ''} | {figure.server} | {_shown(work, figure)} | {_spread(figure)} |"
        for work in works
        for index, figure in enumerate(work.figures)
    ]
    missing = [f"\nNot measured: {text}." for text in sorted({text for work in works for text in work.missing})]
    return "\n".join(["| work | server | median | lowest to highest |", "|---|---|---|---|", *rows, *missing])


def _growth(works: list[Work]) -> str:
    rows = [
        f"| {work.title if index == 0 else ''} | {figure.server} | {_shown(work, figure)} | {_spread(figure)} "
        f"| {figure.median / work.figures[0].median:.3g} |"
        for work in works
        for index, figure in enumerate(work.figures)
    ]
    head = ["| work | at | median | lowest to highest | times the first |", "|---|---|---|---|---|"]
    targets = [
        f"\nOf the {work.title}, {target.of} are to cost {_wanted(target)}: {_is(work, target)}."
        for work in works
        for target in work.targets
    ]
    return "\n".join([*head, *rows, *targets])


def _conditions(results: Results) -> str:
    on = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    with_ = ", ".join(f"{name} {value}" for name, value in results.versions.items())
    return f"Measured on {results.date}; {on}. Versions: {with_}."


def _shown(work: Work, figure: Figure | None) -> str:
    return f"{_number(figure.median)} {work.unit}" if figure else ""


def _spread(figure: Figure) -> str:
    return f"{_number(min(figure.rounds))} to {_number(max(figure.rounds))}" if len(figure.rounds) > 1 else ""


def _wanted(target: Target) -> str:
    """As in: at most 1.25 x bare ASGI."""
    bound = "at least" if target.at_least else "at most"
    if target.floor is None:
        return f"{bound} {_number(target.plus)}"
    plus = f" + {_number(target.plus)}" if target.plus else ""
    return f"{bound} {target.times:.3g} x {target.floor}{plus}"


def _is(work: Work, target: Target) -> str:
    """As in: 1.31 x, not reached; where the target adds something, the part of all that is allowed."""
    reached = work.reached(target)
    if reached is None:
        return "not measured"
    good = reached >= 1 if target.at_least else reached <= 1
    is_ = f"{reached * target.times:.3g} x" if target.floor and not target.plus else f"{reached:.0%} of that"
    return f"{is_}, {'reached' if good else 'not reached'}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
