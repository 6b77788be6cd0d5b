"""What pictures are made from: scored strings, picks and the parser's reasons."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from repro.figures import gallery

STRINGS = ["CCO", "c1ccccc1", "CC(", "CCO", "CCCCCCCC", "C1CC"]


def tuning() -> SimpleNamespace:
    def model(method: str, seed: int) -> tuple[SimpleNamespace, SimpleNamespace]:
        return (
            SimpleNamespace(numbers={"settings": {"method": method}, "seed": seed}),
            SimpleNamespace(numbers={"strings": STRINGS}),
        )

    prior = SimpleNamespace(numbers={"strings": ["C", "("]})
    return SimpleNamespace(prior_measures=prior, policies=[model("psi", 1), model("psi", 2)])


def test_every_string_keeps_its_model_and_its_scores() -> None:
    """Protects the figures: prior and the asked seed, repeated strings included, NaN and a reason where invalid."""
    frame = gallery.scored(tuning(), seed=2)
    assert frame.groupby(["method", "seed"]).size().to_dict() == {("prior", 0): 2, ("psi", 2): 6}
    assert frame["valid"].tolist() == [True, False, True, True, False, True, True, False]
    assert frame.loc[~frame["valid"], "qed"].isna().all() and (frame.loc[~frame["valid"], "reason"] != "").all()
    with pytest.raises(ValueError, match="no policy has seed 7: the seeds are 1, 2"):
        gallery.scored(tuning(), seed=7)


def test_picks() -> None:
    """Protects the galleries: the best first, each string once, invalid ones only when asked for."""
    frame = gallery.of_strings("psi", STRINGS)
    assert gallery.picked(frame, "logp", 2)["smiles"].tolist() == ["CCCCCCCC", "c1ccccc1"]
    assert sorted(gallery.picked(frame, "random", 9)["smiles"]) == ["CCCCCCCC", "CCO", "c1ccccc1"]
    assert sorted(gallery.picked(frame, "invalid", 9)["smiles"]) == ["C1CC", "CC("]
    assert gallery.picked(frame, "qed", 1)["caption"][0].startswith("QED 0.")
    with pytest.raises(ValueError, match="cannot pick by 'beauty'"):
        gallery.picked(frame, "beauty", 1)


def test_reasons_are_shares_of_all_strings() -> None:
    """Protects the bars: two of six strings are refused, each for its own reason."""
    table = gallery.refusals(gallery.of_strings("psi", STRINGS))
    assert table["share"].tolist() == pytest.approx([1 / 6, 1 / 6])
    assert gallery.refusals(gallery.of_strings("psi", STRINGS), most=1)["reason"].tolist()[1] == "other"
