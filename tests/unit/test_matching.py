"""Matching by meaning: what is learnt from triggers, where it fires, and what is decided about each scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest

from pipeline.db.scenarios import ActiveScenario
from pipeline.model import ScenarioType, Vector
from pipeline.retrieval import background
from pipeline.retrieval.calibration import Calibration, calibrate
from pipeline.retrieval.discriminant import discriminate, left_out
from pipeline.retrieval.lexicon import learn_words
from pipeline.retrieval.matcher import Background, Matcher, Taught, learn, load, unit
from pipeline.retrieval.scenarios import Why, fired, judge
from tests.fakes.embedder import WordEmbedder

EMBEDDER = WordEmbedder(dimension=128)
TEXTS = {
    "refund": ("Refund", "I want my money back", "please refund my order", "give me the money back"),
    "parcel": ("Parcel", "where is my parcel", "my parcel did not arrive", "when does the parcel come"),
    "password": ("Password", "I forgot my password", "reset the password", "my password does not work"),
}
NONE: tuple[tuple[str, ...], Vector] = ((), np.empty((0, 0), np.float32))
FAR = ("how tall is the mountain", "who sings this song", "bake a cake with cherries")


def taught(texts: Mapping[str, tuple[str, ...]]) -> list[Taught]:
    """Scenarios with their vectors; the version's id tells the place."""
    return [
        Taught(UUID(int=place), words, np.stack([EMBEDDER.encode_query(text) for text in words]))
        for place, words in enumerate(texts.values())
    ]


def matcher(texts: Mapping[str, tuple[str, ...]] = TEXTS) -> Matcher:
    """What is learnt from these, with three questions that belong to nobody."""
    far = Background(FAR, np.stack([EMBEDDER.encode_query(text) for text in FAR]))
    return learn(taught(texts), far)


def active(place: int, *, priority: int = 0) -> ActiveScenario:
    """A scenario in force."""
    number = UUID(int=place)
    kind = ScenarioType.SCENARIO_SPECIFIC
    return ActiveScenario(number, kind, number, 1, f"title {place}", "Do it.", [], priority, [], [], None, None)


def verdicts(message: str, *scenarios: ActiveScenario, by: Matcher) -> dict[int, Why]:
    """What is decided about each scenario, by its place."""
    told = judge(scenarios, by, EMBEDDER.encode_query(message), message)
    return {verdict.scenario.id.int: verdict.why for verdict in told}


def test_a_message_fires_the_scenario_it_means() -> None:
    """Words nobody wrote as a trigger fire the one they mean and no other; a stranger's question fires none."""
    learnt = matcher()

    meant = verdicts("my parcel is not here when does it arrive", active(0), active(1), active(2), by=learnt)
    strange = verdicts("how tall is a cherry tree", active(0), active(1), active(2), by=learnt)

    assert meant[1] == Why.FIRED
    assert list(meant.values()).count(Why.FIRED) == 1
    assert Why.FIRED not in strange.values()


def test_many_messages_are_scored_as_each_would_be() -> None:
    """More than fit into one comparison, and words too long to be remembered."""
    learnt = matcher()
    texts = [*FAR, *TEXTS["parcel"], "pass" * 30] * 12
    seen = np.stack([learnt.see(EMBEDDER.encode_query(text)) for text in texts])

    best = learnt.best_scores(seen, texts)

    one_by_one = [learnt.scores(row, text).max() for row, text in zip(seen, texts, strict=True)]
    assert best == pytest.approx(one_by_one, abs=1e-6)
    assert np.ptp(best) > 0.1


def test_a_matcher_comes_back_from_storage_as_it_was() -> None:
    """The same scores and the same threshold, without learning anew."""
    learnt = matcher()

    again = load(learnt.dump())

    vector = EMBEDDER.encode_query("money for the parcel")
    assert again.versions == learnt.versions
    assert again.calibration == learnt.calibration
    assert np.array_equal(again.scores(vector, "money for the parcel"), learnt.scores(vector, "money for the parcel"))


@pytest.mark.parametrize(
    "texts",
    [{}, {"one": ("Refund",)}, {"one": ("Refund", "money back")}, {"one": ("Refund",), "two": ("Parcel",)}],
    ids=["none", "a title", "a title and a trigger", "two titles"],
)
def test_few_scenarios_are_enough_to_learn_from(texts: Mapping[str, tuple[str, ...]]) -> None:
    """Whatever there is, scores and thresholds are numbers, and a title's own words fire it."""
    learnt = matcher(texts)

    scores = learnt.scores(EMBEDDER.encode_query("Refund"), "Refund")

    assert scores.shape == (len(texts),)
    assert np.isfinite(scores).all()
    assert 0 < learnt.calibration.threshold < 1
    assert not texts or scores[0] > learnt.calibration.threshold


def test_leaving_a_trigger_out_is_learning_without_it() -> None:
    """The short way gives the scores that teaching all others gives."""
    chance = np.random.default_rng(3)
    owner = np.repeat(np.arange(4, dtype=np.int32), 5)
    triggers = (chance.normal(size=(4, 12))[owner] + chance.normal(size=(20, 12))).astype(np.float32)
    means = np.stack([triggers[owner == number].mean(axis=0) for number in range(4)])
    learnt = discriminate(triggers, owner, means)

    short = left_out(learnt, triggers, owner, np.full(20, 5, np.int32))

    for row in range(20):
        kept = np.arange(20) != row
        without = np.stack([triggers[kept & (owner == number)].mean(axis=0) for number in range(4)])
        other = discriminate(triggers[kept], owner[kept], without)
        long = other.directions @ triggers[row] + other.offsets
        assert np.corrcoef(short[row], long)[0, 1] > 0.999


