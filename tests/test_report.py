"""The report page: what it says, and how a real browser shows it on a phone and on a desktop."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from browser import measure
from study_fixture import ARMS

from polychromic.errors import StudyError
from polychromic.paper.caveats import claims, fine_tuning_cost, null_control, placebo_line, remarks, training_cost
from polychromic.paper.report import checks, headline, inline_svg, light, render, render_costs, write_report
from polychromic.paper.results import Results, read_results
from polychromic.paper.samples import read_samples

TITLE = "A simulated study"


@pytest.fixture(scope="module")
def page(toy_study) -> Path:
    return write_report(toy_study, title=TITLE)


def test_the_page_is_one_file_that_asks_nothing_of_the_network(page):
    html = page.read_text()
    assert html.index('id="headline"') < html.index('id="table-main"') < html.index('id="figures"')
    assert "default-src 'none'" in html
    addresses = re.findall(r'(?:src|href)="(?!#|data:)([^"]*)', html)
    rejected = [address for address in addresses if re.fullmatch(r"\w+/review/rejected\.html", address)]
    assert rejected, "the rejected rows of each domain"
    assert [address for address in addresses if address not in rejected] == ["costs.html"], "else anchors alone"


@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it_without_overflow_requests_or_errors(page, width):
    script = """
        document.querySelector(".plot").click();
        const zoomed = document.getElementById("zoom").open;
        document.getElementById("close").click();
        const pick = document.getElementById("pick-domain");
        pick.value = "qa";
        pick.dispatchEvent(new Event("change"));
        document.getElementById("next").click();
        return {
          zoomed, closed: !document.getElementById("zoom").open,
          arms: document.querySelectorAll("#answers .arm").length,
          marks: [...document.querySelectorAll("#answers .mark")].map((mark) => mark.textContent),
          bold: document.querySelectorAll("#answers b").length,
          prompt: document.getElementById("prompt").textContent,
          tallest: Math.max(...[...document.querySelectorAll("td")].map((cell) => cell.offsetHeight)),
          hidden: ((audit) => audit.scrollWidth - audit.clientWidth)(document.querySelector("#audit .scroll")),
        };"""
    seen = measure(page, width, script)
    assert seen["width"] == width
    assert seen["scroll"] <= width, "the page is wider than the window"
    assert (seen["requests"], seen["blocked"], seen["errors"]) == (0, 0, [])
    assert "upported over all domains" in seen["text"]
    assert "Creative writing" in seen["text"]
    extra = seen["extra"]
    assert extra["zoomed"]
    assert extra["closed"]
    assert extra["arms"] == 5
    assert any(mark.startswith("passes") for mark in extra["marks"])
    assert extra["bold"] == 0, "model text is shown as text, not as markup"
    assert "of qa" in extra["prompt"]
    assert extra["tallest"] < 60, "a cell is one value and its interval: no word is broken into letters"
    assert width < 1000 or extra["hidden"] == 0, "the audit's last columns are cut off"


def test_samples_add_up_and_say_which_passed(toy_study):
    shown = read_samples(toy_study, ARMS, 0.7)
    assert list(shown) == ["social", "code", "creative", "qa"]
    passes = pd.read_parquet(toy_study / "qa" / "lora" / "passes.parquet").query("seed == 42 and temperature == 0.7")
    for prompt in shown["qa"]["prompts"]:
        answers = prompt["answers"]["lora"]
        own = passes[passes["prompt_id"] == prompt["id"]]
        assert sum(count for _, _, count in answers) == len(own)
        assert sum(count for _, passed, count in answers if passed) == own["passed"].sum()


def test_text_of_a_sample_cannot_end_the_script_that_holds_it(toy_study, results):
    samples = read_samples(toy_study, ARMS, 0.7)
    samples["qa"]["prompts"][0]["prompt"] = "</script><script>alert(1)</script><!-- \ud800"
    html = render(results, samples)
    assert "alert(1)</script>" not in html
    held = re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1]
    assert json.loads(held)["qa"]["prompts"][0]["prompt"].startswith("</script>")


def test_without_texts_and_figures_the_page_still_gives_the_verdict(results):
    html = render(replace(results, folder=None), {})
    assert 'id="samples"' not in html
    assert "upported over all domains" in html


def test_headline_counts_the_verdict():
    flags = {"superior": True, "noninferior": True, "supported": True, "harmed": False}
    plan = {"primary": "polychromic", "control": "lora"}
    pooled = flags | {"difference": 0.1, "low": 0.05, "high": 0.15}
    verdict = {"plan": plan, "domains": {"qa": flags, "code": flags | {"supported": False}}, "pooled": pooled}
    verdict["placebos"] = [{"name": "LoRA at T = 1", "supported": False}, {"name": "LoRA again", "supported": False}]
    asked = pd.DataFrame({"hypothesis": ["published"], "metric": ["pass_at_5"], "temperature": [0.7]})
    found = Results("x", verdict=verdict, hypotheses=asked)
    text = headline(found)
    assert "among 5" in text
    assert text.startswith("Supported over all domains")
    assert "in 1 of 2 domains" in text
    assert light(found) == "good"
    assert placebo_line(found) == "All 2 placebos fail, as they must."


def test_a_placebo_that_wins_turns_the_headline_yellow(results):
    placebos = [dict(placebo) for placebo in results.verdict["placebos"]]
    placebos[0]["supported"] = True
    doubtful = replace(results, verdict=results.verdict | {"placebos": placebos})
    assert light(doubtful) == "doubt"
    assert "placebos" in topics(doubtful)
    html = render(doubtful, {})
    assert 'class="lead headline doubt"' in html
    assert f"1 of {len(placebos)} placebos is supported too ({placebos[0]['name']})" in html
    assert light(results) != "doubt"


def test_verdict_tuned_control_placebos_and_front_come_first(page):
    html = page.read_text()
    order = [
        'id="headline"',
        'class="cards"',
        'class="front"',
        "Tuned control.",
        'id="table-placebos"',
        'id="table-main"',
    ]
    places = [html.index(mark) for mark in order]
    assert places == sorted(places)


def test_a_card_ticks_what_the_rule_asks_the_tuned_control_too(results):
    found = results.verdict["domains"]["code"]
    ticks = checks(found, "lora")
    assert len(ticks) == 4
    assert ticks[1] == ("yes" if found["superior"] else "no", "better than the tuned control, LoRA")
    losses = {name: loss | {"kept": None} for name, loss in found["losses"].items()}
    open_ticks = checks(found | {"losses": losses}, "lora")[2:]
    assert [state for state, _ in open_ticks] == ["open", "open"]


def test_the_audit_is_given_in_shares_of_samples(results):
    audits = {key: audit | {"samples": 14_400, "empty": 36} for key, audit in results.audits.items()}
    html = render(replace(results, audits=audits, folder=None), {})
    assert "<td>14,400</td><td>" in html
    assert "<td>0.2%</td>" in html


def test_an_old_verdict_is_refused_by_name(toy_study, tmp_path):
    copied = shutil.copytree(toy_study, tmp_path / "toy")
    file = copied / "statistics" / "verdict.json"
    old = json.loads(file.read_text())
    del old["tuned_control"]
    file.write_text(json.dumps(old))
    with pytest.raises(StudyError, match=r"verdict\.json has no tuned_control: another version"):
        write_report(copied)


def test_provenance_names_every_file_that_was_read(page, toy_study):
    html = page.read_text()
    for path in ("statistics/summary.parquet", "qa/lora/seed-42/samples.parquet", "code/data/test.jsonl"):
        assert path in html
    import hashlib

    assert hashlib.sha256((toy_study / "statistics" / "verdict.json").read_bytes()).hexdigest() in html


def test_a_folder_without_a_verdict_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(StudyError, match=r"verdict\.json.*snakemake statistics"):
        write_report(tmp_path)


def test_svg_ids_of_two_figures_do_not_clash():
    marks = '<g id="a"/><use xlink:href="#a" clip-path="url(#b)"/>'
    svg = f'<?xml?><svg width="3pt" height="2pt" viewBox="0 0 3 2">{marks}</svg>'
    made = inline_svg(svg, "forest")
    assert 'id="forest-a"' in made
    assert 'xlink:href="#forest-a"' in made
    assert "url(#forest-b)" in made
    assert 'width="' not in made


def topics(results: Results) -> set[str]:
    return {remark.topic for remark in remarks(results)}


def with_verdict(results: Results, **changes) -> Results:
    """The results with these values in every domain's verdict."""
    domains = {domain: value | changes for domain, value in results.verdict["domains"].items()}
    return replace(results, verdict=results.verdict | {"domains": domains})


