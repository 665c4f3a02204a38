"""The typed study: what is refused, and how it is said."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from polychromic.config import reference
from polychromic.config.loading import load_study, merge, parse_study, read_yaml
from polychromic.config.overlays import refuse_broken_overlays
from polychromic.errors import StudyError

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = read_yaml(ROOT / "config.yaml")


def changed(*path_and_value):
    """The published study with one setting changed."""
    *path, value = path_and_value
    settings = copy.deepcopy(PUBLISHED)
    place = settings
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value
    return settings


@pytest.mark.parametrize("file", reference.GENERATED)
def test_generated_files_are_up_to_date(file):
    assert (ROOT / file).read_text(encoding="utf-8") == reference.GENERATED[file](), (
        f"{file} has drifted: run `python -m polychromic.config.reference`"
    )


def test_config_yaml_is_the_published_study():
    study = load_study(ROOT / "config.yaml")
    assert (study.model.name, study.model.precision) == ("Qwen/Qwen3-8B", "nf4")
    assert (study.training.rank, study.training.alpha, study.seeds) == (16, 16, (42, 123, 456))
    assert study.objective_of("polychromic", "qa").weight == 0.3


@pytest.mark.parametrize(
    "overlay",
    sorted(
        path.name for path in (ROOT / "profiles/demo").glob("*.yaml") if path.name not in ("config.yaml", "study.yaml")
    ),
)
def test_overlays_of_the_demo_are_valid(overlay):
    folder = ROOT / "profiles/demo"
    assert load_study(ROOT / "config.yaml", folder / "study.yaml", folder / overlay).world is not None


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (changed("sampling", "sample", 10), ["sampling.sample", "Did you mean 'samples'"]),
        (changed("studdy", "x"), ["studdy", "Did you mean 'study'"]),
        (changed("arms", "lora", "kind", "trian"), ["arms.lora", "'train'"]),
        (changed("arms", "polychromic", "objective", {"wieght": 0.3}), ["objective.wieght", "'weight'"]),
        (changed("arms", "lora", "training", {"rnk": 8}), ["arms.lora.training.rnk", "'rank'"]),
        (changed("plan", "control", "lroa"), ["plan.control", "'lora'"]),
        (changed("metrics", "k", [5, 10]), ["metrics.k [5, 10] has no 1", "Add it"]),
        (changed("metrics", "k", [1, 20]), ["pass@20", "sampling.samples is 10", "at least 20"]),
        (changed("metrics", "k", [0, 1]), ["metrics.k", "greater than or equal to 1"]),
        (changed("seeds", [1, 1]), ["seeds", "repeat"]),
        (changed("seeds", [-1]), ["seeds", "greater than or equal to 0"]),
        (changed("seeds", [2**32]), ["seeds", "less than 4294967296"]),
        (changed("sampling", "frontier", [1.0, 1.0]), ["sampling.frontier", "repeats"]),
        (changed("sampling", "frontier", [0.0]), ["sampling.frontier", "greater than 0"]),
        (changed("sampling", "frontier", [float("nan")]), ["sampling.frontier"]),
        (changed("plan", "primary", "lora"), ["plan.primary and plan.control are both 'lora'"]),
        (changed("plan", "controls", ["lora", "scald"]), ["plan.controls", "'scaled'"]),
        (changed("plan", "controls", ["lora", "few_shot"]), ["plan.controls", "'few_shot'", "not trained"]),
        (changed("plan", "placebos", ["polychromic_literal"]), ["plan.placebos", "diversity term", "weight 0"]),
        (changed("plan", "placebos", ["scaled"]), ["plan.controls and plan.placebos both name scaled"]),
        (changed("domains", {}), ["domains", "at least 1"]),
        (changed("domains", "qa", "quality_metric", "bertscore") | {"metrics": {"bertscore": False}},
         ["domains.qa.quality_metric is bertscore", "metrics.bertscore is false"]),
        (changed("domains", "social", "quality_metric", "token_f1"),
         ["domains.social.quality_metric is token_f1", "verifier kind answer", "choose rouge_l"]),
        (changed("domains", "qa", "quality_metric", "rouge_ll"),
         ["domains.qa.quality_metric", "Did you mean 'rouge_l'"]),
        (changed("domains", "qa", "quality_metric", "perplexity"),
         ["domains.qa.quality_metric", "rouge_l, exact_match"]),
        (changed("domains", "qa", "quality_metric", "vendi"),
         ["domains.qa.quality_metric", "Choose from rouge_1"]),
        (changed("domains", "qa", "verifier", {"kind": "answer", "min_words": 2}),
         ["domains.qa.verifier.min_words", "not a setting of this kind", "null"]),
        (changed("seeds", []), ["seeds"]),
        (changed("sampling", "temperature", -1), ["sampling.temperature", "greater than 0", "-1"]),
        (changed("arms", "polychromic", "objective", {"samples": 1}), ["objective.samples", "2", "1"]),
        (changed("arms", "polychromic", "objective", {"weight": -0.1}), ["objective.weight", "-0.1"]),
        (changed("arms", "polychromic", "objective", {"weight": 0.3, "diversity": "behaviour"}),
         ["polychromic", "behaviour", "social"]),
        (changed("domains", "qa", "split", {"train": 0.9, "val": 0.2}), ["split", "add up"]),
        (changed("domains", "qa", "verifier", {"kind": "answers"}), ["domains.qa.verifier", "'answer'"]),
        (changed("domains", "qa", "verifier", {"kind": "judge"}),
         ["domains.qa.verifier is a judge", "judge.provider is offline", "set judge.provider"]),
        (changed("domains", "qa", "sources", []), ["domains.qa.sources"]),
        (changed("domains", "qa", "sources", [{"format": "sqad", "path": "x"}]),
         ["domains.qa.sources.0.format", "Did you mean 'squad'?", "1 problem"]),
        (changed("model", "name", "embedded"), ["embedded", "world"]),
        (changed("study", "../elsewhere"), ["study", "pattern"]),
        (changed("arms", "averaged", {"kind": "derived", "method": "wise_ft", "source": "loar"}),
         ["averaged", "'lora'"]),
        (changed("arms", "averaged", {"kind": "derived", "method": "wise_ft", "source": "zero_shot"}),
         ["averaged", "'zero_shot'", "Known: lora"]),
        (changed("metrics", "k", [1, 5, 5, 10]), ["metrics.k", "repeats 5", "once"]),
        (changed("sampling", "test_prompts", 1), ["sampling.test_prompts", "2"]),
        (changed("seeds", [True]), ["seeds.0", "True", "1 problem"]),
        (changed("plan", "primary", "zero_shot"), ["plan.primary is 'zero_shot'", "kind train"]),
        (changed("plan", "control", "scaled"), ["plan.control is 'scaled'", "kind train"]),
        (changed("plan", "control", "polychromic_literal"), ["plan.control", "diversity term", "weight 0"]),
        (changed("arms", "averaged", {"source": "lora"}), ["arms.averaged: kind is missing", "Add it"]),
        (changed("arms", "polychromic", "objective", {"weight": 0.0}),
         ["plan.primary", "'polychromic'", "arms.polychromic.objective.weight"]),
        (changed("sampling", "frontier", [0.7, 1.0]), ["sampling.frontier", "0.7", "sampling.temperature"]),
        (changed("domains", "figures", changed("study", "x")["domains"]["qa"]), ["domains.figures", "another"]),
        (changed("arms", "data", {"kind": "prompt"}), ["arms.data", "another"]),
        (changed("domains", "qa", "sources", [{"format": "squad", "path": "{results}/raw/qa.train.jsonl"}]),
         ["domains.qa.sources.0.path", "world", "null"]),
        (changed("arms", "few_shot", "shots", 100_000), ["arms.few_shot.shots", "100000", "curation.max_rows"]),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named_with_its_remedy(settings, expected):
    with pytest.raises(StudyError) as caught:
        parse_study(settings)
    for part in expected:
        assert part in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    "name", ["..", ".", "../x", "/tmp/x", "a/../../x", "a/b", "a\\b", ".x", "a\n", "~", "$HOME", "a b", ""]
)
def test_no_name_leads_out_of_the_studys_folder(name):
    """Studies, domains and arms name folders; nothing else in a config says where to write."""
    for settings in (
        changed("study", name),
        changed("domains", name, changed("study", "x")["domains"]["qa"]),
        changed("arms", name, {"kind": "prompt"}),
    ):
        with pytest.raises(StudyError, match="pattern"):
            parse_study(settings)


def test_yaml_may_merge_what_it_has_named(tmp_path):
    file = tmp_path / "merged.yaml"
    file.write_text("big: &big {rank: 64, alpha: 64}\ntraining: {<<: *big, alpha: 32}\n")
    assert read_yaml(file)["training"] == {"rank": 64, "alpha": 32}


def test_every_problem_is_told_at_once():
    settings = merge(changed("seeds", []), {"sampling": {"top_k": 5}})
    with pytest.raises(StudyError, match="2 problem"):
        parse_study(settings)


@pytest.mark.parametrize(
    ("overlay", "key"),
    [
        ("training: {learning_rate: .inf}", "training.learning_rate"),
        ("sampling: {temperature: .inf}", "sampling.temperature"),
        ("arms: {polychromic: {objective: {temperature: .inf}}}", "arms.polychromic.objective.temperature"),
        ("arms: {polychromic: {training: {rank: yes}}}", "arms.polychromic.training: rank"),
        ("training: {rank: on}", "training: rank"),
        ("training: {early_stopping: no}", "training: early_stopping"),
        ("gpus_per_job: yes", "gpus_per_job"),
        ("metrics: {k: [yes]}", "metrics.k.0"),
        ("sampling: {frontier: [yes]}", "sampling.frontier.0"),
        ("training: {targets: []}", "training.targets"),
        ("plan: {seed: -1}", "plan.seed"),
        ("world: {seed: -1}", "world.seed"),
        ("training: {seed_offset: 4294967290}", "training.seed_offset"),
        ("plan: {replications: [../../other]}", "plan.replications.0"),
        ("plan: {replications: [qwen3-8b]}", "plan.replications"),
        ("plan: {replications: [a, a]}", "plan.replications"),
        ("plan: {placebos: [lora_again, lora_again]}", "plan.placebos"),
        ("prompting: {zero_shot: 'Answer {inptu}'}", "zero_shot has no {input}"),
        ("prompting: {example: '{input}'}", "example has no {target}"),
        ("judge: {base_url: localhost:8000}", "judge.base_url"),
        ("no: 5", "the key False"),
        ("arms: {on: {kind: train}}", "arms: the key True"),
        ("domains: {qa: {sources: [{format: table, path: a.csv, fields: {prompt: '', target: b}}]}}", "fields.prompt"),
    ],
)
def test_what_could_only_fail_later_is_refused(overlay, key):
    with pytest.raises(StudyError) as caught:
        parse_study(merge(PUBLISHED, yaml.safe_load(overlay)))
    assert key in str(caught.value)


def test_a_null_in_an_overlay_removes(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("arms: {polychromic_literal: null}\ndomains: {social: null}\n")
    study = load_study(ROOT / "config.yaml", overlay)
    assert "polychromic_literal" not in study.arms
    assert list(study.domains) == ["code", "creative", "qa"]


def test_a_null_that_removes_nothing_is_refused(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("arms: {polychromic_litteral: null}\n")
    with pytest.raises(StudyError) as caught:
        load_study(ROOT / "config.yaml", overlay)
    for part in (str(overlay), "arms.polychromic_litteral", "'polychromic_literal'"):
        assert part in str(caught.value)


BROKEN = {
    "repeated": ("a: 1\na: 2\n", "line 2", "'a' is given twice"),
    "open": ("a: [1\nb: 2\n", "line 2", "not valid YAML"),
    "tab": ("a:\n\tb: 2\n", "line 2", "not valid YAML"),
    "date": ("a: 1\nb: 2024-13-01\n", "line 2", "month"),
    "cp1252": ("a: 1\nb: caf\xe9\n", "line 2", "UTF-8"),
    "control": ('a: 1\nb: "\x01"\n', "line 2", "0x0001"),
    "alias": ("a: 1\nb: *c\n", "line 2", "'c'"),
    "list": ("# a study\n- a\n", "", "a list at the top"),
    "text": ("seeds\n", "", "a text at the top"),
    "empty": ("", "", "no setting"),
    "comment": ("# nothing yet\n", "", "no setting"),
    "deep": ("[" * 5000, "", "nested too deeply"),
}
"""Files that are no study's YAML: text, the line to be named (none: the file as a whole is wrong), what is wrong."""


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_overlay_is_named_with_its_line_before_snakemake_reads_it(tmp_path, name):
    text, line, wrong = BROKEN[name]
    good, file = tmp_path / "good.yaml", tmp_path / f"{name}.yaml"
    good.write_text("study: good\n")
    file.write_bytes(text.encode("latin-1"))
    for option in ("--configfile", "--configfiles"):
        with pytest.raises(SystemExit) as caught:
            refuse_broken_overlays(["--profile", "x", option, str(good), str(file), str(good), "-n", "--", "all"])
        message = str(caught.value.code)
        assert (f"{file}, {line}" if line else str(file)) in message
        assert wrong in message
        assert ". " in message.removeprefix(f"Error in {file}"), "what is wrong, and then what to do"


