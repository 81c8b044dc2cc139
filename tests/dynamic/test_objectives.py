"""What gates learn by: gradients against formulas by hand, image by image."""

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import ConfigError
from secateurs.dynamic import (
    Given,
    Reinforce,
    Sampled,
    Soft,
    Supervised,
    Thresholded,
    Watched,
    deciding,
    gates_of,
    routes,
)
from secateurs.dynamic._returns import discounted, without_own
from tests.dynamic._nets import gated, images

SHARES = (0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)


class Spy:
    """Another policy, whose logits and masks keep their gradients."""

    def __init__(self, policy: Thresholded | Soft | Sampled) -> None:
        self.binary, self._policy = policy.binary, policy
        self.logits: list[Tensor] = []
        self.masks: list[Tensor] = []

    def mask(self, number: int, logit: Tensor) -> Tensor:
        logit.retain_grad()
        self.logits.append(logit)
        mask = self._policy.mask(number, logit)
        if mask.requires_grad:
            mask.retain_grad()
        self.masks.append(mask)
        return mask


def batch(count: int = 6) -> tuple[Tensor, Tensor]:
    """Images and labels."""
    return images(count).double(), torch.arange(count) % 10


def gate_gradients(model: nn.Module) -> Mapping[str, Tensor]:
    """Of the gates' parameters."""
    found = {path: p.grad for path, p in model.named_parameters() if "skip_gate" in path}
    return {path: gradient for path, gradient in found.items() if gradient is not None}


def test_returns_against_a_slow_reference() -> None:
    generator = torch.Generator().manual_seed(0)
    rewards, terminal = torch.rand(5, 3, generator=generator), torch.rand(3, generator=generator)
    for gamma in (1.0, 0.9, 0.0):
        found = discounted(rewards, terminal, gamma)
        for image in range(3):
            for gate in range(5):
                later = [gamma ** (k - gate) * float(rewards[k, image]) for k in range(gate, 5)]
                expected = sum(later) + gamma ** (5 - gate) * float(terminal[image])
                assert float(found[gate, image]) == pytest.approx(expected, abs=1e-6)
    others = without_own(rewards, rewards.sum(1), 3)
    assert float(others[2, 1]) == pytest.approx(float(rewards[2, [0, 2]].mean()))
    assert without_own(rewards[:, :1], rewards[:, 0], 1).abs().max() == 0


@pytest.mark.parametrize("soft", [False, True])
def test_gradients_go_straight_through_decisions(soft: bool) -> None:
    """Of the mask, the mean over positions of (block - skip path) . gradient; of the logit, times p (1 - p)."""
    model, (x, labels) = gated().double().train(), batch()
    spy = Spy(Soft() if soft else Thresholded())
    ends: dict[str, Tensor] = {}
    last = list(gates_of(model))[-1]

    def hook(_module: nn.Module, _args: object, output: Tensor) -> None:
        output.retain_grad()
        ends["out"] = output

    into: list[Tensor] = []
    model.get_submodule(last).register_forward_pre_hook(lambda _m, args: into.append(args[0].detach()))
    model.get_submodule(last).register_forward_hook(hook)
    with deciding(model, spy):
        F.cross_entropy(model(x), labels).backward()
    if not soft:
        assert set(torch.stack(spy.masks).unique().tolist()) == {0.0, 1.0}
    block = model.get_submodule(last)
    gradient = ends["out"].grad
    assert gradient is not None
    with torch.no_grad():
        difference = type(block).forward(block, into[0]) - into[0].relu()
    by_hand = (gradient * difference).sum((1, 2, 3))
    torch.testing.assert_close(spy.masks[-1].grad, by_hand)
    chance = spy.logits[-1].detach().sigmoid()
    torch.testing.assert_close(spy.logits[-1].grad, by_hand * chance * (1 - chance))


def test_the_penalty_is_of_the_cost_that_is_computed() -> None:
    model, (x, labels) = gated().double().train(), batch()
    watched = Watched(Thresholded())
    with deciding(model, watched):
        plain = F.cross_entropy(model(x), labels)
    for shares in (None, SHARES):
        weights = torch.tensor(shares or [1 / 8] * 8, dtype=torch.float64)
        expected = plain + 0.7 * (weights * torch.stack(watched.masks).mean(1)).sum()
        loss, scores = Supervised(penalty=0.7, shares=shares).loss(model, x, labels)
        torch.testing.assert_close(loss, expected)
        assert scores.shape == (6, 10)
    with pytest.raises(ConfigError, match="one for each of 8 gates"):
        Supervised(penalty=1.0, shares=[0.5, 0.5]).loss(model, x, labels)


