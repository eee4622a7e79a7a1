"""Trains the networks that choose a page's main text, and writes their weights.

Run as `python -m tests.evaluation.train_selection`; reads the labelled pages under SITEWISE_EVAL_DATA. Beside the
weights that are shipped come those for each fold, trained without its websites: what they reach on these pages is what
can be expected of pages that nobody has seen.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.stages.extract import parse, second_opinion, selection
from pipeline.stages.extract.claims import Claims
from pipeline.stages.extract.decoding import decode
from pipeline.stages.extract.features import Matrix, describe
from pipeline.stages.extract.metadata import read_full_title, read_meta
from pipeline.stages.extract.pieces import Piece
from pipeline.stages.extract.reading import Reading
from pipeline.stages.extract.structured import read_structured
from tests.evaluation.extraction import FOLD_WEIGHTS, FOLDS, Sample, fold_of, read_help_site, read_pages
from tests.evaluation.report import NOT_RUN, say, warn
from tests.evaluation.small_pages import small_pages

SHIPPED = Path(selection.__file__).with_name("selection.npz")
NETWORKS, HIDDEN, CONTEXT, REACH = 5, 32, 24, 5
EPOCHS, BATCH, RATE = 14, 4, 3e-3
HELP_PAGES = 60
"""Pages of the help site that are trained on: one site in two hundred pages would outweigh the others."""

_WORD = re.compile(r"\w+")
_LINE = re.compile(r"\n| - |: |\|")


@dataclass(frozen=True, slots=True)
class Labelled:
    """One page: features of its pieces, the share of each piece that is main text, and their words."""

    url: str
    features: Matrix
    shares: NDArray[np.float32]
    words: NDArray[np.float32]
    wanted: int


def label(sample: Sample) -> Labelled | None:
    """Cut a page into pieces and see which of their words stand in its main text."""
    root = parse(decode(sample.html.encode("utf-8", "replace")))
    reading = Reading.of(root)
    if not reading.pieces:
        return None
    claims = Claims.of(read_full_title(root), read_meta(root), read_structured(root), sample.url)
    features = describe(reading.pieces, claims, second_opinion(reading, claims, root))
    wanted = _WORD.findall(sample.text.lower())
    lines = {" ".join(_WORD.findall(line)) for line in _LINE.split(sample.text.lower())}
    shares = [_share(piece, wanted, lines) for piece in reading.pieces]
    words = [len(_WORD.findall(piece.text)) for piece in reading.pieces]
    return Labelled(
        sample.url, features, np.array(shares, dtype=np.float32), np.array(words, dtype=np.float32), len(wanted)
    )


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


class Networks(nn.Module):
    """Networks of the shape that `pipeline.stages.extract.selection` computes with numpy, side by side."""

    def __init__(self, features: int) -> None:
        """Random weights, with dropout while training."""
        super().__init__()
        self.inner, self.inner_bias = _layer(features, HIDDEN)
        self.around, self.around_bias = _layer(HIDDEN * REACH, CONTEXT)
        self.outer, self.outer_bias = _layer(HIDDEN + CONTEXT, 1)
        self.forget_features, self.forget_hidden = nn.Dropout(0.1), nn.Dropout(0.3)

    def forward(self, rows: torch.Tensor, is_page: torch.Tensor) -> torch.Tensor:
        """Scores, shape `(networks, rows)`; a sigmoid makes them likelihoods.

        Args:
            rows: Pages below each other, `REACH // 2` rows of zeros before and after each.
            is_page: Which rows are a page's, 1 or 0, shape `(rows, 1)`.
        """
        known = self.forget_features(rows.expand(NETWORKS, *rows.shape))
        hidden = self.forget_hidden(torch.relu(torch.baddbmm(self.inner_bias, known, self.inner))) * is_page
        near = torch.cat([hidden.roll(REACH // 2 - step, 1) for step in range(REACH)], dim=2)
        context = self.forget_hidden(torch.relu(torch.baddbmm(self.around_bias, near, self.around)))
        score: torch.Tensor = torch.baddbmm(self.outer_bias, torch.cat([hidden, context], dim=2), self.outer)[:, :, 0]
        return score


def _layer(inputs: int, outputs: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weights and biases of one layer of every network, spread as `nn.Linear` does."""
    spread = inputs**-0.5
    weights = torch.empty(NETWORKS, inputs, outputs).uniform_(-spread, spread)
    return nn.Parameter(weights), nn.Parameter(torch.empty(NETWORKS, 1, outputs).uniform_(-spread, spread))


class Scale:
    """Brings features to mean 0 and deviation 1, as measured on the training pages."""

    def __init__(self, pages: Sequence[Labelled]) -> None:
        """Measure."""
        rows = np.vstack([page.features for page in pages])
        self.mean, self.scale = rows.mean(0), 1 / (rows.std(0) + 0.05)

    def __call__(self, page: Labelled) -> Matrix:
        """The page's rows, scaled and cut off at six deviations."""
        scaled: Matrix = np.clip((page.features - self.mean) * self.scale, -6, 6).astype(np.float32)
        return scaled