def test_shared_rare_words_count_more_than_common_ones() -> None:
    """A word in one trigger tells more than one in all; a word nobody knows tells against all."""
    words = learn_words(["reset the password", "where is the parcel", "cancel the order"])

    same, rare, common = (words.likeness(text) for text in ("reset the password", "my password", "the the"))
    diluted = words.likeness("my password xylophone zeppelin")

    assert same[0] == pytest.approx(1, abs=1e-5)
    assert rare.argmax() == 0
    assert rare[0] > common.max()
    assert 0 < diluted[0] < rare[0]
    assert words.likeness("").tolist() == words.likeness("?!").tolist() == [0, 0, 0]


def test_words_match_in_any_script_and_spelling() -> None:
    """Case, full-width letters and endings do not hide a word."""
    words = learn_words(["Passwort vergessen", "パスワード を 忘れた", "كلمة المرور"])

    assert words.likeness("PASSWÖRTER passwort").argmax() == 0
    assert words.likeness("ﾊﾟｽﾜｰﾄﾞ パスワード").argmax() == 1
    assert words.likeness("المرور").argmax() == 2


def test_the_threshold_keeps_what_is_meant() -> None:
    """With many triggers it stands where 95 % of them would fire; strangers push it up a little, not over them."""
    scores = np.linspace(0.4, 0.9, 400)[:, None]
    owner = np.zeros(400, np.int32)

    alone = calibrate(scores, owner, np.array([0.0, 0.1]))
    strangers = calibrate(scores, owner, np.full(50, 0.8))

    assert (scores > alone.threshold).mean() == pytest.approx(0.95, abs=0.02)
    assert alone.unsure_from < alone.threshold
    assert (scores > strangers.threshold).mean() == pytest.approx(0.90, abs=0.02)


def test_between_scenarios_in_conflict_the_higher_priority_fires() -> None:
    """A message that may mean two fires both where they are equal, else the one that ranks higher."""
    texts = {"one": ("alpha", "alpha beta"), "two": ("alpha", "alpha beta"), "three": ("gamma", "gamma delta")}
    learnt = matcher(texts)

    equal = verdicts("alpha beta", active(0), active(1), active(2), by=learnt)
    ranked = verdicts("alpha beta", active(0), active(1, priority=2), active(2, priority=9), by=learnt)

    assert (equal[0], equal[1]) == (Why.FIRED, Why.FIRED)
    assert (ranked[0], ranked[1]) == (Why.OUTRANKED, Why.FIRED)
    assert ranked[2] == Why.BELOW_THRESHOLD


def test_a_message_for_a_scenario_not_in_force_fires_no_second_best() -> None:
    """Who means what does not apply here is told nothing else instead."""
    learnt = replace(matcher(), calibration=Calibration(threshold=-1, unsure_from=-1, margin=0.02))

    told = verdicts("I want my money back", active(1), active(2), by=learnt)

    assert set(told.values()) == {Why.BEHIND_ANOTHER}


def test_what_is_nearly_meant_is_told_as_unsure() -> None:
    """Just below the threshold nothing fires, and the reason says how near it was."""
    learnt = matcher()
    message = "parcel"
    score = float(learnt.scores(EMBEDDER.encode_query(message), message)[1])
    learnt = replace(learnt, calibration=Calibration(threshold=score + 0.01, unsure_from=score - 0.01, margin=0.1))

    told = judge([active(1)], learnt, EMBEDDER.encode_query(message), message)

    assert [verdict.why for verdict in told] == [Why.UNSURE]
    assert fired(told, threshold=learnt.calibration.threshold) == ()


def test_what_an_inner_layer_sees_decides_where_vectors_do_not() -> None:
    """Of two scenarios whose vectors are the same, the one whose inner parts are like the message's is meant."""
    chance = np.random.default_rng(5)
    outer = unit(chance.normal(size=(1, 8)).astype(np.float32))
    common = chance.normal(size=8) * 5
    sides = unit((common + np.repeat(chance.normal(size=(2, 8)), 3, axis=0)).astype(np.float32))
    rows = np.hstack([np.repeat(outer, 6, axis=0), sides])
    words = ("one", "two", "three")
    far = Background(FAR, np.hstack([np.repeat(-outer, 3, axis=0), unit(np.tile(common, (3, 1)).astype(np.float32))]))

    learnt = learn([Taught(UUID(int=0), words, rows[:3]), Taught(UUID(int=1), words, rows[3:])], far, inner=8)
    blind = learn(
        [Taught(UUID(int=0), words, rows[:3, :8]), Taught(UUID(int=1), words, rows[3:, :8])], Background(*NONE)
    )

    seen = learnt.see(rows[4])
    assert np.linalg.norm(seen) == pytest.approx(1, abs=1e-5)
    assert np.ptp(blind.scores(blind.see(rows[4, :8]), "four")) == pytest.approx(0, abs=1e-5)
    assert np.diff(learnt.scores(seen, "four"))[0] > 0.1
    assert np.allclose(learnt.meanings, rows[:, :8], atol=1e-5)
    assert np.array_equal(load(learnt.dump()).see(rows[4]), seen)


def test_background_questions_are_many_and_different() -> None:
    """Two hundred lines, none twice, each short enough to be typed into a chat."""
    assert len(set(background.QUESTIONS)) == len(background.QUESTIONS) > 200
    assert all(5 < len(question) < 80 for question in background.QUESTIONS)


def test_many_triggers_are_compared_like_few() -> None:
    """Comparing in pieces gives each trigger its own cosine."""
    texts = {f"scenario {place}": (f"title{place}", f"word{place}") for place in range(700)}
    learnt = matcher(texts)
    message = "word650"

    scores = learnt.scores(EMBEDDER.encode_query(message), message)

    assert scores.argmax() == 650