def test_that_fine_tuning_cost_pass_at_k_is_said_with_the_headline(results):
    cost = with_verdict(results, untrained_above=["zero_shot"])
    cost.verdict["domains"]["code"]["untrained_above"] = ["few_shot", "zero_shot"]
    text = (
        "Fine-tuning itself cost Pass@10 in 4 of 4 domains, where untrained arms are above LoRA (Social replies: Zero-"
    )
    assert fine_tuning_cost(cost).startswith(text)
    assert "; Code: Few-shot, Zero-shot; Creative writing: Zero-shot;" in fine_tuning_cost(cost)
    html = render(cost, {})
    assert html.index('id="headline"') < html.index(text) < html.index('id="verdict"')
    assert fine_tuning_cost(with_verdict(results, untrained_above=[])) == ""


def test_the_null_study_is_shown_with_the_study(toy_study, results, tmp_path):
    assert null_control(results) == (
        "The small-effect world (toy-null, where little can be gained) has not been run beside this study."
    )
    assert null_control(replace(results, study="toy-null")) == ""
    assert "small-effect world" in topics(replace(results, study="toy-null"))
    assert "small-effect world" not in topics(results)
    copied = shutil.copytree(toy_study, tmp_path / "toy")
    null = copied.with_name("toy-null") / "statistics" / "verdict.json"
    null.parent.mkdir(parents=True)
    quiet = {"superior": False, "difference": -0.012, "low": -0.051, "high": 0.027}
    found = {"domains": {"social": quiet, "code": quiet | {"superior": True}}, "claims": {}, "pooled": quiet}
    null.write_text(json.dumps(found))
    html = write_report(copied).read_text()
    assert "is called superior in 1 of 2 domains: Social replies −0.012 [−0.051, +0.027];" in html
    assert "../toy-null/statistics/verdict.json" in html, "among the files behind the page"