def test_overlays_that_can_be_read_pass(tmp_path):
    (tmp_path / "good.yaml").write_text("study: good\n")
    refuse_broken_overlays(["--configfile", str(tmp_path / "good.yaml"), "--", "-", "all"])
    refuse_broken_overlays(["--cores", "1", f"--configfile={tmp_path}/good.yaml", "all"])
    refuse_broken_overlays([])


def test_a_target_taken_for_an_overlay_is_explained(tmp_path):
    (tmp_path / "good.yaml").write_text("study: good\n")
    with pytest.raises(SystemExit, match="after `--`"):
        refuse_broken_overlays(["--configfile", str(tmp_path / "good.yaml"), "everything"])


def test_an_absent_overlay_is_named(tmp_path):
    with pytest.raises(StudyError, match="no such file"):
        read_yaml(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    "text", ["arms: [1]\n", "domains: x\n", "arms: &a {lora: *a}\n", "study: &s [*s]\n", "plugins: 3\n"]
)
def test_an_overlay_of_a_wrong_form_is_named(tmp_path, text):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(text)
    with pytest.raises(StudyError, match=str(overlay)):
        load_study(ROOT / "config.yaml", overlay)


def test_behind_a_gate_a_sample_may_be_as_long_as_the_domains_answers():
    study = parse_study(changed("objective", {"max_new_tokens": 100}))
    room = {
        (arm, domain): objective.max_new_tokens
        for arm in ("lora", "polychromic", "polychromic_literal")
        for domain in ("creative", "qa")
        if (objective := study.objective_of(arm, domain))
    }
    assert room == {
        ("lora", "creative"): 100,  # without a diversity term
        ("lora", "qa"): 100,
        ("polychromic", "creative"): 400,
        ("polychromic", "qa"): 100,
        ("polychromic_literal", "creative"): 100,  # without a gate
        ("polychromic_literal", "qa"): 100,
    }


@pytest.mark.parametrize("overlay", [None, "null.yaml", "ablations.yaml"])
def test_the_demo_scores_a_step_at_once(overlay):
    """So its published numbers were made: another number of passes rounds otherwise."""
    folder = ROOT / "profiles/demo"
    study = load_study(ROOT / "config.yaml", folder / "study.yaml", *([folder / overlay] if overlay else []))
    for arm in study.arms:
        for domain in study.domains:
            if study.arms[arm].kind == "train":
                objective = study.objective_of(arm, domain)
                assert (objective.max_new_tokens, objective.score_tokens) == (56, 8000)
                # Ablations with fewer steps have more prompts in each, and score in several passes.
                assert objective.every > 2 or objective.prompts * objective.samples * 56 < 8000 - 4 * 256


def test_a_domain_fills_in_its_own_diversity():
    study = parse_study(PUBLISHED)
    assert study.objective_of("polychromic", "code").diversity == "behaviour"
    assert study.objective_of("polychromic", "qa").gate is True
    literal = study.objective_of("polychromic_literal", "code")
    assert (literal.diversity, literal.gate) == ("semantic", False)
