"""The study as typed settings: what `config.yaml` may say, checked before any job starts.

The configuration page of the docs and the JSON schema that editors complete from are generated from these models
(`python -m polychromic.config.reference`); a test shows the difference when they drift.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from polychromic.data.filters import FILTERS
from polychromic.data.sources import SOURCES
from polychromic.data.splitting import Split
from polychromic.errors import nearest
from polychromic.method.diversity import DIVERSITY
from polychromic.method.quality import QUALITY_TERMS
from polychromic.method.settings import ObjectiveSettings
from polychromic.metric_registry import quality_metric, quality_metrics
from polychromic.settings import NameThat, OneOf, Settings
from polychromic.verifiers import VERIFIERS

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
StudyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
NonEmpty = Annotated[str, Field(min_length=1)]
SEEDS = 2**32
"""Seeds are below this: NumPy takes no larger ones."""
Seed = Annotated[int, Field(ge=0, lt=SEEDS, strict=True)]
Share = Annotated[float, Field(ge=0, le=1)]
AnyFilter = Annotated[Any, OneOf(FILTERS, "filter")]
Source = Annotated[Any, OneOf(SOURCES, "format")]
QualityMetric = Annotated[str, NameThat(quality_metric, quality_metrics)]
DiversityForm = Annotated[str, NameThat(DIVERSITY.known, lambda: list(DIVERSITY))]
QualityTerm = Annotated[str, NameThat(QUALITY_TERMS.known, lambda: list(QUALITY_TERMS))]
Verifier = Annotated[Any, OneOf(VERIFIERS, "kind")]


class Model(Settings):
    """The base model that is adapted."""

    name: NonEmpty = "Qwen/Qwen3-8B"
    """A hub id, a local folder, `smollm2` (SmolLM2-135M-Instruct out of a PyPI package), or `embedded` for the tiny
    model that the workflow itself trains."""
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

    skew: float = Field(0.9, ge=1 / 3, le=1)
    """Share of one of three readings in the training targets; the test asks for all three equally. At 1/3 little
    can be gained."""
    wrong_share: float = Field(0.85, ge=0, lt=1)
    """Share of wrong answers to zero-shot prompts in the base's corpus: what fine-tuning has to teach."""
    seed: Seed = 0
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

    @model_validator(mode="after")
    def _shown(self) -> Prompting:
        for template, names in (("zero_shot", ["input"]), ("example", ["input", "target"]), ("few_shot", ["input"])):
            for name in names:
                if f"{{{name}}}" not in getattr(self, template):
                    raise ValueError(f"{template} has no {{{name}}}, which the model would then not see: add it")
        return self


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


class Diversity(Settings):
    """The domain's own D: the space in which its answers are judged."""

    form: DiversityForm = "semantic"
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
    quality_metric: QualityMetric = "rouge_l"
    """The domain's single-answer quality besides Pass@1; non-inferiority is required of both."""
    max_new_tokens: int = Field(256, ge=1)


class Objective(Settings):
    """L = quality - weight * E[D]. weight 0 is the quality term alone (standard LoRA where it is `ce`)."""

    quality: QualityTerm = ObjectiveSettings.quality
    quality_beta: float = Field(ObjectiveSettings.quality_beta, gt=0)
    """gem: the temperature of q. tofu: the temperature. entropy: the bonus' weight. The others ignore it."""
    focal_gamma: float = Field(ObjectiveSettings.focal_gamma, ge=0)
    """tofu: how little is learned from tokens that are likely already."""
    dco_samples: int = Field(ObjectiveSettings.dco_samples, ge=2)
    diversity: Literal["domain"] | DiversityForm = "domain"
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
    score_tokens: int = Field(ObjectiveSettings.score_tokens, ge=1)
    """Tokens in one backward pass of the term, prompts and padding included. Fewer save memory; halved where too
    many."""


class Training(Settings):
    rank: int = Field(16, ge=1)
    alpha: int = Field(16, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    targets: tuple[NonEmpty, ...] = Field(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), min_length=1
    )
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
    seed_offset: int = Field(0, ge=0)
    """Added to each training seed: the same settings trained again with other seeds, for a placebo."""
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
    """Of the published reading, of untrained arms, and of metrics other than Pass@k."""
    frontier: tuple[Annotated[float, Field(gt=0, strict=True)], ...] = (0.5, 1.0, 1.3, 1.6, 2.0)
    """Further temperatures at which trained arms are sampled. Each arm is read at its best one, so the grid must go on
    until Pass@k falls."""
    top_p: float = Field(1.0, gt=0, le=1)
    test_prompts: int = Field(200, ge=2)
    validation_prompts: int = Field(100, ge=0)
    """Validation prompts sampled for the choice of the tuned control."""
    batch_size: int = Field(256, ge=1)
    """Sequences decoded together, at most."""
    batch_tokens: int = Field(80_000, ge=1)
    """Tokens of their cache, at most, padding included; halved where the memory of a card is too small."""

    @property
    def temperatures(self) -> tuple[float, ...]:
        return (self.temperature, *(t for t in self.frontier if t != self.temperature))