def test_robustness_is_that_of_the_ablation_study_where_the_study_has_none(results):
    own = results.verdict["claims"]["robustness"]
    assert own["status"] != "not run", "this study has ablations of its own"
    claim = {"status": "supported", "sentence": "λ = 0.1: fine."}
    beside = replace(results, ablations={"domains": {"qa": {}}, "claims": {"robustness": claim}})
    assert claims(beside)["robustness"] == own
    without = results.verdict | {"claims": {"robustness": {"status": "not run", "sentence": "Not run."}}}
    assert claims(replace(beside, verdict=without))["robustness"] == {
        "status": "supported",
        "sentence": "In toy-ablations (Question answering): λ = 0.1: fine.",
    }
    assert claims(replace(results, verdict=without))["robustness"]["status"] == "not run"


def test_the_claim_on_cost_gives_time_and_money(results):
    assert "One training of Polychromic took 3." in training_cost(results)
    assert "dollars" not in training_cost(results), "nothing was paid"
    paid = replace(
        results, runs=[run | {"dollars": 9.0 if run["arm"] == "polychromic" else 3.0} for run in results.runs]
    )
    assert "9.00 against 3.00 dollars" in training_cost(paid)
    assert "9.00 against 3.00 dollars" in render_costs(paid)


def test_runs_that_differ_in_times_and_costs_alone_give_the_same_report(page, toy_study, tmp_path):
    other = shutil.copytree(toy_study, tmp_path / toy_study.name)
    for file in other.glob("*/*/seed-*/run.json"):
        run = json.loads(file.read_text())
        spent = {name: 1.7 * seconds for name, seconds in run["seconds"].items()}
        file.write_text(json.dumps(run | {"seconds": spent, "gpu_hours": 2.5, "dollars": 3.25}))
    for file in other.glob("*/*/seed-*/train_log.jsonl"):
        file.write_text(file.read_text().replace('"seconds_sample": 0.4', '"seconds_sample": 0.9'))
    for ending in ("svg", "caption.md"):
        shutil.copyfile(other / "figures" / f"forest.{ending}", other / "figures" / f"equal_compute.{ending}")
    pages = [page, write_report(other, title=TITLE)]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    costs = [page.with_name("costs.html").read_text() for page in pages]
    assert costs[0] != costs[1]
    shown = ('id="table-cost"', 'id="figure-equal_compute"', "seed-42/run.json", "One training of Polychromic took")
    for cost in shown:
        assert cost in costs[1]


