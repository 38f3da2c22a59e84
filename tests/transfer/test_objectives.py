"""What is minimised: values by hand, and against torch's and timm's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import composed
from torch.nn import functional as F

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.process.vision import timm  # noqa: F401
from graftwork.transfer.bound.mixing import box, pasted
from graftwork.transfer.bound.objective import BoundObjective, larger_share
from graftwork.transfer.mixing import Mix
from graftwork.transfer.objectives import CrossEntropy, weights_of
from graftwork.transfer.parts import Facts
from graftwork.transfer.strategy import Transfer

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 1.0]])
LABELS = torch.tensor([0, 2])
SOFT = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.25, 0.75]])
NOT = Mix(mixup=0.0, cutmix=0.0, share=1.0, cutmix_share=0.5)


def objective(
    smoothing: float = 0.0,
    focus: float = 0.0,
    weights: str = "none",
    mix: Mix = NOT,
    counts: tuple[int, ...] = (1, 1, 1),
) -> BoundObjective:
    part = CrossEntropy(smoothing, focus, weights, mix)
    return part.bound(Facts(len(counts), counts, seed=0))


@pytest.mark.parametrize("targets", [LABELS, SOFT])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_without_more_it_is_torchs_cross_entropy(targets: torch.Tensor, smoothing: float) -> None:
    expected = F.cross_entropy(LOGITS, targets, label_smoothing=smoothing)
    assert torch.equal(objective(smoothing)(LOGITS, targets), expected)


def test_a_smoothed_target_keeps_its_mass_and_spreads_the_rest() -> None:
    expected = -(torch.tensor([[0.8, 0.1, 0.1]]) * LOGITS[:1].log_softmax(1)).sum()
    torch.testing.assert_close(objective(0.3)(LOGITS[:1], LABELS[:1]), expected)


def test_focus_by_hand() -> None:
    """Lin et al. 2017, equation 4: (1 - p)^2 times -log p."""
    p = torch.tensor([0.25, 0.5])
    logits = torch.stack([p, 1 - p], 1).log()
    expected = (0.75**2 * np.log(4) + 0.5**2 * np.log(2)) / 2
    found = objective(focus=2.0, counts=(1, 1))(logits, torch.tensor([0, 0]))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_focus_on_soft_targets_is_the_sum_over_classes() -> None:
    p = LOGITS.softmax(1)
    mass = 0.9 * SOFT + 0.1 / 3
    expected = -(mass * (1 - p) ** 1.5 * p.log()).sum(1).mean()
    torch.testing.assert_close(objective(0.1, focus=1.5)(LOGITS, SOFT), expected)


def test_no_focus_is_the_limit_of_a_small_one() -> None:
    for targets in (LABELS, SOFT):
        small, none = (objective(0.1, focus=f)(LOGITS, targets) for f in (1e-6, 0.0))
        torch.testing.assert_close(small, none, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("focus", [0.5, 1.0, 2.0])
def test_a_sure_answer_has_a_finite_gradient(focus: float) -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    objective(focus=focus)(logits, torch.tensor([0])).backward()
    assert logits.grad is not None and logits.grad.isfinite().all()


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_class_weights_have_mean_one_over_the_pictures(power: float) -> None:
    counts = (30, 6, 0, 4)
    weights = weights_of(counts, power)
    assert np.average(weights, weights=counts) == pytest.approx(1.0)
    assert weights[2] == 0 and weights[1] / weights[0] == pytest.approx(5**power)


def test_balanced_weights_are_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat([0, 1, 2], [5, 3, 12])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert weights_of((5, 3, 12), 1.0) == pytest.approx(expected.tolist())


def test_weighted_losses_are_torchs_but_for_the_mean() -> None:
    """torch divides by the weights of the batch: then a batch of one class would feel none, and
    two processes would not be one."""
    counts = (5, 3, 12)
    weights = torch.tensor(weights_of(counts, 1.0))
    found = objective(weights="balanced", counts=counts)
    each = F.cross_entropy(LOGITS, LABELS, weight=weights, reduction="none")
    torch.testing.assert_close(found(LOGITS, LABELS), each.mean())
    soft = F.cross_entropy(LOGITS, SOFT, weight=weights)
    torch.testing.assert_close(found(LOGITS, SOFT), soft)
    alone = found(LOGITS[1:], LABELS[1:])
    torch.testing.assert_close(alone, weights[2] * F.cross_entropy(LOGITS[1:], LABELS[1:]))


def test_smoothing_spreads_what_the_weights_left() -> None:
    counts = (5, 3, 12)
    weights = torch.tensor(weights_of(counts, 1.0))
    plain = F.cross_entropy(LOGITS, LABELS, label_smoothing=0.2, reduction="none")
    found = objective(0.2, weights="balanced", counts=counts)(LOGITS, LABELS)
    torch.testing.assert_close(found, (weights[LABELS] * plain).mean())


# mixing
IMAGES = torch.randint(
    0, 256, (5, 16, 12, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
FIVE = torch.tensor([0, 1, 2, 0, 1])


def mixed(mix: Mix, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return objective(mix=mix).mix(IMAGES, FIVE, generator)


def test_images_are_not_mixed_unless_that_is_wanted() -> None:
    for mix in (NOT, Mix(1.0, 1.0, 0.0, 0.5)):
        images, targets = mixed(mix)
        assert images is IMAGES and targets is FIVE
    some = [mixed(Mix(1.0, 0.0, 0.5, 0.5), seed)[1].ndim for seed in range(200)]
    assert 70 < some.count(2) < 130


def test_mixup_is_timms() -> None:
    from timm.data.mixup import mixup_target

    for seed in range(5):
        images, targets = mixed(Mix(0.4, 0.0, 1.0, 0.5), seed)
        share = targets[0, 0].item()  # of class 0, its partner is of class 1
        expected = IMAGES.float() * share + IMAGES.flip(0).float() * (1 - share)
        torch.testing.assert_close(images, expected, atol=1e-3, rtol=0)
        theirs = mixup_target(FIVE, 3, share, 0.1)
        logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
        ours = objective(0.1)(logits, targets)
        torch.testing.assert_close(ours, -(theirs * logits.log_softmax(1)).sum(1).mean())


def test_cutmix_is_timms_in_area_and_in_pixels() -> None:
    for seed in range(20):
        images, targets = mixed(Mix(0.0, 1.0, 1.0, 0.5), seed)
        theirs = (images == IMAGES.flip(0)).all(3) & (images != IMAGES).any(3)
        assert images.dtype == torch.uint8
        assert ((images == IMAGES).all(3) | (images == IMAGES.flip(0)).all(3)).all()
        share = theirs[:2].float().mean().item()
        assert targets[0, 1].item() == pytest.approx(share, abs=0.01)
        torch.testing.assert_close(targets.sum(1), torch.ones(5))


def test_the_box_is_timms(monkeypatch: pytest.MonkeyPatch) -> None:
    from timm.data.mixup import rand_bbox

    for share, centre in ((0.3, (1, 10)), (0.9, (8, 6)), (0.0, (15, 0))):
        drawn = iter(centre)
        monkeypatch.setattr(np.random, "randint", lambda *_, size=None, d=drawn: next(d))
        top, bottom, left, right = rand_bbox((5, 3, 16, 12), share)
        assert box(16, 12, share, centre) == (slice(top, bottom), slice(left, right))


def test_pasting_leaves_the_batch_alone() -> None:
    before = IMAGES.clone()
    pasted(IMAGES, 0.3, np.random.default_rng(0))
    assert torch.equal(IMAGES, before)


def test_both_kinds_take_turns_and_follow_from_the_generator() -> None:
    mix = Mix(0.4, 1.0, 1.0, 0.5)
    kinds = [mixed(mix, seed)[0].dtype for seed in range(100)]
    assert 30 < kinds.count(torch.uint8) < 70
    for left, right in zip(mixed(mix, 3), mixed(mix, 3), strict=True):
        assert torch.equal(left, right)
    assert not torch.equal(mixed(mix, 3)[1], mixed(mix, 4)[1])


def test_accuracy_counts_the_larger_share() -> None:
    assert larger_share(SOFT).tolist() == [0, 2] and larger_share(LABELS) is LABELS


def strategy(*overrides: str) -> Transfer:
    return build(composed("transfer=fine_tune", *overrides)["transfer"], Transfer, "transfer")


def test_rare_classes_do_not_count_twice() -> None:
    weights = "transfer.objective.class_weights=balanced"
    assert strategy(weights).objective.weighs_classes
    with pytest.raises(UserError, match="class_weights.*count twice.*sampler=shuffled"):
        strategy(weights, "transfer/sampler=class_balanced")


def test_named_objectives() -> None:
    focal: Any = strategy("transfer/objective=focal").objective
    mixing: Any = strategy("transfer/objective=mixed").objective
    assert focal.focus == 2 and not focal.mix.mixes
    assert mixing.mix.mixes and mixing.label_smoothing == 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CrossEntropy(1.0, 0.0, "none", NOT), "label_smoothing.*out of bounds"),
        (lambda: CrossEntropy(0.0, -1.0, "none", NOT), "focus.*out of bounds"),
        (lambda: CrossEntropy(0.0, 0.0, "balance", NOT), "class_weights.*'balanced'"),
        (lambda: Mix(-1.0, 0.0, 1.0, 0.5), "mixup.*out of bounds"),
        (lambda: Mix(0.0, 0.0, 1.5, 0.5), "share.*out of bounds"),
    ],
)
def test_bounds(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()
