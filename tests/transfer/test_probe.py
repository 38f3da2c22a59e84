from __future__ import annotations

import numpy as np
import pytest

from graftwork.data.folds import NEVER, learnable, stratified
from graftwork.transfer import probe_solver
from graftwork.transfer.probe import fit_probe
from graftwork.transfer.probe_losses import CrossEntropy
from graftwork.transfer.probe_space import rotated


def blobs(n: int, d: int, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes; features of very different scale and offset."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = random.normal(0, 1, (classes, d))
    scale = np.exp(random.normal(0, 1.5, d))
    features = (centres[labels] + random.normal(0, 2, (n, d)) + 3) * scale
    return features.astype(np.float32), labels


def peer(features: np.ndarray, labels: np.ndarray, strength: float, standardise: float):
    """scikit-learn's solution, brought back to unscaled features."""
    from sklearn.linear_model import LogisticRegression

    x = features.astype(np.float64)
    mean, deviation = x.mean(0), x.std(0)
    scale = 1 / deviation**standardise
    scale /= np.sqrt(np.square(scale * deviation).sum())
    model = LogisticRegression(C=1 / (strength * len(x)), tol=1e-9, max_iter=10_000)
    model.fit((x - mean) * scale, labels)
    weight = model.coef_ * scale
    return weight, model.intercept_ - weight @ mean


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("shape", [(60, 200), (300, 20)], ids=["n<d", "n>d"])
@pytest.mark.parametrize("standardise", [0.0, 0.5, 1.0])
def test_the_solution_is_scikit_learns(shape: tuple[int, int], standardise: float) -> None:
    features, labels = blobs(*shape)
    fold = stratified(labels, 5, seed=0)
    probe = fit_probe(features, labels, 4, strengths=[1e-3], standardise=standardise, fold=fold)
    weight, bias = peer(features, labels, 1e-3, standardise)
    ours = softmax(features @ probe.weight.T + probe.bias)
    theirs = softmax(features @ weight.T + bias)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    centred = probe.weight - probe.weight.mean(0)
    close = np.abs(centred - (weight - weight.mean(0))).max() / np.abs(weight).max()
    assert close < 5e-3


def test_cross_validation_equals_one_fit_a_fold() -> None:
    features, labels = blobs(80, 120)
    strengths = [1e-1, 1e-3]
    fold = stratified(labels, 4, seed=3)
    fold[::9] = NEVER  # these always train
    probe = fit_probe(features, labels, 4, strengths=strengths, standardise=0.0, fold=fold)
    out = fold != NEVER
    for strength, loss, accuracy in zip(
        probe.strengths, probe.log_loss, probe.accuracy, strict=True
    ):
        chances = np.zeros((len(labels), 4))
        for held_out in range(4):
            inside = fold != held_out
            mean = features.mean(0, dtype=np.float64)
            length = np.sqrt(np.square(features - mean).sum(1).mean())
            weight, bias = _at_scale(features[inside], labels[inside], strength, length)
            chances[~inside] = softmax(features[~inside] @ weight.T + bias)
        expected = -np.log(chances[np.flatnonzero(out), labels[out]]).mean()
        assert loss == pytest.approx(expected, rel=0.02)
        assert accuracy == pytest.approx((chances.argmax(1) == labels)[out].mean(), abs=0.03)
        if strength == probe.strength:
            assert probe.held_out[out] == pytest.approx(chances[out], abs=0.02)
            assert np.isnan(probe.held_out[~out]).all()


def _at_scale(features: np.ndarray, labels: np.ndarray, strength: float, length: float):
    """The peer at a given scale: the strength's unit is that of all pictures."""
    from sklearn.linear_model import LogisticRegression

    x = features.astype(np.float64) / length
    model = LogisticRegression(C=1 / (strength * len(x)), tol=1e-9, max_iter=10_000).fit(x, labels)
    return model.coef_ / length, model.intercept_


def test_the_strength_is_the_strongest_that_held_out_pictures_do_not_speak_against() -> None:
    features, labels = blobs(80, 120)
    fold = stratified(labels, 4, seed=0)
    probe = fit_probe(features, labels, 4, strengths=[1e-7, 1e-5, 10.0], standardise=0.0, fold=fold)
    assert probe.strengths == [10.0, 1e-5, 1e-7]
    assert probe.strength == 1e-5


def test_classes_of_one_picture_do_not_blur_the_choice() -> None:
    features, labels = blobs(80, 120)
    strengths, fold = [1e-5, 1e-3, 1e-1], stratified(labels, 4, seed=0)
    plain = fit_probe(features, labels, 4, strengths=strengths, standardise=0.5, fold=fold)
    lonely, _ = blobs(6, 120, seed=5)
    more = np.vstack([features, 3 * lonely])
    names = np.concatenate([labels, np.arange(4, 10)])
    fold = learnable(np.concatenate([fold, np.arange(6) % 4]), names)
    found = fit_probe(more, names, 10, strengths=strengths, standardise=0.5, fold=fold)
    assert found.strength == plain.strength
    assert max(found.log_loss) < 2 * max(plain.log_loss)


def test_nothing_to_hold_out_is_no_error_and_takes_the_weakest_penalty() -> None:
    features, labels = np.eye(3, 5, dtype=np.float32), np.arange(3)
    nobody = np.full(3, NEVER)
    probe = fit_probe(features, labels, 3, strengths=[0.1, 1e-3], standardise=0.5, fold=nobody)
    assert np.isfinite(probe.weight).all() and np.isnan(probe.held_out).all()
    assert (probe.strength, probe.log_loss, probe.accuracy) == (1e-3, [], [])


def test_each_strength_takes_steps_of_its_own() -> None:
    features, labels = blobs(300, 40)
    strengths = [10.0**-power for power in range(2, 7)]
    fold = stratified(labels, 4, seed=0)
    probe = fit_probe(features, labels, 4, strengths=strengths, standardise=0, fold=fold)
    assert len(set(probe.log_loss)) == len(strengths)


def test_the_rotation_is_of_these_proportions() -> None:
    features, _ = blobs(30, 60)
    first, second = (rotated(features, power, keep=True) for power in (0.0, 1.0))
    assert not np.allclose(first.scale, second.scale)
    assert rotated(features, 1.0, keep=True) is second


def test_steps_are_taken_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    objective = probe_solver._Objective.__call__

    def watched(self: object, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, slope = objective(self, point)
        seen.update((point.dtype, slope.dtype))
        return value, slope

    monkeypatch.setattr(probe_solver._Objective, "__call__", watched)
    features, labels = blobs(60, 200)
    fold = stratified(labels, 3, seed=0)
    fit_probe(features, labels, 4, strengths=[1e-1, 1e-3], standardise=0.5, fold=fold)
    assert seen == {np.dtype(np.float32)}


def test_a_second_copy_of_the_features_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(700, 900)).astype(np.float32)
    labels = rng.integers(0, 7, 700)
    space = rotated(features, 0.0, keep=False).space
    shares = (rng.integers(0, 5, 700) != np.arange(5)[:, None]).astype(np.float32)
    found, copies = [], []
    for limit in (probe_solver.COLUMNS_BYTES, 0):
        monkeypatch.setattr(probe_solver, "COLUMNS_BYTES", limit)
        loss = CrossEntropy()
        found.append(probe_solver.solve(space, labels, 7, shares, 1e-4, None, 1e-3, loss))
        objective = probe_solver._Objective(space, labels, shares, 1e-4, np.ones(1), loss)
        copies.append(not np.shares_memory(objective.columns, space.rows))
    assert copies == [True, False] and np.array_equal(*found)


def test_the_same_folds_give_the_same_bits() -> None:
    features, labels = blobs(90, 150)
    fold = stratified(labels, 3, seed=1)
    first, second = (
        fit_probe(features, labels, 4, strengths=[1e-2, 1e-4], standardise=0.5, fold=fold)
        for _ in range(2)
    )
    assert first.weight.tobytes() == second.weight.tobytes()
    assert first.bias.tobytes() == second.bias.tobytes()


def test_constant_features_and_classes_without_pictures_do_no_harm() -> None:
    features, labels = blobs(40, 60, classes=3)
    features[:, 7] = 5.0
    fold = stratified(labels, 3, seed=0)
    probe = fit_probe(features, labels, 5, strengths=[1e-3], standardise=1.0, fold=fold)
    assert np.isfinite(probe.weight).all() and np.isfinite(probe.bias).all()
    assert not probe.weight[:, 7].any()
    predicted = (features @ probe.weight.T + probe.bias).argmax(1)
    assert set(predicted) <= {0, 1, 2}


def test_many_pictures_are_streamed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = blobs(300, 20)
    arguments = {"strengths": [1e-3], "standardise": 0.5, "fold": stratified(labels, 2, seed=0)}
    whole = fit_probe(features, labels, 4, **arguments)
    for module in ("probe_space", "probe_solver"):
        monkeypatch.setattr(f"graftwork.transfer.{module}.BLOCK_BYTES", 1000)
    monkeypatch.setattr("graftwork.transfer.probe.MANY", 1)
    parts = fit_probe(features, labels, 4, **arguments)
    np.testing.assert_allclose(parts.weight, whole.weight, rtol=0.02, atol=1e-4)
