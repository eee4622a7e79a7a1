"""Trains the network that chooses a page's main text, and writes its weights.

Run as `python -m tests.evaluation.train_selection OUT.npz`; reads the labelled pages under
SITEWISE_EVAL_DATA. With `--folds 3` it writes nothing and prints word F1 on pages it was not trained on.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.stages.extract import parse
from pipeline.stages.extract.decoding import decode
from pipeline.stages.extract.features import Matrix, describe
from pipeline.stages.extract.pieces import Piece
from pipeline.stages.extract.reading import Reading
from pipeline.stages.extract.selection import THRESHOLD
from tests.evaluation.extraction import Sample, read_help_site, read_pages
from tests.evaluation.report import NOT_RUN, say, warn

HIDDEN, CONTEXT, REACH = 32, 24, 5
EPOCHS, BATCH, RATE = 14, 4, 3e-3
HELP_PAGES = 60
"""Pages of the help site that are trained on; the others stay unseen."""

_WORD = re.compile(r"\w+")
_LINE = re.compile(r"\n| - |: |\|")


@dataclass(frozen=True, slots=True)
class Labelled:
    """One page: features of its pieces, the share of each piece that is main text, and their words."""

    kind: str
    features: Matrix
    shares: NDArray[np.float32]
    words: list[list[str]]
    wanted: list[str]


def label(sample: Sample) -> Labelled | None:
    """Cut a page into pieces and see which of their words stand in its main text."""
    pieces = Reading.of(parse(decode(sample.html.encode("utf-8", "replace")))).pieces
    if not pieces:
        return None
    wanted = _WORD.findall(sample.text.lower())
    lines = {" ".join(_WORD.findall(line)) for line in _LINE.split(sample.text.lower())}
    shares = [_share(piece, wanted, lines) for piece in pieces]
    words = [_WORD.findall(piece.text.lower()) for piece in pieces]
    return Labelled(sample.kind, describe(pieces), np.array(shares, dtype=np.float32), words, wanted)


def _share(piece: Piece, wanted: Sequence[str], lines: set[str]) -> float:
    """From 0 to 1: by whole lines for labels, by pairs for short pieces, by runs of three for texts."""
    own = _WORD.findall(piece.text.lower())
    if not own:
        return 0.0
    whole = f" {' '.join(own)} " in f" {' '.join(wanted)} "
    if len(own) <= 2:
        return 1.0 if " ".join(own) in lines else 0.3 * whole
    size = 2 if len(own) < 6 else 3
    if whole:
        return 1.0
    known = set(zip(*(wanted[step:] for step in range(size)), strict=False))
    runs = list(zip(*(own[step:] for step in range(size)), strict=False))
    return sum(run in known for run in runs) / len(runs) * (0.6 if size == 2 else 1.0)


class Network(nn.Module):
    """The shape that `pipeline.stages.extract.selection` computes with numpy."""

    def __init__(self, features: int) -> None:
        """Random weights, with dropout while training."""
        super().__init__()
        self.inner = nn.Linear(features, HIDDEN)
        self.around = nn.Conv1d(HIDDEN, CONTEXT, REACH, padding=REACH // 2)
        self.outer = nn.Linear(HIDDEN + CONTEXT, 1)
        self.forget_features, self.forget_hidden = nn.Dropout(0.1), nn.Dropout(0.3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Scores of a page's pieces, shape `(pieces,)`; a sigmoid makes them likelihoods."""
        hidden = self.forget_hidden(torch.relu(self.inner(self.forget_features(rows))))
        context = self.forget_hidden(torch.relu(self.around(hidden.T[None])[0].T))
        score: torch.Tensor = self.outer(torch.cat([hidden, context], dim=1))[:, 0]
        return score


class Scale:
    """Brings features to mean 0 and deviation 1, as measured on the training pages."""

    def __init__(self, pages: Sequence[Labelled]) -> None:
        """Measure."""
        rows = np.vstack([page.features for page in pages])
        self.mean, self.scale = rows.mean(0), 1 / (rows.std(0) + 0.05)

    def __call__(self, page: Labelled) -> torch.Tensor:
        """The page's rows, scaled and cut off at six deviations."""
        return torch.from_numpy(np.clip((page.features - self.mean) * self.scale, -6, 6).astype(np.float32))


