"""Figures: drawn from a simulated study, the same bytes twice, and said by name when something is missing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from study_fixture import make_study

from polychromic.errors import StudyError
from polychromic.files import read_json, write_json
from polychromic.paper.figures import FIGURES, style, training
from polychromic.paper.figures.style import save
from polychromic.paper.results import Results, is_ablation, read_results


@pytest.fixture(scope="module")
def results(results) -> Results:
    """The simulated study, as if a model had judged it and the sensitivity benchmark had been run."""
    worlds = [
        {"world_skew": skew, "wrong_share": share, "domain": domain, "gain": gain, "low": gain - 0.05}
        | {"high": gain + 0.05, "lora_pass1": 0.3, "zero_shot_pass1": 0.1}
        for domain in ("social", "code")
        for skew in (0.6, 0.9)
        for share, gain in ((0.2, 0.01), (0.85, 0.1))
    ]
    return replace(results, judge=results.judge.assign(judge="a-model"), sensitivity=pd.DataFrame(worlds))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_with_a_caption_that_says_n(results, name):
    drawing = FIGURES[name](results)
    width = drawing.figure.get_size_inches()[0]
    assert width == pytest.approx(3.35), "made for one column"
    assert any(ax.lines or ax.patches or ax.collections for ax in drawing.figure.axes)
    assert any(character.isdigit() for character in drawing.caption)
    assert drawing.caption.endswith(".")
    plt.close(drawing.figure)


def test_the_same_drawing_gives_the_same_bytes(results, tmp_path):
    first = save(FIGURES["forest"](results), tmp_path / "a" / "forest")
    second = save(FIGURES["forest"](results), tmp_path / "b" / "forest")
    assert {path.suffix for path in first} == {".pdf", ".svg", ".png", ".md"}
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_values_are_shown_on_hover(results, tmp_path):
    svg = save(FIGURES["passk_curves"](results), tmp_path / "passk_curves")[1].read_text()
    own = results.frontier.query("domain == 'qa' and arm == 'lora'")
    row = own.loc[own["pass_at_10"].idxmax()]
    ends = f"{row.pass_at_10:.3f} [{row.pass_at_10_low:.3f}, {row.pass_at_10_high:.3f}]"
    assert f"<title>LoRA, Pass@10 at T = {row.temperature:g}: {ends}</title>" in svg


def test_what_was_not_run_is_not_drawn(results):
    main_arms = {arm: own for arm, own in results.verdict["settings"].items() if not is_ablation(arm)}
    assert FIGURES["ablations"](replace(results, verdict=results.verdict | {"settings": main_arms})) is None
    assert FIGURES["sensitivity"](replace(results, sensitivity=pd.DataFrame())) is None
    without_curves = {domain: {"kind": "answer"} for domain in results.domains()}
    assert FIGURES["calibration"](replace(results, calibrations=without_curves)) is None, "two numbers are a table"


def test_lambda_and_n_are_drawn_from_the_ablation_study_beside(results):
    alone = replace(results, verdict=results.verdict | {"settings": {}})
    assert FIGURES["ablations"](alone) is None
    drawing = FIGURES["ablations"](replace(alone, ablations=results.verdict))
    assert "(toy-ablations): λ, N, m, rank" in drawing.caption
    ticks = [tick.get_text() for tick in drawing.figure.axes[0].get_xticklabels()]
    assert ticks == ["0", ".1", ".3", ".5"], "the control is λ = 0"
    plt.close(drawing.figure)


def test_the_front_marks_the_chosen_temperatures_and_the_gain(results):
    drawing = FIGURES["frontier"](results)
    found = results.verdict["domains"]["social"]
    ax = drawing.figure.axes[0]
    assert any(f"{found['difference']:+.3f}".replace("0.", ".") in text.get_text() for text in ax.texts)
    stars = [line for line in ax.lines if line.get_marker() == "*" and len(line.get_xdata())]
    best = [own["pass_at_k"]["value"] for own in results.verdict["peers"]["social"]]
    assert len(stars) == 2
    assert all(any(abs(star.get_ydata()[0] - value) < 1e-9 for value in best) for star in stars)
    assert not ax.containers, "no whiskers"
    plt.close(drawing.figure)


def test_the_name_of_the_tuned_control_is_below_every_point_of_the_front(results):
    verdict = json.loads(json.dumps(results.verdict))
    for found in verdict["domains"].values():
        found["tuned_control"] = "polychromic_literal"
    drawing = FIGURES["frontier"](replace(results, verdict=verdict))
    drawing.figure.canvas.draw()
    named = 0
    for ax in drawing.figure.axes:
        for text in (text for text in ax.texts if text.get_text().startswith("tuned:")):
            top = text.get_window_extent().y1
            drawn = [
                ax.transData.transform(line.get_xydata())[:, 1].min() for line in ax.lines if len(line.get_xydata())
            ]
            drawn += [other.get_window_extent().y0 for other in ax.texts if other is not text and other.get_text()]
            assert top < min(drawn)
            named += 1
    assert named
    plt.close(drawing.figure)


def test_the_times_are_said_to_be_of_the_trainings_alone(results):
    derived = [dict(run, derived={"from": "lora"}) for run in results.runs if run["arm"] == "lora"]
    drawing = FIGURES["equal_compute"](replace(results, runs=[*results.runs, *derived]))
    assert f"by the times of {len(results.runs)} trainings" in drawing.caption
    plt.close(drawing.figure)


def test_bars_of_passing_samples_add_up_to_all_prompts(results):
    drawing = FIGURES["pass_counts"](results)
    for ax in drawing.figure.axes[:4]:
        rows = {round(bar.get_y(), 3) for bar in ax.patches}
        assert sum(bar.get_width() for bar in ax.patches) == pytest.approx(len(rows))
    plt.close(drawing.figure)


def test_a_map_says_in_bold_where_the_gain_is_sure(results):
    drawing = FIGURES["sensitivity"](results)
    bold = {text.get_text() for text in drawing.figure.axes[0].texts if text.get_weight() == "bold"}
    assert bold == {"+.100"}
    plt.close(drawing.figure)


def test_a_sensitivity_table_of_another_form_is_refused_by_name(toy_study, tmp_path):
    copied = shutil.copytree(toy_study, tmp_path / "toy")
    (copied / "sensitivity.csv").write_text("world_skew,gain\n0.6,0.1\n")
    with pytest.raises(StudyError, match=r"sensitivity\.csv has no wrong_share"):
        read_results(copied)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"statistics/frontier\.parquet"):
        FIGURES["passk_curves"](Results(study="empty"))
    with pytest.raises(StudyError, match="no such results folder"):
        read_results(tmp_path / "nowhere")
    (tmp_path / "statistics").mkdir()
    (tmp_path / "statistics" / "summary.parquet").write_text("not parquet")
    with pytest.raises(StudyError, match=r"summary\.parquet: not a readable parquet file"):
        read_results(tmp_path)


def test_every_figure_is_in_a_section():
    sections = list(dict.fromkeys(FIGURES[name].section for name in FIGURES))
    assert sections == ["Method", "Results", "Judge", "Ablations", "Cost", "Training", "Data"]


def test_a_gate_that_is_not_there_and_a_mean_of_all_are_not_drawn(results):
    runs = [
        run | {"config": run["config"] | {"objective": run["config"]["objective"] | {"gate": False}}}
        for run in results.runs
    ]
    logs = results.train_logs.assign(valid=1.0)
    assert training._without_absent_gates(replace(results, train_logs=logs, runs=runs))["valid"].isna().all()
    kept = training._without_absent_gates(replace(results, train_logs=logs))
    assert kept["valid"].isna().equals(kept["arm"] == "polychromic_literal")
    assert [training._window(n) for n in (2, 5, 8, 20, 200)] == [1, 1, 2, 5, 5]


def test_a_rate_that_is_undefined_is_drawn_as_nothing(toy_study, tmp_path):
    copied = shutil.copytree(toy_study, tmp_path / "toy")
    file = copied / "qa" / "calibration.json"
    nan = {"true_pass": float("nan"), "n_right": 0}
    write_json(file, read_json(file) | nan)
    drawing = FIGURES["calibration"](read_results(copied))
    assert "of 0 right answers pass" in drawing.caption
    plt.close(drawing.figure)


def test_an_arm_of_one_temperature_is_a_point_of_the_frontier(results):
    drawing = FIGURES["frontier"](results)
    points = {line.get_label(): len(line.get_xdata()) for line in drawing.figure.axes[0].lines}
    assert (points["Zero-shot"], points["LoRA"]) == (1, 4)
    plt.close(drawing.figure)


def test_the_length_controlled_win_rate_is_drawn(results):
    drawing = FIGURES["judge"](results)
    rates = results.summary.query("metric == 'judge_win_rate_length_controlled'")["value"]
    drawn = {c.lines[0].get_xdata()[0] for c in drawing.figure.axes[0].containers if hasattr(c, "has_xerr")}
    assert set(rates) <= drawn
    plt.close(drawing.figure)


def test_fewer_domains_and_unknown_arms_are_drawn(tmp_path):
    study = make_study(tmp_path / "one", domains=("code",), arms=("lora", "polychromic", "my_own"), prompts=8)
    results = read_results(study)
    for name in ("passk_curves", "forest", "frontier", "diversity_quality"):
        drawing = FIGURES[name](results)
        labels = {text.get_text() for legend in drawing.figure.legends for text in legend.get_texts()}
        assert "my own" in labels, name
        plt.close(drawing.figure)


def test_ablation_arms_are_known_by_their_ending():
    assert all(map(is_ablation, ("polychromic_l010", "polychromic_n2", "lora_r8")))
    assert not any(map(is_ablation, ("polychromic", "polychromic_literal", "lora", "gem", "zero_shot", "wise_ft")))


def test_one_odd_interval_does_not_decide_the_frame():
    low, high = style.frame([0.1, 0.2, 0.3], [0.05, 0.15, -5.0], [0.15, 0.25, 5.0])
    assert -0.2 < low < 0.05
    assert 0.3 < high < 0.6


def test_a_long_legend_stays_inside_the_figure():
    figure, axes = style.domain_panels(["code", "qa"])
    for number in range(12):
        axes[0].plot([0, 1], label=f"Polychromic, conservative {number}")
    style.legend(figure, axes)
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= figure.bbox.width
    assert box.y1 <= figure.bbox.height
    plt.close(figure)


def test_a_frame_cuts_an_interval_that_dwarfs_the_others():
    low, high = style.frame([0.1, 0.2, 0.3], [0.05, 0.15, -5.0], [0.15, 0.25, 5.0])
    assert -0.1 < low < 0.05
    assert 0.3 < high < 0.5


def test_a_frame_of_points_without_intervals_or_of_nothing():
    nan = float("nan")
    assert style.frame([0.1, 0.3, nan], [nan] * 3, [nan] * 3) == pytest.approx((0.09, 0.31))
    assert style.frame([nan, nan], [nan, nan], [nan, nan]) == (0.0, 1.0)


def test_a_legend_too_wide_for_three_columns_takes_fewer_but_never_none():
    figure, axes = style.domain_panels(["qa"])
    for number in range(3):
        axes[0].plot([0, 1], [0, number], label="a name that is far longer than anything that fits " * 2)
    style.legend(figure, axes)
    assert len(figure.legends) == 1
    assert figure.legends[0]._ncols == 1
    plt.close(figure)