def test_times_and_costs_fit_a_phone(page):
    seen = measure(page.with_name("costs.html"), 390, "return {}")
    assert seen["scroll"] <= 390
    assert (seen["requests"], seen["blocked"], seen["errors"]) == (0, 0, [])


def test_every_reading_of_a_domain_is_a_line_of_its_card(page, results):
    html = unescape(page.read_text())
    for value in results.verdict["domains"].values():
        assert len(value["readings"]) >= 5
        for reading in value["readings"]:
            assert f"<li>{reading[:1].upper() + reading[1:]}.</li>" in html


def test_one_remark_a_kind(results):
    audits = {key: audit | {"samples": 100, "empty": 30} for key, audit in results.audits.items()}
    runs = [run | {"warnings": [f"step {i}: entropy has collapsed: 0.{i}"]} for i, run in enumerate(results.runs)]
    found = remarks(replace(results, audits=audits, runs=runs))
    for topic, text in (("empty", "Code, LoRA 30.0% of 100;"), ("training", f"{len(runs) - 1} more")):
        [remark] = [remark for remark in found if remark.topic == topic]
        assert text in remark.text
    values = len(results.summary.query("metric == 'distinct_2' and domain != 'pooled'"))
    assert [remark.text for remark in found if remark.topic == "data"][:1] == [
        "Measures of words are undefined where a prompt's samples have too few of them: Distinct-2. In Social replies, "
        "Code, Creative writing, Question answering, 2 of 12 prompts have no value "
        f"({values} combinations of arm, temperature and metric) and are left out of its means and comparisons."
    ]


def test_arms_that_the_statistics_do_not_hold_are_left_out_and_said(toy_study, tmp_path):
    copied = shutil.copytree(toy_study, tmp_path / "toy", ignore=shutil.ignore_patterns("figures", "report.html"))
    shutil.copytree(copied / "qa" / "lora", copied / "qa" / "abandoned")
    html = write_report(copied).read_text()
    assert "The results folder also holds abandoned, which the statistics do not" in html
    assert read_results(copied).left_out == ["abandoned"]
    assert '"abandoned"' not in html