def train(pages: Sequence[Labelled], scale: Scale, seed: int) -> Network:
    """Fit one network to one minus the soft word F1 of each page, with cross entropy to steady it."""
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    network = Network(pages[0].features.shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    steps = EPOCHS * -(-len(pages) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    inputs = [scale(page) for page in pages]
    for _ in range(EPOCHS):
        shuffled = order.permutation(len(pages))
        for start in range(0, len(pages), BATCH):
            optimiser.zero_grad()
            batch = [_loss(network(inputs[number]), pages[number]) for number in shuffled[start : start + BATCH]]
            torch.stack(batch).mean().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    return network.eval()


def _loss(scores: torch.Tensor, page: Labelled) -> torch.Tensor:
    shares = torch.from_numpy(page.shares)
    words = torch.tensor([len(own) for own in page.words], dtype=torch.float32)
    kept = torch.sigmoid(scores) * words
    right = (kept * shares).sum()
    wanted = max(float(len(page.wanted)), float((words * shares).sum()))
    weights = words**0.7
    doubt = nn.functional.binary_cross_entropy_with_logits(scores, shares, reduction="none")
    return 1 - 2 * right / (kept.sum() + wanted + 1e-6) + 0.7 * (doubt * weights).sum() / (weights.sum() + 1e-6)


def page_f1(likelihood: NDArray[np.float32], page: Labelled) -> float:
    """Word F1 of the pieces above the threshold."""
    have = Counter(
        word for likely, own in zip(likelihood, page.words, strict=True) if likely >= THRESHOLD for word in own
    )
    want = Counter(page.wanted)
    total = have.total() + want.total()
    return 2 * (have & want).total() / total if total else 1.0


def cross_validate(pages: Sequence[Labelled], helping: Sequence[Labelled], folds: int) -> dict[str, float]:
    """Mean F1 by kind on pages that the network judging them never saw."""
    fold_of = np.random.default_rng(1).permutation(len(pages)) % folds
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for fold in range(folds):
        known = [page for page, its in zip(pages, fold_of, strict=True) if its != fold] + list(helping)
        scale = Scale(known)
        network = train(known, scale, seed=fold)
        for page in (page for page, its in zip(pages, fold_of, strict=True) if its == fold):
            with torch.no_grad():
                scores[page.kind].append(page_f1(torch.sigmoid(network(scale(page))).numpy(), page))
    means = {kind: float(np.mean(values)) for kind, values in sorted(scores.items())}
    return means | {"mean": float(np.mean(list(means.values())))}


def save(networks: Sequence[Network], scale: Scale, path: Path) -> None:
    """Write the weights of all networks as the extract stage reads them."""

    def stacked(name: str, *axes: int) -> NDArray[np.float16]:
        arrays = [network.state_dict()[name].numpy() for network in networks]
        return np.stack([array.transpose(*axes) if axes else array for array in arrays]).astype(np.float16)

    np.savez_compressed(
        path,
        mean=scale.mean.astype(np.float32),
        scale=scale.scale.astype(np.float32),
        inner=stacked("inner.weight", 1, 0),
        inner_bias=stacked("inner.bias"),
        around=stacked("around.weight", 2, 1, 0),
        around_bias=stacked("around.bias"),
        outer=stacked("outer.weight")[:, 0],
        outer_bias=stacked("outer.bias")[:, 0],
    )


def main() -> int:
    """Train three networks on everything and write them, or cross-validate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="file of weights to write")
    parser.add_argument("--folds", type=int, default=0, help="cross-validate instead")
    options = parser.parse_args()
    root = os.environ.get("SITEWISE_EVAL_DATA")
    if not root:
        warn("SITEWISE_EVAL_DATA is not set: nothing was trained")
        return NOT_RUN
    torch.set_num_threads(1)
    pages = [page for page in map(label, read_pages(Path(root))) if page]
    samples = read_help_site(Path(root))
    chosen = np.random.default_rng(2).permutation(len(samples))[:HELP_PAGES]
    helping = [page for number in chosen if (page := label(samples[number]))]
    if options.folds:
        say(" ".join(f"{kind} {value:.3f}" for kind, value in cross_validate(pages, helping, options.folds).items()))
        return 0
    everything = [*pages, *helping]
    scale = Scale(everything)
    save([train(everything, scale, seed) for seed in (1, 2, 3)], scale, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
