"""The study as typed settings: what `config.yaml` may say, checked before any job starts.

The commented default, the JSON schema that editors complete from and the configuration page of the docs are
generated from these models (`python -m polychromic.config.reference`); a test shows the difference when they drift.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from polychromic.data.filters.steps import AnyFilter
from polychromic.data.sources import Source
from polychromic.data.splitting import Split
from polychromic.errors import StudyError, closest
from polychromic.method.diversity import DIVERSITY
from polychromic.method.quality import QUALITY_TERMS
from polychromic.method.settings import ObjectiveSettings
from polychromic.settings import Settings

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Model(Settings):
    """The base model that is adapted."""

    name: str = "Qwen/Qwen3-8B"
    """A hub id, a local folder, or `embedded` for the tiny model that the workflow itself trains."""
    revision: str | None = None
    """Commit of the hub repository. Left out, it is resolved at first use and locked in the study's lock.json."""
    precision: Literal["fp32", "bf16", "nf4"] = "nf4"
    """nf4: 4-bit NormalFloat with double quantisation and bf16 compute. Never merged for evaluation."""
    attention: Literal["eager", "sdpa", "flash_attention_2"] = "sdpa"
    chat: bool = True
    """Wrap prompts by the tokenizer's chat template (thinking off). False: plain text, for base models."""


class World(Settings):
    """The embedded world: synthetic corpora and the tiny Qwen3 that is trained on them. Only where
    `model.name` is `embedded`."""

    kind: Literal["skewed", "matched"] = "skewed"
    """skewed: training targets over-represent one reading (positive control). matched: both parts alike (null)."""
    seed: int = 0
    raw_rows: int = Field(1500, ge=60)
    """Raw rows a domain, before curation."""
    broad_rows: int = Field(50_000, ge=1000)
    """Lines of the broad corpus that the base model is trained on."""
    hidden: int = Field(128, ge=16)
    layers: int = Field(4, ge=1)
    vocabulary: int = Field(1200, ge=300)
    epochs: float = Field(1.0, gt=0)


class Prompting(Settings):
    """How a record becomes a prompt. `{output}` is the domain's word for an answer."""

    zero_shot: str = "Generate {output} for: {input}\n"
    example: str = "Example {number}: {input} → {target}\n"
    few_shot: str = "Now: {input} →"


class Curation(Settings):
    filters: tuple[AnyFilter, ...] = ()
    """Applied in this order; each has its row in the funnel."""
    min_rows: int = Field(800, ge=1)
    """Fewer curated rows than this stop the study, unless `allow_fewer`."""
    max_rows: int = Field(1200, ge=1)
    """When more survive, a seeded sample of this size is kept."""
    allow_fewer: bool = False
    """Report too few rows instead of stopping."""

    @model_validator(mode="after")
    def _bounds(self) -> Curation:
        if self.min_rows > self.max_rows:
            raise ValueError(f"min_rows {self.min_rows} is above max_rows {self.max_rows}: swap or widen them")
        return self


class CodeVerifier(Settings):
    """A program passes if it passes the tests, run in the sandbox."""

    kind: Literal["code"]
    timeout: float = Field(3.0, gt=0)
    """Seconds a candidate may run."""
    execution: Literal["sandbox", "unsafe"] = "sandbox"
    """`unsafe` runs model-written programs with your rights, where no sandbox can be had. Think twice."""


class AnswerVerifier(Settings):
    """An answer passes if it matches an accepted one after SQuAD's normalisation."""

    kind: Literal["answer"]
    min_f1: float | None = Field(None, gt=0, le=1)
    """Pass also at this token F1."""


class SimilarityVerifier(Settings):
    """A text passes if nothing is wrong with it by itself and it is close enough to a reference."""

    kind: Literal["similarity"]
    max_false_pass: float = Field(0.05, gt=0, lt=1)
    """The threshold is found on validation prompts so that mismatched answers pass at most this often."""
    min_words: int = Field(2, ge=1)
    max_words: int = Field(400, ge=1)


