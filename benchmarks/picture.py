"""The targets as bars: how far the gateway is from each, on a scale that doubles."""

import math
from html import escape

from benchmarks.figures import Work

WIDTH, ROW, TOP, LEFT, RIGHT = 900, 30, 56, 380, 70
LOW, HIGH = -2, 5
"""The scale, in powers of two: from a quarter of what is allowed to 32 times as much."""
GOOD, BAD, INK, LINE = "#2f7d5b", "#c2571a", "#24292f", "#8c959f"


def drawn(works: list[Work]) -> str:
    """An SVG picture."""
    bars = [
        (f"{work.title} / {target.floor or 'limit'}", 1 / reached if target.at_least else reached)
        for work in works
        for target in work.targets
        if (reached := work.reached(target)) is not None
    ]
    height = TOP + ROW * len(bars) + 16
    style = f'font-family="sans-serif" font-size="13" fill="{INK}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {style}>',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            '<text x="16" y="24" font-weight="bold">Cost in parts of what is to be reached; shorter is better</text>',
            *_scale(height),
            *(part for row, (label, cost) in enumerate(bars) for part in _bar(row, label, cost)),
            "</svg>\n",
        ]
    )


def _x(cost: float) -> float:
    part = (math.log2(cost) - LOW) / (HIGH - LOW)
    return round(LEFT + min(max(part, 0.0), 1.0) * (WIDTH - LEFT - RIGHT), 1)


def _scale(height: int) -> list[str]:
    lines = []
    for power in range(LOW, HIGH + 1):
        x, label = _x(2.0**power), f"{2**power}x" if power >= 0 else f"1/{2**-power}"
        dashes = "" if power == 0 else ' stroke-dasharray="2 4"'
        lines.append(f'<line x1="{x}" x2="{x}" y1="{TOP - 8}" y2="{height - 12}" stroke="{LINE}"{dashes}/>')
        lines.append(f'<text x="{x}" y="{TOP - 14}" font-size="11" text-anchor="middle">{label}</text>')
    return lines


def _bar(row: int, label: str, cost: float) -> list[str]:
    y, end = TOP + row * ROW, _x(cost)
    colour = GOOD if cost <= 1 else BAD
    return [
        f'<text x="{LEFT - 10}" y="{y + 16}" font-size="12" text-anchor="end">{escape(label)}</text>',
        f'<rect x="{LEFT}" y="{y + 3}" width="{end - LEFT:.1f}" height="18" fill="{colour}"/>',
        f'<text x="{end + 6:.1f}" y="{y + 16}" font-size="12">{cost:.2f}</text>',
    ]