@pytest.mark.parametrize(
    ("file", "gone"),
    [
        ("statistics/pairwise.parquet", "signature"),
        ("qa/lora/passes.parquet", "passed"),
        ("statistics/verdict.json", "claims"),
        ("qa/lora/seed-42/run.json", "hardware"),
        ("qa/lora/audit.json", "unjudged"),
    ],
)
def test_a_folder_of_an_older_version_is_refused_by_name(toy_study, tmp_path, file, gone):
    copied = shutil.copytree(toy_study, tmp_path / "toy")
    path = copied / file
    if path.suffix == ".json":
        value = json.loads(path.read_text())
        del value[gone]
        path.write_text(json.dumps(value))
    else:
        pd.read_parquet(path).drop(columns=gone).to_parquet(path)
    with pytest.raises(StudyError, match=rf"{path.name} has no {gone}: another version .* or delete .*`snakemake \w+`"):
        write_report(copied)


@pytest.mark.parametrize(
    "file",
    ["statistics/summary.parquet", "qa/lora/audit.json", "qa/lora/seed-42/train_log.jsonl", "qa/calibration.json"],
)
def test_a_corrupt_file_is_named_with_the_remedy(toy_study, tmp_path, file):
    copied = shutil.copytree(toy_study, tmp_path / "toy")
    (copied / file).write_bytes(b"\x00\xff[1")
    with pytest.raises(StudyError, match=rf"{Path(file).name}: .*Delete it"):
        read_results(copied)
    if file.endswith("audit.json"):
        (copied / file).write_text("[1, 2]")
        with pytest.raises(StudyError, match=r"audit\.json: .*Delete it"):
            read_results(copied)


def test_remarks_find_what_limits_a_study(results):
    assert {"synthetic", "power", "data"} <= topics(results)
    assert not {"headroom", "plan changed", "missing arm", "leakage"} & topics(results)
    summary = results.summary
    high = summary.assign(value=summary["value"].where(summary["metric"] != "pass_at_5", 0.99))
    assert "headroom" in topics(replace(results, summary=high))
    fewer = summary.assign(n_prompts=summary["n_prompts"].where(summary["arm"] != "lora", 7))
    assert "fewer prompts" in topics(replace(results, summary=fewer))
    gone = summary[~((summary["arm"] == "few_shot") & (summary["domain"] == "qa"))]
    assert "missing arm" in topics(replace(results, summary=gone))
    changed = {"plan_sha256": "0" * 64}
    assert "plan changed" in topics(replace(results, power=changed))
    audit = {**results.audits["qa", "lora"], "samples": 100, "truncated": 50, "warnings": ["streams repeat"]}
    assert {"truncated", "samples"} <= topics(replace(results, audits={("qa", "lora"): audit}))
    streams = {"seed 42, temperature 0.7, sample 3": "same digest"}
    twins = {("qa", arm): {**results.audits["qa", arm], "streams": streams} for arm in ("lora", "polychromic")}
    [alarm] = [remark for remark in remarks(replace(results, audits=twins)) if remark.topic == "samples"]
    assert alarm.serious
    assert "1 sample streams of Polychromic repeat streams of LoRA text for text" in alarm.text
    assert "samples" not in topics(results)
    assert "leakage" in topics(replace(results, leakage={"qa": {"leaks": 2}}))
    assert "verifier" in topics(replace(results, calibrations={"qa": {"warnings": ["false passes"]}}))
    code = {"code": {"sources": [{"format": "humaneval", "from": "openai/openai_humaneval"}]}}
    assert "contamination" not in topics(replace(results, funnels=code)), "the embedded model has read no benchmark"
    qwen = [run | {"config": run["config"] | {"model": {"name": "Qwen/Qwen3-8B"}}} for run in results.runs]
    [known] = [r for r in remarks(replace(results, funnels=code, runs=qwen)) if r.topic == "contamination"]
    assert "HumanEval is surely in the pre-training of Qwen/Qwen3-8B" in known.text
    assert "contamination" not in topics(replace(results, runs=qwen)), "its sources are no public sets"
    runs = [results.runs[0] | {"status": "interrupted", "warnings": ["entropy has collapsed"]}]
    assert {"unfinished run", "training"} <= topics(replace(results, runs=runs))
