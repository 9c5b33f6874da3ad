"""Small pictures of a row of numbers, as SVG of attributes alone: they need no script and no inline style."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A line in a box of `width` by `height`: `points` for `<polyline>`; gaps where nothing was measured end a line."""

    width: int
    height: int
    lines: tuple[str, ...]
    highest: float


def sparkline(values: Sequence[float | None], width: int = 600, height: int = 80) -> Sparkline:
    """Draw values, oldest first. The scale begins at nought and leaves some air above the highest."""
    highest = max((value for value in values if value is not None), default=0.0)
    scale = (height - 4) / (highest * 1.1) if highest > 0 else 0.0
    step = width / max(1, len(values) - 1)
    lines: list[str] = []
    points: list[str] = []
    for place, value in enumerate([*values, None]):
        if value is None:
            if points:
                lines.append(" ".join(points if len(points) > 1 else [points[0], points[0]]))
            points = []
        else:
            points.append(f"{place * step:.1f},{height - 2 - value * scale:.1f}")
    return Sparkline(width, height, tuple(lines), highest)
