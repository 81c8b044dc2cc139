"""The evidence lower bound against torch's distributions, and its noise against its promises."""

from typing import Any

import pytest
import torch
from torch import Tensor, distributions, nn

from secateurs import models
from secateurs._errors import TrainingError
from secateurs.training import Elbo, TrainOptions, evaluate_elbo, train
from tests.training._toys import tensors_of

MEAN, STD = (0.3, 0.5, 0.2), (0.2, 0.25, 0.4)
PLAIN = Elbo(mean=(0, 0, 0), std=(1, 1, 1))


def network(*, channels: int = 3, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return models.build("vae28", size=8, channels=channels, filters=(4,), widths=(12,), latent=3)


def pixels(count: int = 40, *, channels: int = 3, seed: int = 0) -> Tensor:
    """Like images: whole levels of 0 to 255."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, channels, 8, 8), generator=generator) / 255


def normalised(images: Tensor) -> Tensor:
    return (images - torch.tensor(MEAN).view(1, -1, 1, 1)) / torch.tensor(STD).view(1, -1, 1, 1)


def batches(images: Tensor, size: int = 16) -> list[tuple[Tensor, Tensor]]:
    return [(part, torch.zeros(len(part), dtype=torch.int64)) for part in images.split(size)]


def test_both_terms_are_those_of_the_distributions() -> None:
    generator = torch.Generator().manual_seed(1)
    images = pixels(5).double()
    logits = torch.randn(images.shape, generator=generator, dtype=torch.float64)
    mean, log_variance = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    # Outside 0 and 1 it is the same formula, which torch calls by another name.
    likelihood = distributions.Bernoulli(logits=logits, validate_args=False).log_prob(images).sum((1, 2, 3))
    code = distributions.Normal(mean, (log_variance / 2).exp())
    divergence = distributions.kl_divergence(code, distributions.Normal(0.0, 1.0)).sum(1)
    loss = PLAIN.of_outputs((logits, mean, log_variance), images)
    assert float(loss) == pytest.approx(float((divergence - likelihood).mean()), rel=1e-12)


def test_extreme_logits_stay_finite() -> None:
    images = pixels(2)
    code = torch.zeros(2, 3)
    for scale in (1e4, -1e4):
        assert PLAIN.of_outputs((torch.full_like(images, scale), code, code), images).isfinite()


def test_the_target_is_the_pixels_whatever_the_network_is_fed() -> None:
    images = pixels()
    assert torch.allclose(Elbo(mean=MEAN, std=STD).pixels(normalised(images)), images, atol=1e-6)
    outputs = (torch.randn(images.shape), torch.randn(40, 3), torch.randn(40, 3))
    given = Elbo(mean=MEAN, std=STD).of_outputs(outputs, normalised(images))
    assert float(given) == pytest.approx(float(PLAIN.of_outputs(outputs, images)), rel=1e-5)


def test_noise_depends_on_the_image_alone() -> None:
    model, images = network().eval(), pixels()
    reconstruction, divergence = PLAIN.terms(model, images)
    order = torch.randperm(40)
    again, _ = Elbo(mean=MEAN, std=STD).terms(_Fed(model), normalised(images[order]))
    assert torch.allclose(again, reconstruction[order], rtol=1e-4)
    one = torch.cat([PLAIN.terms(model, image[None])[0] for image in images])
    assert torch.allclose(one, reconstruction, rtol=1e-5)
    mean = model(images)[1]
    drawn = PLAIN._noise_of(images, 3)
    assert len({tuple(row) for row in drawn.tolist()}) > 35
    assert abs(float(drawn.mean())) < 0.3
    assert float(drawn.std()) == pytest.approx(1, abs=0.2)
    assert divergence.shape == mean.shape[:1]


def test_training_draws_other_noise_each_time() -> None:
    model, images = network(), pixels()
    labels = torch.zeros(40, dtype=torch.int64)
    first, second = (PLAIN.loss(model, images, labels)[0].item() for _ in range(2))
    assert first != second
    model.eval()
    first, second = (PLAIN.loss(model, images, labels)[0].item() for _ in range(2))
    assert first == second


def test_noise_for_training_is_that_of_the_step_whoever_asks() -> None:
    model, images = _Noted(), pixels()
    objective, labels = Elbo(mean=MEAN, std=STD), torch.zeros(40, dtype=torch.int64)
    for key, part in ((5, slice(0, 40)), (5, slice(0, 17)), (5, slice(17, 40)), (6, slice(0, 40))):
        objective.begin_step(key, 40, part)
        torch.manual_seed(part.start)
        objective.loss(model, images[part], labels[part])
    whole, first, second, other = model.seen
    assert torch.equal(whole, torch.cat([first, second]))
    assert not torch.isclose(whole, other).any()
    assert float(whole.std()) == pytest.approx(1, abs=0.2)


def test_evaluation_is_a_mean_over_images_and_leaves_the_model_alone() -> None:
    model, images = network(), pixels()
    before = tensors_of(model)
    seen = evaluate_elbo(model, batches(images), PLAIN, device="cpu")
    other = evaluate_elbo(model, batches(images, 7), PLAIN, device="cpu")
    assert (seen.images, model.training) == (40, True)
    assert seen.elbo == pytest.approx(other.elbo, rel=1e-6)
    reconstruction, divergence = PLAIN.terms(model.eval(), images)
    assert seen.reconstruction == pytest.approx(reconstruction.mean().item(), rel=1e-5)
    assert seen.kld == pytest.approx(divergence.mean().item(), rel=1e-5)
    assert seen.elbo == -(seen.reconstruction + seen.kld) < 0
    assert all(torch.equal(value, before[name]) for name, value in tensors_of(model).items())


def test_it_trains_and_validation_is_the_evaluated_bound() -> None:
    images = pixels(1)[:, :, :1].expand(64, 3, 8, 8) * torch.rand(64, 1, 1, 1).round()
    model, options = network(), TrainOptions(epochs=12, optimizer="adam", lr=0.01, precision="32", device="cpu")
    before = evaluate_elbo(model, batches(images), PLAIN, device="cpu")
    history = train(model, batches(images), options, validation=batches(images), objective=PLAIN).history
    after = evaluate_elbo(model, batches(images), PLAIN, device="cpu")
    assert after.elbo > before.elbo + 10
    assert history[-1].validation_loss == pytest.approx(-after.elbo, rel=1e-5)
    assert history[-1].train_accuracy is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Flatten(), r"model: wanted a variational autoencoder, got no attribute `latent`"),
        ("flat", r"model output: wanted logits .* \[16, 3, 8, 8\], \[16, 3\], \[16, 3\], got \[16, 192\]"),
    ],
)
def test_what_is_no_autoencoder_is_refused(model: Any, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        evaluate_elbo(_Flat() if model == "flat" else model, batches(pixels()), Elbo(mean=MEAN, std=STD), device="cpu")


def test_no_images_are_refused() -> None:
    with pytest.raises(TrainingError, match="at least one image"):
        evaluate_elbo(network(), [], PLAIN, device="cpu")


class _Fed(nn.Module):
    """A network for plain pixels, fed with normalised ones."""

    latent = 3

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.eval()

    def forward(self, images: Tensor, noise: Tensor) -> Any:
        return self.inner(Elbo(mean=MEAN, std=STD).pixels(images), noise)


class _Noted(nn.Module):
    """Explains nothing, and keeps the noise that it was given."""

    latent = 3

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self.seen.append(noise)
        return images, noise, noise


class _Flat(nn.Module):
    latent = 3

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        return images.flatten(1)
