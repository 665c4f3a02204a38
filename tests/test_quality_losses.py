"""Each peer against its published formula, written out naively here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from polychromic.errors import StudyError
from polychromic.method.quality import QUALITY_TERMS, settings_of
from polychromic.method.quality import quality_loss as of_settings
from polychromic.method.quality.dco import dco, log1mexp
from polychromic.method.quality.gem import gem


def quality_loss(name, quality_beta=0.7, dco_samples=10, focal_gamma=3.0):
    """The term as a mean over targets, of (logits [rows, positions, vocabulary], labels)."""
    chosen = SimpleNamespace(quality_beta=quality_beta, dco_samples=dco_samples, focal_gamma=focal_gamma)
    term = of_settings(name, chosen)

    def loss(logits, labels, count=None):
        rows = (labels[:, 1:] != -100).nonzero()[:, 0]
        return term(*shifted(logits, labels), rows) / (count or len(rows))

    return loss


@pytest.fixture
def batch():
    """(logits [2, 6, 9] with gradient, labels [2, 6] with -100)."""
    torch.manual_seed(0)
    labels = torch.randint(0, 9, (2, 6))
    labels[0, :3] = -100
    labels[1, :2] = -100
    labels[1, 5:] = -100
    return torch.randn(2, 6, 9, dtype=torch.float64, requires_grad=True), labels


def shifted(logits, labels):
    keep = labels[:, 1:] != -100
    return logits[:, :-1][keep], labels[:, 1:][keep]


def gradient(loss, logits):
    return torch.autograd.grad(loss, logits)[0]


@pytest.mark.parametrize("beta", [0.5, 0.7, 1.0, 2.0])
def test_linear_gem_has_the_gradient_of_tempered_cross_entropy(batch, beta):
    logits, labels = batch
    ours = quality_loss("gem", beta)(logits, labels)
    z, y = shifted(logits, labels)
    torch.testing.assert_close(
        gradient(ours, logits), gradient(beta * F.cross_entropy(z / beta, y), logits), atol=1e-6, rtol=1e-5
    )


def test_published_gem_is_its_formula(batch):
    z, y = (tensor.detach() for tensor in shifted(*batch))
    expected = []
    for logits, label in zip(z, y, strict=True):
        q, log_p = (logits / 0.7).softmax(-1), logits.log_softmax(-1)
        terms = [
            float(q[v]) * float(torch.sigmoid((logits[v] - logits[label]) / 100)) * (log_p[label] - log_p[v])
            for v in range(len(logits))
        ]
        expected.append(-sum(terms))
    torch.testing.assert_close(gem(z, y, beta=0.7, log_sigmoid=True), torch.stack(expected))


def test_dco_of_one_sample_is_cross_entropy(batch):
    logits, labels = batch
    loss = quality_loss("dco", dco_samples=1)(logits, labels)
    torch.testing.assert_close(loss.double(), F.cross_entropy(*shifted(logits, labels)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("p", [1e-30, 1e-4, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("n", [1, 2, 10])
def test_dco_is_its_formula(p, n):
    log_p = torch.tensor([p], dtype=torch.float64).log().requires_grad_()
    loss = dco(log_p, samples=n)
    exact = -torch.log(-torch.expm1(n * torch.log1p(torch.tensor(-p, dtype=torch.float64))))
    torch.testing.assert_close(loss[0].detach(), exact)
    # d/dlog p = -N p (1-p)^(N-1) / (1 - (1-p)^N)
    slope = gradient(loss.sum(), log_p)[0]
    torch.testing.assert_close(
        slope, torch.tensor(-n * p * (1 - p) ** (n - 1), dtype=torch.float64) / exact.neg().exp()
    )


def test_dco_is_finite_where_the_target_is_certain():
    log_p = torch.tensor([0.0, -1e-9, -700.0], requires_grad=True)
    loss = dco(log_p, samples=10)
    assert torch.isfinite(loss).all()
    assert torch.isfinite(gradient(loss.sum(), log_p)).all()


@pytest.mark.parametrize("n", [2, 10])
def test_dco_pulls_at_the_rarest_targets(n):
    """In float32 as in float64, where p is no number of float32 any more too: the gradient is -1 there, not 0."""
    values = [-3.0, -20.0, -80.0, -84.9, -85.1, -87.0, -88.0, -95.0, -103.0, -104.0, -300.0, -1000.0]
    single, double = (torch.tensor(values, dtype=d, requires_grad=True) for d in (torch.float32, torch.float64))
    losses = [dco(log_p, samples=n) for log_p in (single, double)]
    torch.testing.assert_close(losses[0], losses[1].float())
    slopes = [gradient(loss.sum(), log_p) for loss, log_p in zip(losses, (single, double), strict=True)]
    torch.testing.assert_close(slopes[0], slopes[1].float())
    assert slopes[0][[values.index(-95.0), values.index(-1000.0)]].tolist() == [-1.0, -1.0]


def test_entropy_bonus_is_its_formula(batch):
    z, y = shifted(*batch)
    p = z.softmax(-1)
    expected = F.cross_entropy(z, y, reduction="none") - 0.3 * -(p * p.log()).sum(-1)
    torch.testing.assert_close(quality_loss("entropy", 0.3)(*batch), expected.mean())


def slopes(function, log_p):
    """d function / d log p at each entry, by central differences."""
    step = 1e-6
    return (function(log_p + step) - function(log_p - step)) / (2 * step)


def test_dft_pulls_each_token_by_its_own_probability(batch):
    """Its gradient is that of -p, here by finite differences in log p."""
    z, y = shifted(*batch)
    log_p = z.log_softmax(-1).gather(-1, y.unsqueeze(-1)).squeeze(-1)
    slope = slopes(lambda value: -value.exp(), log_p.detach())
    truth = gradient((slope * log_p).sum() / len(y), batch[0])
    torch.testing.assert_close(gradient(quality_loss("dft")(*batch), batch[0]), truth)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 3.0])
def test_tofu_without_a_temperature_has_the_gradient_of_the_focal_loss(batch, gamma):
    logits, labels = batch
    z, y = shifted(logits, labels)
    log_p = z.log_softmax(-1).gather(-1, y.unsqueeze(-1)).squeeze(-1)
    focal = -((1 - log_p.exp()) ** gamma) * log_p
    ours = quality_loss("tofu", 1.0, focal_gamma=gamma)(logits, labels)
    torch.testing.assert_close(gradient(ours, logits), gradient(focal.mean(), logits))


def test_tofu_is_its_formula(batch):
    z, y = (tensor.detach() for tensor in shifted(*batch))
    expected = []
    for logits, label in zip(z, y, strict=True):
        p = logits.softmax(-1)[label]
        slope = (1 - p) ** 3 - 3 * p * (1 - p) ** 2 * p.log()
        expected.append(-slope * 0.8 * (logits / 0.8).log_softmax(-1)[label])
    torch.testing.assert_close(quality_loss("tofu", 0.8)(*batch), torch.stack(expected).mean())


def test_tofu_without_focus_is_gem(batch):
    tofu, linear_gem = quality_loss("tofu", 0.7, focal_gamma=0.0)(*batch), quality_loss("gem", 0.7)(*batch)
    torch.testing.assert_close(gradient(tofu, batch[0]), gradient(linear_gem, batch[0]))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 3.0])
def test_tofu_and_dft_are_finite_where_the_target_is_certain_or_impossible(gamma):
    logits = torch.tensor([[500.0, 0.0], [0.0, 500.0], [0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([[0, 0, 0]])
    for name in ("tofu", "dft"):
        loss = of_settings(name, SimpleNamespace(quality_beta=0.8, focal_gamma=gamma))(logits, labels[0], None)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient(loss, logits)).all()


def test_eaft_weighs_by_the_entropy_of_the_likeliest(batch):
    """A vocabulary below 20 tokens: the whole entropy, over its largest value."""
    z, y = shifted(*batch)
    p = z.softmax(-1).detach()
    weight = -(p * p.log()).sum(-1) / torch.tensor(9.0).log()
    expected = (weight * F.cross_entropy(z, y, reduction="none")).mean()
    torch.testing.assert_close(quality_loss("eaft")(*batch), expected)
    torch.testing.assert_close(gradient(quality_loss("eaft")(*batch), batch[0]), gradient(expected, batch[0]))


def test_eaft_reads_twenty_tokens_of_a_larger_vocabulary():
    logits = torch.cat([torch.zeros(1, 20), torch.full((1, 80), -1.0)], dim=1)
    loss = quality_loss("eaft")(torch.stack([logits, logits], 1), torch.tensor([[-100, 3]]))
    # Twenty tokens alike have the largest entropy: the weight is 1 and the loss the cross-entropy.
    torch.testing.assert_close(loss, F.cross_entropy(logits, torch.tensor([3])))


@pytest.mark.parametrize("name", [name for name in QUALITY_TERMS if name != "ce"])
def test_loss_is_a_sum_over_the_effective_batch(batch, name):
    """Two halves, each divided by the targets of the whole, add up to the whole."""
    logits, labels = batch
    loss = quality_loss(name, 0.5)
    count = int((labels[:, 1:] != -100).sum())
    halves = [loss(logits[i : i + 1], labels[i : i + 1], count) for i in (0, 1)]
    torch.testing.assert_close(sum(halves), loss(logits, labels))


def test_log1mexp_is_its_formula_near_zero_and_far_below():
    x = torch.tensor([-1e-12, -0.5, -40.0], dtype=torch.float64)
    torch.testing.assert_close(log1mexp(x), torch.log(-torch.expm1(x)))


def test_a_term_declares_what_it_uses():
    assert {name: settings_of(QUALITY_TERMS[name]) for name in QUALITY_TERMS} == {
        "ce": [],
        "gem": ["quality_beta"],
        "gem_logsigmoid": ["quality_beta"],
        "dco": ["dco_samples"],
        "entropy": ["quality_beta"],
        "tofu": ["quality_beta", "focal_gamma"],
        "dft": [],
        "eaft": [],
    }
    assert all(QUALITY_TERMS[name].label and QUALITY_TERMS[name].__doc__ for name in QUALITY_TERMS)


def test_an_unknown_term_is_named():
    with pytest.raises(StudyError, match="'focal' is unknown. Known: ce, .*gem"):
        quality_loss("focal")
