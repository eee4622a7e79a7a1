"""Which scenario a message means: matching against the nearest trigger, on messages that mean one and that mean none.

`near` messages are about the same business, `far` ones about anything. Misfires are counted where 95 % of the messages
that mean a scenario still fire, and where the matcher itself chose its threshold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from pipeline.model import Vector
from pipeline.retrieval import background
from pipeline.retrieval.matcher import Background, Matcher, Taught, learn
from tests.evaluation import datasets
from tests.evaluation.baselines import Encoder
from tests.evaluation.metrics import bootstrap
from tests.evaluation.report import NOT_RUN, say, warn

FLOORS = Path(__file__).with_name("training_floors.json")
"""For each set the digest of its files and what each figure must reach; `…misfires` are ceilings.

Another digest means that figures of other files were pinned: nothing passed. Lowering one needs its reason in the
commit.
"""

BELOW_FLOOR = 1
SETS = ("banking50", "clinc150")
TRIGGERS = (1, 5, 10)
KEPT = 0.95


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody says, the place of the scenario it means (-1: none), and its scope."""

    text: str
    gold: int
    scope: str


@dataclass(frozen=True, slots=True)
class Messages:
    """A set: scenarios as (title, triggers), messages, their vectors, and a digest of the files."""

    name: str
    scenarios: tuple[tuple[str, tuple[str, ...]], ...]
    messages: tuple[Message, ...]
    digest: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table a set, and write everything as JSON where `--json` says."""
    options = _parser().parse_args(arguments)
    at = datasets.root()
    if at is None:
        warn(f"not run: {datasets.VARIABLE} does not say where the question sets are")
        return NOT_RUN
    encoder = Encoder()
    floors = json.loads(FLOORS.read_text(encoding="utf-8"))
    report, status = {}, 0
    for name in options.sets:
        one = read(name, at)
        figures = measure(one, encoder)
        report[name] = {"corpus": one.digest, **figures}
        say(_table(one, figures))
        status = max(status, judge(one, figures, floors.get(name, {})))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return status


def read(name: str, at: Path) -> Messages:
    """The development half of a set."""
    files = [at / "eval" / name / part for part in ("shared/scenarios.jsonl", "dev/utterances.jsonl")]
    texts = [file.read_bytes() for file in files]
    rows: list[list[dict[str, Any]]] = [[json.loads(line) for line in text.splitlines()] for text in texts]
    places = {row["id"]: place for place, row in enumerate(rows[0])}
    return Messages(
        name,
        tuple((row["name"], tuple(row["triggers"])) for row in rows[0]),
        tuple(Message(row["text"], places.get(row["gold"], -1), row["scope"]) for row in rows[1]),
        hashlib.sha256(b"".join(texts)).hexdigest(),
    )


def measure(one: Messages, encoder: Encoder) -> dict[str, dict[str, float]]:
    """The figures of both systems for each number of triggers."""
    asked = encoder.messages([message.text for message in one.messages])
    titles = encoder.messages([title for title, _ in one.scenarios])
    triggers = [encoder.messages(texts) for _, texts in one.scenarios]
    far = Background(background.QUESTIONS, encoder.messages(background.QUESTIONS))
    inner, dimension = encoder.embedder.inner, encoder.embedder.identity.dimension
    figures = {}
    for count in TRIGGERS:
        taught = [
            Taught(UUID(int=place), (title, *texts[:count]), np.vstack([titles[place], triggers[place][:count]]))
            for place, (title, texts) in enumerate(one.scenarios)
        ]
        began = time.perf_counter()
        matcher = learn(taught, far, inner=inner)
        learning = time.perf_counter() - began
        began = time.perf_counter()
        scores = np.stack([matcher.scores(matcher.see(v), m.text) for v, m in zip(asked, one.messages, strict=True)])
        scoring = (time.perf_counter() - began) / len(asked)
        plain = asked[:, :dimension]
        nearest = np.stack([(plain @ rows[:count, :dimension].T).max(axis=1) for rows in triggers], axis=1)
        figures[str(count)] = {
            **{f"baseline {key}": value for key, value in _figures(nearest, one).items()},
            **_figures(scores, one),
            **_chosen(scores, matcher, one),
            **_gain(scores, nearest, one),
            "seconds to learn": round(learning, 3),
            "ms to score": round(scoring * 1_000, 3),
        }
    return figures


def judge(one: Messages, figures: Mapping[str, Mapping[str, float]], floors: Mapping[str, Any]) -> int:
    """The exit status that a set's floors call for."""
    if floors.get("corpus") != one.digest:
        warn(f"{one.name}: its files are not those the floors were pinned for ({one.digest})")
        return BELOW_FLOOR
    status = 0
    for count, wanted in floors["triggers"].items():
        for name, bound in wanted.items():
            reached = figures[count][name]
            if reached > bound if name.endswith("misfires") else reached < bound:
                warn(f"{one.name}, {count} triggers: {name} is {reached:.3f}, its floor is {bound}")
                status = BELOW_FLOOR
    return status


def _figures(scores: Vector, one: Messages) -> dict[str, float]:
    """Top-1, and misfires where 95 % of what is meant fires."""
    inside = _of(one, "in")
    best = scores.max(axis=1)
    threshold = float(np.quantile(best[inside], 1 - KEPT))
    return {"top-1": float(_is_right(scores, one).mean()), **_misfires(best, threshold, one)}


def _chosen(scores: Vector, matcher: Matcher, one: Messages) -> dict[str, float]:
    """What becomes of messages at the threshold the matcher chose."""
    best, threshold = scores.max(axis=1), matcher.calibration.threshold
    kept = float((best[_of(one, "in")] >= threshold).mean())
    misfires = _misfires(best, threshold, one)
    return {"chosen kept": kept, **{f"chosen {name}": value for name, value in misfires.items()}}


def _gain(scores: Vector, nearest: Vector, one: Messages) -> dict[str, float]:
    """Top-1 above the baseline, with its paired 95 % interval."""
    gain = bootstrap((_is_right(scores, one).astype(float) - _is_right(nearest, one)).tolist())
    return {"gain": gain.mean, "gain low": gain.low, "gain high": gain.high}


def _is_right(scores: Vector, one: Messages) -> NDArray[np.bool_]:
    inside = _of(one, "in")
    gold = np.array([message.gold for message in one.messages])
    right: NDArray[np.bool_] = scores[inside].argmax(axis=1) == gold[inside]
    return right


def _misfires(best: Vector, threshold: float, one: Messages) -> dict[str, float]:
    found = {scope: _of(one, scope) for scope in ("near", "far")}
    return {f"{scope} misfires": float((best[mask] >= threshold).mean()) for scope, mask in found.items() if mask.any()}


def _of(one: Messages, scope: str) -> NDArray[np.bool_]:
    return np.array([message.scope == scope for message in one.messages])


def _table(one: Messages, figures: Mapping[str, Mapping[str, float]]) -> str:
    """A table as people read it; one line for each figure, one column for each number of triggers."""
    lines = [f"{one.name}: {len(one.scenarios)} scenarios, {len(one.messages)} messages, files {one.digest[:16]}"]
    lines.append(f"  {'triggers':26}" + "".join(f"{count:>9}" for count in figures))
    names = next(iter(figures.values()))
    lines += [f"  {name:26}" + "".join(f"{row[name]:9.3f}" for row in figures.values()) for name in names]
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.evaluation.training", description=__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS, help="which sets")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