@pytest.mark.parametrize(("gamma", "beta", "shares"), [(1.0, 1.0, None), (0.8, 0.5, SHARES)])
def test_the_policy_gradient_against_a_loop_over_images(
    gamma: float, beta: float, shares: tuple[float, ...] | None
) -> None:
    """d loss / d logit = -rl_weight / B * (g - p) * R, each image by itself."""
    model, (x, labels) = gated("ff2").double().eval(), batch()
    numbers = torch.rand(6, 8, generator=torch.Generator().manual_seed(3)).double()
    policy = Sampled(numbers)
    spy = Spy(policy)
    with deciding(model, spy):
        scores = model(x)
    objective = Reinforce(alpha=0.4, gamma=gamma, beta=beta, shares=shares)
    objective.policy_losses(policy, scores, labels).mean().backward()
    costs = shares or (1 / 8,) * 8
    for image in range(6):
        with deciding(model, Given(numbers[image][:, None] < torch.stack(spy.logits)[:, image, None].sigmoid())):
            error = float(F.cross_entropy(model(x[image : image + 1]), labels[image : image + 1]).detach())
        following = -beta * error
        for gate in reversed(range(8)):
            chance = float(spy.logits[gate][image].detach().sigmoid())
            ran = float(numbers[image, gate]) < chance
            following = (0 if ran else 0.4 * costs[gate]) + gamma * following
            # log pi of a Bernoulli by its logit: derivative g - p.
            expected = -(float(ran) - chance) * following / 6
            gradient = spy.logits[gate].grad
            assert gradient is not None
            assert float(gradient[image]) == pytest.approx(expected, abs=1e-9)


def _own_gradients(changed: int | None, baseline: str = "none") -> Tensor:
    """Gradients of every image's logits, [gates, B], where one image has another label."""
    model, (x, labels) = gated("ff2").double().eval(), batch()
    if changed is not None:
        labels[changed] = (labels[changed] + 5) % 10
    policy = Sampled(torch.rand(6, 8, generator=torch.Generator().manual_seed(3)).double())
    spy = Spy(policy)
    with deciding(model, spy):
        scores = model(x)
    objective = Reinforce(baseline=baseline)  # type: ignore[arg-type]
    objective.policy_losses(policy, scores, labels).mean().backward()
    return torch.stack([logit.grad for logit in spy.logits if logit.grad is not None])


def test_an_image_s_loss_acts_on_its_own_decisions_alone() -> None:
    before, after = _own_gradients(None), _own_gradients(2)
    others = [0, 1, 3, 4, 5]
    assert torch.equal(before[:, others], after[:, others])
    assert (before[:, 2] != after[:, 2]).all()
    with_mean = _own_gradients(2, "batch")
    assert not torch.equal(_own_gradients(None, "batch")[:, 0], with_mean[:, 0])


def test_labels_do_not_reach_gates_but_by_rewards() -> None:
    model, (x, labels) = gated().double().train(), batch()
    Reinforce(rl_weight=0.0).loss(model, x, labels)[0].backward()
    assert all(gradient.abs().max() == 0 for gradient in gate_gradients(model).values())
    model.zero_grad()
    Reinforce(rl_weight=1.0).loss(model, x, labels)[0].backward()
    assert any(gradient.abs().max() > 0 for gradient in gate_gradients(model).values())


@pytest.mark.parametrize("kind", [Supervised, Reinforce])
def test_validation_tells_what_gates_let_through(kind: type[Supervised] | type[Reinforce]) -> None:
    model, (x, _) = gated().double().eval(), batch()
    scores, figures = kind(shares=SHARES).validate(model, x)
    with torch.no_grad():
        torch.testing.assert_close(scores, model(x))
    found = routes(model, [(x, torch.zeros(6, dtype=torch.int64))])
    torch.testing.assert_close(figures["computed"], (found.runs * torch.tensor(SHARES)).sum(1).double())


def test_equal_steps_draw_equal_routes_on_any_ranks() -> None:
    model, (x, labels) = gated().double().eval(), batch()
    whole, part = Reinforce(), Reinforce()
    whole.begin_step(11, 6, slice(0, 6))
    loss, scores = whole.loss(model, x, labels)
    assert torch.equal(whole.loss(model, x, labels)[0], loss)
    parts = []
    for rows in (slice(0, 2), slice(2, 6)):
        part.begin_step(11, 6, rows)
        parts.append(part.loss(model, x[rows], labels[rows]))
    torch.testing.assert_close(torch.cat([found for _, found in parts]), scores)
    torch.testing.assert_close((2 * parts[0][0] + 4 * parts[1][0]) / 6, loss)
    whole.begin_step(12, 6, slice(0, 6))
    assert not torch.equal(whole.loss(model, x, labels)[1], scores)