class Metrics(Settings):
    k: tuple[Annotated[int, Field(ge=1, strict=True)], ...] = (1, 3, 5, 10)
    encoder: NonEmpty = "minilm"
    """Sentence encoder: `minilm` (the all-MiniLM-L6-v2 of a PyPI package), a folder, or a hub id."""
    bertscore: bool = True


class Judge(Settings):
    provider: Literal["offline", "anthropic", "openai"] = "offline"
    """offline: similarity to the references, named for what it is; no request leaves the machine."""
    model: str = "reference-similarity"
    base_url: str | None = Field(None, pattern="^https?://")
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
    controls: tuple[Name, ...] = ()
    """The family of the tuned control: arms without a diversity term (other learning rates, a scaled adapter, WiSE-FT).
    In each domain the best member on validation prompts is what the primary arm must beat. `control` belongs to it."""
    placebos: tuple[Name, ...] = ()
    """Further arms that must not win, e.g. the control trained again with other seeds. The control at each temperature
    and the members of `controls` are placebos anyway."""
    tries: int = Field(1, ge=1)
    """Settings of the primary arm that were tried on validation prompts. The verdict warns where these are more than
    `controls` has members."""
    replications: tuple[StudyName, ...] = ()
    """Names of studies that repeat this one on another base; their gains are shown too, with an interval over bases."""
    alpha: float = Field(0.05, gt=0, lt=1)
    margin: float = Field(0.05, gt=0, lt=1)
    """Absolute loss of best Pass@1 and best quality metric that still counts as not worse. Capped at half of what the
    control gains over the best untrained arm."""
    prior_df: float = Field(4.0, gt=0)
    """Sensitivity reading: how many degrees of freedom the mean seed variance over the domains counts for."""
    replicates: int = Field(2000, ge=100)
    seed: Seed = 0


class Cost(Settings):
    price_per_gpu_hour: float = Field(0.76, ge=0)
    """US dollars."""


class Study(Settings):
    """The whole study."""

    study: StudyName = "qwen3-8b"
    """Name of the study; everything derived lives under results/<study>/."""
    title: str = ""
    seeds: tuple[Seed, ...] = Field((42, 123, 456), min_length=1)
    """Training seeds; for arms that are only prompted, sampling seeds."""
    data_seed: Seed = 0
    """Of the draw after curation, of the split, and of the choice of evaluation prompts."""
    model: Model = Model()
    world: World | None = None
    prompting: Prompting = Prompting()
    domains: dict[Name, Domain] = Field(min_length=1)
    arms: dict[Name, Arm] = Field(min_length=1)
    objective: Objective = Objective()
    """What the trained arms share. An arm without its own weight has no diversity term."""
    training: Training = Training()
    sampling: Sampling = Sampling()
    metrics: Metrics = Metrics()
    judge: Judge = Judge()
    plan: Plan = Plan()
    cost: Cost = Cost()
    gpus_per_job: int = Field(0, ge=0)
    """Graphics cards of a training or generation job; 0 runs on the CPU."""
    plugins: tuple[str, ...] = ()
    """Python files that register verifiers, diversity measures, metrics, filters or sources for this study."""

    def temperatures_of(self, arm: str) -> tuple[float, ...]:
        """The temperatures at which an arm is sampled. A prompt arm has no frontier: nothing was trained."""
        prompted = isinstance(self.arms[arm], PromptArm)
        return (self.sampling.temperature,) if prompted else self.sampling.temperatures

    def training_of(self, arm: str) -> Training:
        """The study's training settings with the arm's own on top."""
        return _overlaid(self.training, self.arms[arm].training, f"arms.{arm}.training")

    def objective_of(self, arm: str, domain: str) -> Objective:
        """The study's objective with the arm's own settings on top, and the domain's filled in: its own D and gate, and
        behind a gate room for its longest answers."""
        objective = _overlaid(self.objective, self.arms[arm].objective, f"arms.{arm}.objective")
        own = self.domains[domain]
        if objective.diversity == "domain":
            objective = objective.model_copy(update={"diversity": own.diversity.form, "gate": own.diversity.gate})
        short, long = objective.max_new_tokens, own.max_new_tokens
        if objective.weight > 0 and objective.gate and short < long:
            objective = objective.model_copy(update={"max_new_tokens": long})
        return objective


def _overlaid(settings: Any, overrides: dict[str, Any], where: str) -> Any:
    """A section of settings with an arm's own on top, checked."""
    model = type(settings)
    for key in overrides:
        if key not in model.model_fields:
            raise ValueError(f"{where}.{key}: unknown key{nearest(key, model.model_fields)}")
    try:
        return model.model_validate({**settings.model_dump(), **overrides})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join([where, *map(str, problem["loc"])])
        value = f" (is {problem['input']!r})" if problem["loc"] else ""
        raise ValueError(f"{place}: {problem['msg'].removeprefix('Value error, ')}{value}") from None


def rebuild() -> None:
    """Take in what plugins have registered since."""
    for model in (Curation, Domain, Study):
        model.model_rebuild(force=True)
