"""The listening study: blinded, balanced, alone; operated in a browser; and what comes back is checked."""

import json
import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small import run_cells

from repro.book import listening

MODELS = ("prior", "q", "psi", "g", "gentle")
LEVELS = """async () => Promise.all(Object.keys(study.clips).slice(0, 12).map(async clip => {
    const wave = (await rendered(clip)).getChannelData(0);
    return [loudness(wave), wave.reduce((most, value) => Math.max(most, Math.abs(value)), 0)]; }))"""


def made(seed: int = 0, sheets: int = listening.SHEETS, models: Sequence[str] = MODELS) -> listening.Listening:
    rng = np.random.default_rng(5)
    return listening.study({name: rng.integers(0, 38, (listening.MELODIES, 32)) for name in models}, seed, sheets)


@pytest.mark.parametrize("models", [MODELS, (*MODELS, "q_gentle", "g_gentle")])
def test_every_two_models_meet_as_often_on_either_side(models: Sequence[str]) -> None:
    """Protects from a favoured side: each ordered pair of models equally often, each model first equally often on every
    sheet, no clip twice; a seed is a study, another one another.
    """
    pairs, others = made(models=models).pairs, len(models) - 1
    assert set(pairs.value_counts(["first_model", "second_model"])) == {2}
    assert set(pairs.value_counts(["sheet", "first_model"])) == {others // 2}
    assert pairs[["first", "second"]].stack().is_unique
    assert set(pairs["sheet"].value_counts()) == {len(models) * others // 2} and set(pairs["sheet"]) == {0, 1, 2, 3}
    assert made().digest == made().digest != made(1).digest


def test_the_page_stands_alone_and_names_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the blinding and readers without network: the same bytes for a seed, no address, no model, no order of
    clips that tells one; without the SoundFont, or with another, the page says so.
    """
    text = listening.page(made())
    assert text == listening.page(made()) and len(text) < 200_000
    assert not re.search(r"https?:|//\w+\.|src=|@import|url\(", text)
    data = json.loads(re.search(r'id="study">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    told = re.sub(r'"wave": "[^"]*"', "", text).lower()
    assert not [name for name in ("note rnn", "prior", "psi", "gentle", "first_model") if name in told]
    assert list(data["clips"]) == sorted(data["clips"]) and all(len(pair) == 4 for pair in data["pairs"])
    assert "samples of TimGM6mb.sf2" in text and "there was no" not in text
    for font in (tmp_path / "none", Path(__file__)):
        monkeypatch.setattr(listening, "SOUND_FONT", font)
        assert "there was no SoundFont" in listening.page(made())


def answered(study: listening.Listening, rater: str, count: int = 10, **other: Any) -> pd.DataFrame:
    own = study.pairs[:count].assign(study=study.digest, rater=rater, preference=1, seconds=9.5, **other)
    return own[listening.COLUMNS]


def test_bad_files_are_named_and_left_out(tmp_path: Path) -> None:
    """Protects the analysis: foreign and duplicated files each get one sentence and lose no other file; the fullest
    file of a rater counts; tables saved by a spreadsheet are read (malformed ones: test_bad_input).
    """
    study = made()
    answered(study, "ann", 4).to_csv(tmp_path / "ann_early.csv", index=False)
    answered(study, "ann").to_csv(tmp_path / "ann_late.csv", index=False)
    answered(study, "bob").to_csv(tmp_path / "BOB.CSV", index=False, sep=";", encoding="utf-8-sig")
    sheet = answered(study, "eve").assign(preference="1.0", seconds="9,5")
    sheet.to_csv(tmp_path / "eve.csv", index=False, sep="\t", encoding="utf-16")
    text = answered(study, "fay").assign(pair=lambda own: own["pair"] + ".0").to_csv(index=False).splitlines()
    (tmp_path / "fay.csv").write_text("Study " + "\n".join(line + ",," for line in [*text, ","])[5:], encoding="utf-8")
    answered(study, "Eve", 3).to_csv(tmp_path / "capital.csv", index=False)
    answered(made(1), "c").to_csv(tmp_path / "foreign.csv", index=False)
    (tmp_path / "folder.csv").mkdir()
    read, left_out = listening.read_ratings(tmp_path, study)
    assert read["rater"].value_counts().to_dict() == {"ann": 10, "bob": 10, "eve": 10, "fay": 10}
    assert set(read["preference"]) == {1} and set(read["seconds"]) == {9.5}
    assert read["second_model"].tolist() == 4 * study.pairs["second_model"][:10].tolist()
    said = dict(sentence.split(" ", 1) for sentence in left_out)
    assert len(left_out) == 4 and said.keys() == {"ann_early.csv", "capital.csv", "folder.csv", "foreign.csv"}
    assert said["ann_early.csv"].startswith("is a duplicate: the ratings of ann")
    assert listening.read_ratings(tmp_path / "folder.csv", study)[0].empty


def notebook(*cells: str) -> dict[str, Any]:
    """Notebook 13's cells that score and compare, and others."""
    space = {"np": np, "pd": pd, "stats": stats, "combinations": combinations, "NAMES": dict.fromkeys(MODELS)}
    return run_cells("13-08", "13-14", *cells, **space)


def test_the_papers_counts_go_through_the_notebooks_code() -> None:
    """Protects the analysis: as it stands in the notebook it finds the paper's differences in the paper's counts."""
    space = notebook()
    whole, table = space["compared"](space["heard"]["the paper's counts"])
    # by hand: of 384 scores half are wins, 48 expected per model and 13, 64, 74, 41 seen
    assert whole.statistic == pytest.approx(383 / 384 * (35**2 + 16**2 + 26**2 + 7**2) / (96 / 4))
    significant = {pair for pair, (_, p) in table.items() if p < 0.05}
    assert significant == {("prior", "q"), ("prior", "psi"), ("prior", "g"), ("q", "g"), ("psi", "g")}
    pairs = made().pairs[:10]
    own = space["scores"](pairs, np.arange(10) - 5)
    assert sum(map(sum, own.values())) == 0 and {len(each) for each in own.values()} == {4}
    assert -5 in own[pairs["second_model"][0]] and 5 in own[pairs["first_model"][0]]


@pytest.mark.parametrize("width", [1280, 390])
def test_a_rater_answers_in_a_browser(chromium: Any, tmp_path: Path, width: int) -> None:
    """Protects raters and their answers: ten pairs by keys alone, a reload in the middle, a download that the reader
    takes; nothing is asked of the network, nothing is too wide, and all clips are equally loud.
    """
    study, faults = made(), list[str]()
    (tmp_path / "index.html").write_text(listening.page(study), encoding="utf-8")
    given = [1, 2, 3, 4, 5, 5, 4, 3, 2, 1]
    with chromium.new_page(viewport={"width": width, "height": 900}) as page:
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url) if request.url[:4] == "http" else None)
        page.clock.install()
        page.goto((tmp_path / "index.html").as_uri())
        page.fill("#rater", "no name!")
        page.keyboard.press("Enter")
        assert page.is_visible("#start")
        page.fill("#rater", "ann")
        page.keyboard.press("Enter")
        for place, answer in enumerate(given, start=1):
            page.wait_for_function(f"document.getElementById('where').textContent === 'Pair {place} of 10'")
            page.keyboard.press(str(answer))  # nothing has been heard yet
            assert page.is_disabled("#next")
            if place == 1:  # what is stopped before half of it is not heard
                page.keyboard.press("a")
                page.wait_for_selector("#play0[aria-pressed=true]")
                page.keyboard.press("Space")
                page.clock.fast_forward(10_000)
                assert not page.query_selector(".heard")
            for side, keys in enumerate(("a", "b" if place % 2 else "  ")):  # a space stops the first, another goes on
                for key in keys:
                    page.keyboard.press(key)
                page.wait_for_selector(f"#play{side}[aria-pressed=true]:not(.heard)")
                page.clock.fast_forward(3_300)  # half of it has sounded
                page.wait_for_selector(f"#play{side}.heard")
            page.keyboard.press(str(answer))
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.keyboard.press("Enter")
            if place == 5:
                page.reload()
        page.wait_for_selector("#end:not([hidden])")
        with page.expect_download() as waiting:
            page.click("#download")
        waiting.value.save_as(tmp_path / waiting.value.suggested_filename)
        levels = np.array(page.evaluate(LEVELS))
    read, left_out = listening.read_ratings(tmp_path, study)
    assert faults == [] and left_out == [] and set(read["rater"]) == {"ann"} and read["sheet"].nunique() == 1
    assert read["preference"].tolist() == [answer - 3 for answer in given] and (read["seconds"] > 0).all()
    assert np.ptp(levels[:, 0]) < 1e-4 and levels[:, 1].min() > 0.1 and levels[:, 1].max() < 1


def test_the_notebook_judges_ratings(capsys: pytest.CaptureFixture[str]) -> None:
    """Protects the verdict on real ratings, which no run of ours has: the notebook's own cells call raters with the
    claimed taste "reproduced", those with the opposite one "not reproduced", and those who like one model "partly".
    """
    space, pairs = notebook("13-19a"), made(sheets=8).pairs
    claimed = {"prior": 0, "gentle": 1, "g": 1, "q": 2, "psi": 2}
    for taste, verdict in ((claimed, "reproduced: 5 of the 5"), ({m: -x for m, x in claimed.items()}, "not reproduced"),
                           ({"psi": 2}, "partly")):  # fmt: skip
        second, first = (pairs[side].map(taste).fillna(0) for side in ("second_model", "first_model"))
        answers = pairs.assign(preference=np.sign(second - first), rater="ann")
        heard = {"the raters": space["scores"](answers, answers["preference"].to_numpy(int))}
        run_cells("13-22", **space | {"answers": answers, "heard": heard})
        assert capsys.readouterr().out.startswith(verdict)