class JudgeVerifier(Settings):
    """A text passes if nothing is wrong with it by itself and the study's `judge`, a model, grades it well enough.
    Every sample is a request, paid from `judge.budget`."""

    kind: Literal["judge"]
    threshold: float = Field(0.5, gt=0, le=1)
    """The lowest grade that passes, of 0, 0.1, ... 1."""
    max_false_pass: float = Field(0.05, gt=0, lt=1)
    """Warn when mismatched answers to validation prompts pass more often."""
    min_words: int = Field(2, ge=1)
    max_words: int = Field(400, ge=1)


Verifier = Annotated[CodeVerifier | AnswerVerifier | SimilarityVerifier | JudgeVerifier, Field(discriminator="kind")]


class Diversity(Settings):
    """The domain's own D: the space in which its answers are judged."""

    form: Literal[*DIVERSITY] = "semantic"
    gate: bool = True
    """Multiply distances by g_i g_j, g = 1 for a well-formed answer, 0 otherwise."""


class Domain(Settings):
    output: str = "response"
    """The word for an answer in the prompt templates: reply, code, story, answer."""
    sources: tuple[Source, ...] = Field(min_length=1)
    curation: Curation = Curation()
    split: Split = Split()
    verifier: Verifier
    diversity: Diversity = Diversity()
    quality_metric: Literal["rouge_l", "rouge_1", "rouge_2", "bertscore", "exact_match", "token_f1"] = "rouge_l"
    """The domain's single-answer quality beside Pass@1; non-inferiority is asked of both."""
    max_new_tokens: int = Field(256, ge=1)


class Objective(Settings):
    """L = quality - weight * E[D]. weight 0 is the quality term alone (standard LoRA where it is `ce`)."""

    quality: Literal[*QUALITY_TERMS] = ObjectiveSettings.quality
    quality_beta: float = Field(ObjectiveSettings.quality_beta, gt=0)
    """gem: the temperature of q. entropy: the bonus' weight. Ignored by ce and dco."""
    dco_samples: int = Field(ObjectiveSettings.dco_samples, ge=2)
    diversity: Literal["domain", *DIVERSITY] = "domain"
    """`domain` takes each domain's own D and gate; a form by name is used in every domain alike."""
    gate: bool = True
    weight: float = Field(0.0, ge=0)
    """lambda, 0 unless an arm sets it. Tried from 0.1 to 0.5: both terms are on the same scale."""
    samples: int = Field(ObjectiveSettings.samples, ge=2)
    """N completions a prompt."""
    every: int = Field(ObjectiveSettings.every, ge=1)
    """A diversity step every m-th step, with weight m."""
    prompts: int = Field(ObjectiveSettings.prompts, ge=1)
    """Prompts in a diversity step."""
    temperature: float = Field(ObjectiveSettings.temperature, gt=0)
    top_p: float = Field(ObjectiveSettings.top_p, gt=0, le=1)
    max_new_tokens: int = Field(ObjectiveSettings.max_new_tokens, ge=1)
    """Longest sample of a diversity step; behind a gate at least the domain's own, as a cut one counts for nothing."""
    score_batch_size: int = Field(ObjectiveSettings.score_batch_size, ge=1)
    """Samples in one backward pass of the term; in proportion fewer where a domain's are longer. Less saves memory."""