class Batch:
    """Some pages below each other, with room between them."""

    def __init__(self, pages: Sequence[Labelled], scale: Scale) -> None:
        """Lay them out."""
        room = REACH // 2
        starts = np.cumsum([room, *(len(page.shares) + room for page in pages)])
        size = int(starts[-1])
        rows = np.zeros((size, pages[0].features.shape[1]), dtype=np.float32)
        shares, words, page_of = np.zeros(size), np.zeros(size), np.full(size, len(pages))
        for number, (page, start) in enumerate(zip(pages, starts, strict=False)):
            place = slice(start, start + len(page.shares))
            rows[place], shares[place], words[place], page_of[place] = scale(page), page.shares, page.words, number
        self.count = len(pages)
        self.rows = torch.from_numpy(rows)
        self.shares, self.words = torch.tensor(shares).float(), torch.tensor(words).float()
        self.page_of = torch.tensor(page_of)
        self.is_page = (self.page_of < self.count).float()[:, None]
        reachable = self.sums(self.words * self.shares)
        self.wanted = torch.maximum(torch.tensor([float(page.wanted) for page in pages]), reachable)

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        """Sums by page along the last axis."""
        totals = torch.zeros(*values.shape[:-1], self.count + 1)
        return totals.index_add(-1, self.page_of, values)[..., : self.count]

    def loss(self, scores: torch.Tensor) -> torch.Tensor:
        """One minus the soft word F1 of each page, with cross entropy to steady it; over all networks."""
        kept = torch.sigmoid(scores) * self.words
        right = self.sums(kept * self.shares)
        missed = 1 - 2 * right / (self.sums(kept) + self.wanted + 1e-6)
        weights = self.words**0.7
        shares = self.shares.expand_as(scores)
        doubt = nn.functional.binary_cross_entropy_with_logits(scores, shares, reduction="none")
        unsure = self.sums(doubt * weights) / (self.sums(weights) + 1e-6)
        return (missed + 0.7 * unsure).mean(1).sum()


def train(pages: Sequence[Labelled], scale: Scale) -> Networks:
    """Fit the networks, each from its own random start, to the same batches."""
    torch.manual_seed(1)
    order = np.random.default_rng(1)
    networks = Networks(pages[0].features.shape[1])
    optimiser = torch.optim.AdamW(networks.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=EPOCHS * -(-len(pages) // BATCH))
    for _ in range(EPOCHS):
        shuffled = order.permutation(len(pages))
        for start in range(0, len(pages), BATCH):
            batch = Batch([pages[number] for number in shuffled[start : start + BATCH]], scale)
            optimiser.zero_grad()
            batch.loss(networks(batch.rows, batch.is_page)).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            nn.utils.clip_grad_norm_(networks.parameters(), NETWORKS**0.5)
            optimiser.step()
            schedule.step()
    return networks.eval()


def save(networks: Networks, scale: Scale, path: Path) -> None:
    """Write the weights as the extract stage reads them."""

    def stored(weights: torch.Tensor) -> NDArray[np.float16]:
        return weights.detach().numpy().astype(np.float16)

    np.savez_compressed(
        path,
        mean=scale.mean.astype(np.float32),
        scale=scale.scale.astype(np.float32),
        inner=stored(networks.inner),
        inner_bias=stored(networks.inner_bias[:, 0]),
        around=stored(networks.around.reshape(NETWORKS, REACH, HIDDEN, CONTEXT)),
        around_bias=stored(networks.around_bias[:, 0]),
        outer=stored(networks.outer[:, :, 0]),
        outer_bias=stored(networks.outer_bias[:, 0, 0]),
    )


def main() -> int:
    """Train on everything, and on all but each fold, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=SHIPPED, help="file for the weights that are shipped")
    parser.add_argument("--folds", type=Path, default=FOLD_WEIGHTS, help="folder for those of the folds")
    options = parser.parse_args()
    root = os.environ.get("SITEWISE_EVAL_DATA")
    if not root:
        warn("SITEWISE_EVAL_DATA is not set: nothing was trained")
        return NOT_RUN
    torch.set_num_threads(1)
    helping = read_help_site(Path(root))
    chosen = np.random.default_rng(2).permutation(len(helping))[:HELP_PAGES]
    samples = [*read_pages(Path(root)), *(helping[number] for number in chosen)]
    pages = [page for page in map(label, [*samples, *small_pages(samples)]) if page]
    options.folds.mkdir(exist_ok=True)
    for fold, path in (*((fold, options.folds / f"{fold}.npz") for fold in range(FOLDS)), (None, options.out)):
        known = [page for page in pages if fold_of(page.url) != fold]
        scale = Scale(known)
        save(train(known, scale), scale, path)
        say(f"trained on {len(known)} pages: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
