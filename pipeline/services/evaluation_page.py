"""An evaluation as one HTML file that needs nothing else: the score over time, then every question."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipeline.services.evaluation import Asked, Point, Report

WIDTH, HEIGHT, LEFT, BELOW, ABOVE = 860, 220, 44, 28, 14
"""Of the plot, and its margins, in pixels."""

GOOD, MIDDLING = 0.8, 0.4
"""Scores from which a question counts as answered well, and in part."""

NAMES = {
    "ndcg": "nDCG@10",
    "recall": "recall@5",
    "reciprocal_rank": "MRR@10",
    "hit": "hit@5",
    "scenario": "right scenario",
    "refusal": "says there is no answer",
}

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; background: #fff; margin: 32px auto; max-width: 900px;
       padding: 0 20px; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 16px; margin: 32px 0 8px; }
p.when, .quiet { color: #5d6978; margin: 0; }
.figures { display: flex; flex-wrap: wrap; gap: 12px 36px; margin: 20px 0 8px; }
.figures div { min-width: 90px; } .figures b { display: block; font-size: 26px; font-weight: 600; line-height: 1.2; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid #d5dbe3; padding: 6px 8px; }
td { vertical-align: top; border-bottom: 1px solid #e7ebf0; padding: 8px; overflow-wrap: anywhere; }
td.score { white-space: nowrap; } .bar { height: 6px; background: #e7ebf0; border-radius: 3px; margin-top: 6px; }
.bar i { display: block; height: 6px; border-radius: 3px; }
.up { color: #19703d; } .down { color: #b3261e; }
svg text { font: 12px system-ui, sans-serif; fill: #5d6978; }
"""
_COLOURS = {"good": "#2f8f5b", "part": "#c9862b", "bad": "#c43d33"}


def render(report: Report, history: Sequence[Point], *, org: str) -> str:
    """The page. Questions that were answered worst come first; what the org wrote is shown, not obeyed."""
    worst_first = sorted(report.questions, key=lambda one: (one.scored.score, one.message))
    figures = [("score", report.score), *((NAMES[name], mean) for name, mean in report.means.items())]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>Golden questions of {escape(org)}</title><style>{_STYLE}</style>",
        f"<h1>Golden questions of {escape(org)}</h1>",
        f"<p class=when>{len(report.questions)} questions, asked {report.at:%Y-%m-%d %H:%M} UTC{_beside(report)}</p>",
        "<div class=figures>",
        *(f"<div><b>{value:.2f}</b>{escape(name)}</div>" for name, value in figures),
        "</div>",
        f"<h2>Score over time</h2>{plot(history)}" if len(history) > 1 else "",
        f"<h2>Question by question</h2>{_legend(worst_first)}",
        "<table><colgroup><col style='width:40%'><col style='width:120px'><col></colgroup>",
        "<tr><th>question<th>score<th>what was found</tr>",
        *(_row(one) for one in worst_first),
        "</table></html>",
    ]
    return "\n".join(parts)


def plot(history: Sequence[Point]) -> str:
    """The scores as a line of points, oldest first; hollow ones were held."""
    across = (WIDTH - LEFT - 20) / max(len(history) - 1, 1)
    down = HEIGHT - BELOW - ABOVE
    places = [(LEFT + at * across, ABOVE + (1 - point.score) * down) for at, point in enumerate(history)]
    served = [place for place, point in zip(places, history, strict=True) if point.is_accepted]
    lines = [f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' width='100%' role=img aria-label='Score over time'>"]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        y = ABOVE + (1 - tick) * down
        lines.append(f"<line x1={LEFT} x2={WIDTH - 10} y1={y:.1f} y2={y:.1f} stroke='#e7ebf0'/>")
        lines.append(f"<text x={LEFT - 8} y={y + 4:.1f} text-anchor=end>{tick:.2f}</text>")
    lines.append(f"<polyline points='{' '.join(f'{x:.1f},{y:.1f}' for x, y in served)}' fill=none stroke='#2d6cb5'/>")
    for (x, y), point in zip(places, history, strict=True):
        fill, stroke = ("#2d6cb5", "#2d6cb5") if point.is_accepted else ("#fff", _COLOURS["bad"])
        told = f"{point.at:%Y-%m-%d %H:%M}: {point.score:.2f}{'' if point.is_accepted else ', held'}"
        lines.append(
            f"<circle cx={x:.1f} cy={y:.1f} r=4 fill='{fill}' stroke='{stroke}' stroke-width=2>"
            f"<title>{told}</title></circle>"
        )
    ends = ((LEFT, "start", history[0]), (WIDTH - 20, "end", history[-1]))
    for x, anchor, point in ends:
        lines.append(f"<text x={x} y={HEIGHT - 6} text-anchor={anchor}>{point.at:%Y-%m-%d %H:%M}</text>")
    if len(served) < len(places):
        lines.append(f"<text x={WIDTH / 2:.0f} y={HEIGHT - 6} text-anchor=middle>hollow: held by the gate</text>")
    return "\n".join([*lines, "</svg>"])


def _beside(report: Report) -> str:
    if report.then is None or report.now is None or report.since is None:
        return ""
    return f"; the same questions scored {report.then:.2f} on {report.since:%Y-%m-%d %H:%M}, now {report.now:.2f}"


def _legend(questions: Sequence[Asked]) -> str:
    counts = {name: sum(_kind(one.scored.score) == name for one in questions) for name in _COLOURS}
    return (
        f"<p class=quiet>{counts['good']} answered well, {counts['part']} in part, {counts['bad']} not; "
        "the worst come first.</p>"
    )


def _row(one: Asked) -> str:
    score = one.scored.score
    change = ""
    if one.before is not None and abs(score - one.before) >= 0.005:  # noqa: PLR2004 - less is not shown in two digits
        change = f" <span class={'up' if score > one.before else 'down'}>{score - one.before:+.2f}</span>"
    bar = f"<div class=bar><i style='width:{score:.0%};background:{_COLOURS[_kind(score)]}'></i></div>"
    found = "<br>".join(escape(url) for url in one.found) or "nothing"
    return (
        f"<tr><td>{escape(one.message)}<td class=score>{score:.2f}{change}{bar}"
        f"<td>{''.join(f'<div class=down>{escape(word)}</div>' for word in complaints(one))}"
        f"<div class=quiet>{found}</div></tr>"
    )


def complaints(one: Asked) -> list[str]:
    """What is wrong with an answer, in words."""
    scored = one.scored
    told = [f"not found: {missing}" for missing in scored.missing]
    if scored.scenario == 0:
        told.append(f"another scenario: {', '.join(one.fired)}" if one.fired else "its scenario did not fire")
    if scored.refusal == 0:
        told.append("it is taken for answerable")
    if scored.refusal is None and not one.is_answerable and scored.ndcg is not None:
        told.append("it is taken for unanswerable")
    return told


def _kind(score: float) -> str:
    return "good" if score >= GOOD else "part" if score >= MIDDLING else "bad"