class Training(Settings):
    rank: int = Field(16, ge=1)
    alpha: int = Field(16, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    epochs: float = Field(2.0, gt=0)
    learning_rate: float = Field(2e-4, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Share = 0.03
    weight_decay: float = Field(0.01, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    batch_size: int = Field(4, ge=1)
    """Rows in one forward pass."""
    accumulation: int = Field(4, ge=1)
    """Forward passes in one optimiser step; the effective batch is batch_size x accumulation x processes."""
    max_length: int = Field(512, ge=16)
    """Tokens of prompt and completion; longer rows are left out and counted."""
    gradient_checkpointing: bool = True
    early_stopping: int | None = Field(None, ge=1)
    """Patience, in evaluations of plain cross-entropy on a held-back slice of train. The same rule for every arm."""
    checkpoint_every: int = Field(50, ge=1)
    """Optimiser steps between the checkpoints that a killed job resumes from."""


class PromptArm(Settings):
    kind: Literal["prompt"]
    shots: int = Field(0, ge=0)


class TrainArm(Settings):
    kind: Literal["train"]
    objective: dict[str, Any] = {}
    """Settings that differ from the study's `objective`, e.g. {weight: 0.3}."""
    training: dict[str, Any] = {}
    """Settings that differ from the study's `training`, e.g. {rank: 8}."""


class DerivedArm(Settings):
    """An adapter made from a trained one, without training."""

    kind: Literal["derived"]
    method: Literal["wise_ft", "scale"]
    source: Name
    """The trained arm whose adapters are used."""
    share: float = Field(0.5, ge=0, le=2)
    """wise_ft: weight of the late checkpoint against the early one. scale: factor on the adapter's change."""


Arm = Annotated[PromptArm | TrainArm | DerivedArm, Field(discriminator="kind")]


class Sampling(Settings):
    samples: int = Field(10, ge=1)
    temperature: float = Field(0.7, gt=0)
    """The primary reading."""
    frontier: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = (0.5, 1.0, 1.3)
    """Further temperatures at which trained arms are sampled."""
    top_p: float = Field(1.0, gt=0, le=1)
    test_prompts: int = Field(100, ge=1)
    validation_prompts: int = Field(50, ge=0)
    """Validation prompts sampled for the choice of T per k."""
    batch_size: int = Field(64, ge=1)
    """Sequences decoded together."""

    @property
    def temperatures(self) -> tuple[float, ...]:
        return (self.temperature, *(t for t in self.frontier if t != self.temperature))


class Metrics(Settings):
    k: tuple[Annotated[int, Field(ge=1)], ...] = (1, 3, 5, 10)
    encoder: str = "minilm"
    """Sentence encoder: `minilm` (the all-MiniLM-L6-v2 of a PyPI package), a folder, or a hub id."""
    bertscore: bool = True


class Judge(Settings):
    provider: Literal["offline", "anthropic", "openai"] = "offline"
    """offline: similarity to the references, named for what it is; no request leaves the machine."""
    model: str = "reference-similarity"
    base_url: str | None = None
    """Another endpoint with the provider's interface. Keys come from ANTHROPIC_API_KEY or OPENAI_API_KEY."""
    input_price: float = Field(3.0, ge=0)
    """Dollars per million tokens read."""
    output_price: float = Field(15.0, ge=0)
    """Dollars per million tokens written."""
    budget: float = Field(20.0, ge=0)
    """Dollars a study may spend on judge calls."""
    prompts: int = Field(100, ge=1)


class Plan(Settings):
    """The analysis, fixed and hashed before training."""

    primary: Name = "polychromic"
    control: Name = "lora"
    literal: Name = "polychromic_literal"
    alpha: float = Field(0.05, gt=0, lt=1)
    margin: float = Field(0.05, gt=0, lt=1)
    """Absolute loss of Pass@1 and of the quality metric that still counts as not worse."""
    replicates: int = Field(2000, ge=100)
    seed: int = 0


class Cost(Settings):
    price_per_gpu_hour: float = Field(0.76, ge=0)
    currency: str = "USD"


class Study(Settings):
    """The whole study."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "qwen3-8b"
    """Name of the study; everything derived lives under results/<study>/."""
    title: str = ""
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = Field((42, 123, 456), min_length=1)
    """Training seeds; for arms that are only prompted, sampling seeds."""
    data_seed: int = 0
    """Of the draw after curation, of the split, and of the choice of evaluation prompts."""
    model: Model = Model()
    world: World | None = None
    prompting: Prompting = Prompting()
    domains: dict[Name, Domain] = Field(min_length=1)
    arms: dict[Name, Arm] = Field(min_length=1)
    objective: Objective = Objective()
    """What the trained arms share. An arm without a weight of its own has no diversity term."""
    training: Training = Training()
    sampling: Sampling = Sampling()
    metrics: Metrics = Metrics()
    judge: Judge = Judge()
    plan: Plan = Plan()
    cost: Cost = Cost()
    gpus_per_job: int = Field(0, ge=0)
    """Graphics cards of a training or generation job; 0 runs on the CPU."""

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)} repeat: each seed once")
        if 1 not in self.metrics.k:
            raise ValueError(f"metrics.k {list(self.metrics.k)} has no 1: Pass@1 is half of the claim. Add it")
        if max(self.metrics.k) > self.sampling.samples:
            raise ValueError(
                f"metrics.k asks pass@{max(self.metrics.k)} but sampling.samples is {self.sampling.samples}: "
                f"pass@k is undefined for n < k. Draw at least {max(self.metrics.k)} samples"
            )
        if len(set(self.sampling.frontier)) != len(self.sampling.frontier):
            raise ValueError(f"sampling.frontier {list(self.sampling.frontier)} repeats: each temperature once")
        if self.plan.primary == self.plan.control:
            raise ValueError(f"plan.primary and plan.control are both {self.plan.control!r}: an arm against itself")
        for role in ("primary", "control"):
            arm = getattr(self.plan, role)
            if arm not in self.arms:
                raise ValueError(f"plan.{role} is {arm!r}, which is no arm{_nearest(arm, self.arms)}")
        for name, arm in self.arms.items():
            if isinstance(arm, DerivedArm) and not isinstance(self.arms.get(arm.source), TrainArm):
                raise ValueError(
                    f"arms.{name}.source is {arm.source!r}, which is no trained arm{_nearest(arm.source, self.arms)}"
                )
            if isinstance(arm, TrainArm):
                self.training_of(name)
                for domain in self.domains:
                    self._check_behaviour(name, domain)
        for name, domain in self.domains.items():
            if domain.verifier.kind == "judge" and self.judge.provider == "offline":
                raise ValueError(
                    f"domains.{name}.verifier is a judge, but judge.provider is offline, which cannot grade an answer: "
                    "set judge.provider (anthropic or openai) and judge.model, or take verifier kind similarity"
                )
            self._check_quality_metric(name, domain)
        if (self.model.name == "embedded") != (self.world is not None):
            raise ValueError("model.name `embedded` and a `world` section go together: add or remove one of them")
        return self

    def _check_quality_metric(self, name: str, domain: Domain) -> None:
        metric, kind = domain.quality_metric, domain.verifier.kind
        if metric in ("exact_match", "token_f1") and kind != "answer":
            raise ValueError(
                f"domains.{name}.quality_metric is {metric}, which only verifier kind answer measures (here {kind}): "
                "choose rouge_l or bertscore"
            )
        if metric == "bertscore" and not self.metrics.bertscore:
            raise ValueError(f"domains.{name}.quality_metric is bertscore, but metrics.bertscore is false: measure it")

    def _check_behaviour(self, arm: str, domain: str) -> None:
        objective = self.objective_of(arm, domain)
        if objective.weight > 0 and objective.diversity == "behaviour" and self.domains[domain].verifier.kind != "code":
            raise ValueError(
                f"arm {arm!r} asks D = behaviour in domain {domain!r}, whose answers are not code: choose "
                "semantic or answer there"
            )

    def training_of(self, arm: str) -> Training:
        """The study's training settings with the arm's own on top."""
        return _overlaid(self.training, self.arms[arm].training, f"arms.{arm}.training")

    def objective_of(self, arm: str, domain: str) -> Objective:
        """The study's objective with the arm's own settings on top, and the domain's filled in: its own D and gate, and
        behind a gate room for its longest answers, at the same memory."""
        objective = _overlaid(self.objective, self.arms[arm].objective, f"arms.{arm}.objective")
        own = self.domains[domain]
        if objective.diversity == "domain":
            objective = objective.model_copy(update={"diversity": own.diversity.form, "gate": own.diversity.gate})
        short, long = objective.max_new_tokens, own.max_new_tokens
        if objective.weight > 0 and objective.gate and short < long:
            size = -(-objective.score_batch_size * short // long)
            objective = objective.model_copy(update={"max_new_tokens": long, "score_batch_size": size})
        return objective


def _overlaid(settings: Any, overrides: dict[str, Any], where: str) -> Any:
    """A section of settings with an arm's own on top, checked."""
    model = type(settings)
    for key in overrides:
        if key not in model.model_fields:
            raise ValueError(f"{where}.{key}: unknown key{_nearest(key, model.model_fields)}")
    try:
        return model.model_validate({**settings.model_dump(), **overrides})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ValueError(f"{where}.{problem['loc'][0]}: {problem['msg']} (is {problem['input']!r})") from None


def _nearest(word: str, known: Any) -> str:
    match = closest(word, known)
    return f". Did you mean {match!r}?" if match else f". Known: {', '.join(sorted(known))}"


def merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Lay an overlay over a config, key by key, as Snakemake does; lists are replaced."""
    merged = dict(base)
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        StudyError: if the file is missing, is not YAML, or repeats a key.
    """
    try:
        loaded = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except FileNotFoundError as error:
        raise StudyError(f"{path}: no such file. Give the path of a study's YAML file.") from error
    except yaml.YAMLError as error:
        raise StudyError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(loaded, dict):
        raise StudyError(f"{path}: expected `key: value` lines, found {type(loaded).__name__}.")
    return loaded


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML lets a later key silently win over an earlier one; a study must not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        merged = "tag:yaml.org,2002:merge"  # `<<: *name`, whose keys the mapping's own may repeat
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value if key.tag != merged]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load_study(*paths: str | Path) -> Study:
    """Read a study: the first file, with each further file laid over it.

    Raises:
        StudyError: naming file, key, value and remedy.
    """
    settings: dict[str, Any] = {}
    for path in paths:
        settings = merge(settings, read_yaml(path))
    return parse_study(settings, origin=" + ".join(map(str, paths)))


def parse_study(settings: dict[str, Any], origin: str = "config") -> Study:
    """Check settings against the typed study.

    Raises:
        StudyError: listing every problem with key, value and remedy.
    """
    settings = _without_nulls(settings)
    try:
        return Study.model_validate(settings)
    except ValidationError as error:
        problems = [_explain(problem, settings) for problem in error.errors(include_url=False)]
        raise StudyError(f"{origin}: {len(problems)} problem(s)\n  - " + "\n  - ".join(problems)) from None


def _without_nulls(value: Any) -> Any:
    """A null takes a key away, so that an overlay can remove an arm or a domain, or go back to a default."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _explain(problem: dict[str, Any], settings: dict[str, Any]) -> str:
    # Discriminated unions put the tag into the location; only keys that stand in the file are of use.
    keys, value = [], settings
    for part in problem["loc"]:
        if (isinstance(value, dict) and part in value) or (
            isinstance(value, (list, tuple)) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]
        elif problem["type"] == "missing" and part == problem["loc"][-1]:
            pass
        else:
            continue
        keys.append(str(part))
    where = ".".join(keys) or "the study"
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"])
        if keys[-1] in known:  # of another kind of the same thing
            return f"{where}: not a setting of this kind. Set it to null if it comes from a file below"
        return f"{where}: unknown key{_nearest(keys[-1], known)}"
    if problem["type"] == "missing":
        return f"{where}: missing. Add it"
    message = re.sub(r"^Value error, ", "", problem["msg"])
    shown = repr(problem["input"])
    at = f" (is {shown})" if len(shown) < 80 and problem["type"] != "value_error" else ""
    return f"{where}: {message}{at}"


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    """The keys allowed beside the unknown one, found by walking the schema."""
    schema = Study.model_json_schema()
    nodes = [schema]

    def expand(node: dict[str, Any]) -> list[dict[str, Any]]:
        if "$ref" in node:
            return expand(schema["$defs"][node["$ref"].rsplit("/", 1)[-1]])
        options = node.get("anyOf", []) + node.get("oneOf", [])
        return [found for option in options for found in expand(option)] or [node]

    for part in location[:-1]:
        following = []
        for node in nodes:
            if part in node.get("properties", {}):
                following += expand(node["properties"][part])
            elif "patternProperties" in node:  # names of domains and arms
                following += [found for inner in node["patternProperties"].values() for found in expand(inner)]
            elif isinstance(part, int) and isinstance(node.get("items"), dict):
                following += expand(node["items"])
        # A tag of a discriminated union selects among the options already there.
        nodes = following or [n for n in nodes if part in str(n.get("properties", {}))] or nodes
    return sorted({key for node in nodes for key in node.get("properties", {})})
