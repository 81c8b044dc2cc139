import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import TrainingError
from secateurs.training import evaluate
from tests.training._toys import make_network, split_batches, tensors_of, toy_images


class Scores(nn.Module):
    """Gives its input back, so that a test can choose the scores."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_means_are_over_images_not_batches() -> None:
    model = make_network().eval()
    images, labels = toy_images(150)
    with torch.no_grad():
        scores = model(images)
    result = evaluate(model, split_batches(images, labels, size=64), device="cpu")
    assert result.images == 150
    assert result.loss == pytest.approx(float(F.cross_entropy(scores, labels)), rel=1e-5)
    assert result.accuracy == pytest.approx(int((scores.argmax(1) == labels).sum()) / 150)


def test_top5_by_hand() -> None:
    scores = torch.tensor([[6.0, 5, 4, 3, 2, 1, 0]]).repeat(4, 1)
    result = evaluate(Scores(), [(scores, torch.tensor([0, 4, 5, 6]))], device="cpu")
    assert result.accuracy == pytest.approx(1 / 4)
    assert result.top5_accuracy == pytest.approx(2 / 4)


def test_accuracy_among_some_classes() -> None:
    scores = torch.tensor([[9.0, 1, 2, 8], [9, 3, 2, 8], [0, 5, 2, 8], [9, 1, 4, 0]])
    labels = torch.tensor([3, 1, 3, 2])
    plain = evaluate(Scores(), [(scores, labels)], device="cpu")
    assert (plain.accuracy, plain.accuracy_among) == (1 / 4, None)
    seen = evaluate(Scores(), [(scores[:3], labels[:3]), (scores[3:], labels[3:])], device="cpu", among=(1, 2, 3))
    # The first is 3 among 1, 2 and 3; the second is not 1, because 3 has more.
    assert (seen.accuracy, seen.accuracy_among) == (1 / 4, 3 / 4)
    assert seen.loss == pytest.approx(plain.loss)


def test_top5_is_none_below_five_classes() -> None:
    assert evaluate(Scores(), [(torch.eye(4), torch.arange(4))], device="cpu").top5_accuracy is None
    assert evaluate(Scores(), [(torch.eye(5), torch.arange(5))], device="cpu").top5_accuracy == 1.0


def test_the_model_is_left_as_it_was() -> None:
    model = make_network()
    model.head.eval()
    flags = [module.training for module in model.modules()]
    before = tensors_of(model)
    evaluate(model, split_batches(*toy_images(64)), device="cpu")
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(value, before[name]) for name, value in tensors_of(model).items())


def test_flags_come_back_after_a_failure() -> None:
    model = make_network()
    with pytest.raises(RuntimeError):
        evaluate(model, [(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64))], device="cpu")
    assert all(module.training for module in model.modules())


def test_bf16_runs_in_bfloat16_and_stays_close() -> None:
    model, seen, batches = make_network(), [], split_batches(*toy_images(64))
    model.head.register_forward_hook(lambda _module, _args, output: seen.append(output.dtype))
    exact = evaluate(model, batches, device="cpu")
    rounded = evaluate(model, batches, device="cpu", precision="bf16")
    assert seen == [torch.float32, torch.bfloat16]
    assert rounded.loss == pytest.approx(exact.loss, rel=0.02)


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(TrainingError, match="at least one image"):
        evaluate(make_network(), [], device="cpu")
