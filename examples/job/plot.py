"""Draws what the server counted: items done and requests refused over time, a line a client."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

# Readable on a light page and on a dark one: the picture brings its own background.
PAPER, INK, GRID = "#ffffff", "#1f2328", "#e1e4e8"
COLOURS = ["#0969da", "#8250df", "#1b7c83", "#cf5e14", "#1a7f37", "#bf3989", "#7d8590"]

WIDTH = 860
LEFT, RIGHT = 60, 250
SWATCH = 'width="14" height="4"'
STEP = 0.05  # seconds between points


@dataclass
class Curve:
    """A client: when its requests were let through and refused, in seconds from its first."""

    name: str
    passed: list[float]
    refused: list[float]


@dataclass
class Panel:
    title: str
    top: int
    height: int
    span: float
    most: int

    def x(self, seconds: float) -> float:
        return LEFT + seconds / self.span * (WIDTH - LEFT - RIGHT)

    def y(self, count: float) -> float:
        return self.top + self.height * (1 - count / self.most)

    def frame(self) -> list[str]:
        drawn = [text(LEFT, self.top - 8, self.title, weight="bold")]
        right = WIDTH - RIGHT
        for tick in ticks(self.most, 4):
            drawn.append(line(LEFT, self.y(tick), right, self.y(tick), GRID))
            drawn.append(text(LEFT - 6, self.y(tick) + 4, f"{tick:,.0f}", anchor="end"))
        bottom = self.top + self.height
        for tick in ticks(self.span, 8):
            drawn.append(line(self.x(tick), self.top, self.x(tick), bottom, GRID))
            drawn.append(text(self.x(tick), bottom + 16, f"{tick:g} s", anchor="middle"))
        return drawn

    def curve(self, times: list[float], colour: str) -> str:
        steps = [f"{self.x(at):.1f},{self.y(count):.1f}" for at, count in counted(times)]
        points, look = " ".join(steps), f'stroke="{colour}" stroke-width="2"'
        return f'<polyline points="{points}" fill="none" {look}/>'


def counted(times: list[float]) -> list[tuple[float, int]]:
    """How many there were by each time, with a point every STEP in which there were any."""
    points = [(0.0, 0)]
    for count, at in enumerate(times, 1):
        if len(points) > 1 and at - points[-1][0] < STEP:
            points[-1] = (points[-1][0], count)
            continue
        if at - points[-1][0] > 2 * STEP:
            points.append((at - STEP, count - 1))  # flat until then
        points.append((at, count))
    return [*points, (times[-1], len(times))] if times else points


def ticks(most: float, about: int) -> list[float]:
    """Round numbers from 0 to the most, about so many."""
    step = next(
        unit * 10**power
        for power in range(-3, 9)
        for unit in (1, 2, 5)
        if most / (unit * 10**power) <= about
    )
    return [step * i for i in range(int(most / step) + 1)]


def line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "") -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line {ends} stroke="{colour}"{dashes}/>'


def text(x: float, y: float, words: str, anchor: str = "start", weight: str = "normal") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}"'
    return f"<text {place}>{escape(words)}</text>"


def draw(title: str, curves: list[Curve], rate: int, burst: int) -> str:
    """The picture as SVG; the dashed line is what the limit lets through at best."""
    span = max(curve.passed[-1] for curve in curves) * 1.02
    items = max(len(curve.passed) for curve in curves)
    refused = max(1, *(len(curve.refused) for curve in curves))
    upper = Panel("items done", 60, 250, span, items)
    lower = Panel("requests refused with 429", 370, 110, span, refused)
    drawn = [text(LEFT, 24, title, weight="bold"), *upper.frame(), *lower.frame()]
    best = (items - burst) / rate
    ends = upper.x(0), upper.y(burst), upper.x(best), upper.y(items)
    for place, (curve, colour) in enumerate(zip(curves, COLOURS)):
        drawn.append(upper.curve(curve.passed, colour))
        drawn.append(lower.curve(curve.refused, colour))
        y = 80 + 34 * place
        drawn.append(f'<rect x="{WIDTH - RIGHT + 16}" y="{y - 9}" {SWATCH} fill="{colour}"/>')
        drawn.append(text(WIDTH - RIGHT + 38, y - 3, curve.name, weight="bold"))
        told = f"{curve.passed[-1]:.1f} s, {len(curve.refused):,} refused"
        drawn.append(text(WIDTH - RIGHT + 38, y + 12, told))
    y = 80 + 34 * len(curves)
    drawn.append(line(*ends, INK, dash="3 5"))
    drawn.append(line(WIDTH - RIGHT + 16, y - 7, WIDTH - RIGHT + 30, y - 7, INK, dash="3 3"))
    drawn.append(text(WIDTH - RIGHT + 38, y - 3, f"the limit at best: {best:.1f} s"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 510" width="{WIDTH}"'
    font = f'font-family="sans-serif" font-size="12" fill="{INK}"'
    paper = f'<rect width="100%" height="100%" fill="{PAPER}"/>'
    begin = [f"{head} {font}>", f"<title>{escape(title)}</title>", paper]
    return "\n".join([*begin, *drawn, "</svg>", ""])
