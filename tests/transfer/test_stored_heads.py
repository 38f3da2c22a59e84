"""Heads on stored features: scikit-learn's values, and what was chosen how."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Peer
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.svm import LinearSVC

from graftwork.config.errors import UserError
from graftwork.data.folds import NEVER, stratified
from graftwork.metrics.softmax import softmax
from graftwork.models.heads import Mlp
from graftwork.transfer.class_means import ClassMeans, CosineMeans
from graftwork.transfer.linear_svm import LinearSvm
from graftwork.transfer.mlp import TrainedMlp
from graftwork.transfer.neighbours import Neighbours
from graftwork.transfer.parts import Examples
from graftwork.transfer.probe_space import scale_of
from graftwork.transfer.ridge import Ridge
from graftwork.transfer.stored_heads import StoredHead

CLASSES = 4
MLP = TrainedMlp(
    Mlp(hidden=16, dropout=0.2, init_std=0.01), epochs=[6, 2], lr=1e-2, weight_decay=0.01,
    batch_size=16, standardise=0.5,
)  # fmt: skip
PARTS = {
    "class_means": ClassMeans(standardise=[0.0, 0.5]),
    "cosine_means": CosineMeans(centre=[True, False]),
    "ridge": Ridge(strengths=[1e-3, 1.0, 1e-1], standardise=0.5),
    "linear_svm": LinearSvm(strengths=[1e-3, 1e-1], standardise=0.5),
    "neighbours": Neighbours([3, 9], [0.05, 0.2], smoothing=0.01, centre=True),
    "mlp": MLP,
}
EACH = pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
# Fitted anew for each fold, scale included; the others see all pictures in one rotated space.
ALONE = pytest.mark.parametrize(
    "part", [PARTS[name] for name in ("class_means", "cosine_means", "neighbours", "mlp")]
)


def blobs(n: int = 90, d: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes; features of different scale and offset."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    centres = np.random.default_rng(7).normal(0, 1, (CLASSES, d))
    features = (centres[labels] + random.normal(0, 1.2, (n, d)) + 3) * np.linspace(0.5, 2, d)
    return features.astype(np.float32), labels


def scaled(features: np.ndarray, standardise: float = 0.5) -> np.ndarray:
    scale, mean = scale_of(features, standardise)
    return (features - mean) * scale


def unfolded(features: np.ndarray, labels: np.ndarray, num_classes: int = CLASSES) -> Examples:
    """None of them is held out."""
    return Examples(features, labels, num_classes, np.full(len(labels), NEVER), 0)


@pytest.mark.parametrize("shape", [(60, 200), (300, 20)], ids=["n<d", "n>d"])
def test_ridge_and_its_folds_are_scikit_learns(shape: tuple[int, int]) -> None:
    features, labels = blobs(*shape)
    fold, strength = stratified(labels, 5, seed=0), 1e-2
    fold[::7] = NEVER
    part, x, y = Ridge([strength], 0.5), scaled(features), np.eye(CLASSES)[labels]
    head, tensors = part.fitted(unfolded(features, labels), 1.0)
    peer = Peer(alpha=strength * len(x)).fit(x, y)
    np.testing.assert_allclose(head.logits(tensors, features, CLASSES), peer.predict(x), atol=1e-3)
    (said,) = part.scores(Examples(features, labels, CLASSES, fold, 0))
    for which in range(5):
        out = fold == which
        weaker = Peer(alpha=strength * len(x)).fit(x[~out], y[~out])  # the strength's own unit
        np.testing.assert_allclose(said[out], weaker.predict(x[out]), atol=1e-3)
    assert not said[fold == NEVER].any()


def test_ridge_leaves_one_out_for_nothing() -> None:
    features, labels = blobs()
    strengths = [1e-1, 1e-2, 1e-3]
    x, y = scaled(features), np.eye(CLASSES)[labels]
    peer = RidgeCV([s * len(x) for s in strengths], store_cv_results=True).fit(x, y)
    said = Ridge(strengths, 0.5).scores(Examples(features, labels, CLASSES, np.arange(len(x)), 0))
    errors = np.square(np.stack(said, -1) - y[..., None])
    np.testing.assert_allclose(errors, peer.cv_results_, atol=1e-3)


@pytest.mark.parametrize("shape", [(60, 200), (300, 20)], ids=["n<d", "n>d"])
def test_the_support_vector_machine_is_liblinears(shape: tuple[int, int]) -> None:
    features, labels = blobs(*shape)
    x, strength = scaled(features), 1e-2
    part = LinearSvm([strength], 0.5)
    head, tensors = part.fitted(unfolded(features, labels), 1.0)
    # LIBLINEAR penalises the bias, too: scaled up it costs nothing.
    peer = LinearSVC(
        C=1 / (strength * len(x)), dual=False, intercept_scaling=1e3, tol=1e-8, max_iter=10_000
    ).fit(x, labels)
    ours, theirs = head.logits(tensors, features, CLASSES), peer.decision_function(x)
    np.testing.assert_allclose(ours, theirs, atol=5e-3)


def test_the_nearest_mean_is_scikit_learns() -> None:
    features, labels = blobs()
    head, tensors = ClassMeans([0.5]).fitted(unfolded(features, labels), 1.0)
    x = scaled(features)
    found = head.logits(tensors, features, CLASSES)
    assert (found.argmax(1) == NearestCentroid().fit(x, labels).predict(x)).all()
    means = np.stack([x[labels == label].mean(0) for label in range(CLASSES)])
    expected = -0.5 * np.square(x[:, None] - means).sum(2)
    np.testing.assert_allclose(softmax(100 * found), softmax(100 * expected), atol=1e-3)


def test_the_vote_is_scikit_learns() -> None:
    features, labels = blobs(91)
    bank, rest = features[:80], features[80:]
    part = Neighbours([7], [0.1], smoothing=1e-6, centre=False)
    head, tensors = part.fitted(unfolded(bank, labels[:80]), 1.0)
    peer = KNeighborsClassifier(7, metric="cosine", weights=lambda far: np.exp((1 - far) / 0.1))
    expected = peer.fit(bank, labels[:80]).predict_proba(rest)
    ours = np.exp(head.logits(tensors, rest, CLASSES))
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_the_direction_of_a_class_is_the_mean_of_its_directions() -> None:
    features, labels = np.array([[3, 4], [0, 2], [-5, 0]], np.float32), np.array([0, 0, 1])
    head, tensors = CosineMeans([False]).fitted(unfolded(features, labels, 2), 2.0)
    mean = np.array([0.3, 0.9]) / np.linalg.norm([0.3, 0.9])
    np.testing.assert_allclose(tensors["weight"], [mean, [-1, 0]], atol=1e-6)
    found = head.logits(tensors, np.array([[0, 7]], np.float32), 2)
    np.testing.assert_allclose(found, [[2 * mean[1], 0]], atol=1e-6)


@EACH
def test_a_head_says_how_sure_it_is_and_what_it_chose(part: StoredHead) -> None:
    features, labels = blobs()
    fold = stratified(labels, 3, seed=0)
    fold[:5] = NEVER
    head = part.fit(Examples(features, labels, CLASSES, fold, 0))
    assert head.fixed in part.alternatives and head.fixed.alternatives == [head.fixed]
    assert head.fixed.chooses == part.chooses != "nothing"
    out = fold != NEVER
    said = head.held_out[out]
    assert np.isnan(head.held_out[~out]).all() and said.sum(1) == pytest.approx(1, abs=1e-5)
    own = said[np.arange(len(said)), labels[out]]
    assert head.facts["probe/cv_log_loss"] == pytest.approx(-np.log(own).mean(), rel=1e-4)
    assert head.facts["probe/cv_top1"] == (said.argmax(1) == labels[out]).mean() > 0.5
    assert -np.log(own).mean() < np.log(CLASSES)
    assert (head.logits(features).argmax(1) == labels).mean() > 0.7
    alone = head.fixed.cross_validated(Examples(features, labels, CLASSES, fold, 0))
    atol = 0.02 if isinstance(part, LinearSvm) else 1e-6  # it starts where the stronger one ended
    np.testing.assert_allclose(alone, head.held_out, atol=atol)


@EACH
def test_the_same_pictures_give_the_same_bits(part: StoredHead) -> None:
    features, labels = blobs()
    fold = stratified(labels, 3, seed=0)
    one, two = (part.fit(Examples(features, labels, CLASSES, fold, 0)) for _ in range(2))
    assert one.tensors.keys() == two.tensors.keys()
    for name, tensor in one.tensors.items():
        assert tensor.tobytes() == two.tensors[name].tobytes()
    assert one.head == two.head and one.held_out.tobytes() == two.held_out.tobytes()


@ALONE
def test_what_was_recorded_is_what_a_head_without_the_fold_says(part: StoredHead) -> None:
    features, labels = blobs()
    fold = stratified(labels, 3, seed=0)
    head = part.fit(Examples(features, labels, CLASSES, fold, 0))
    for which in range(3):
        out = fold == which
        rest = features[~out], labels[~out]
        sharpness = _sharpness(head.fixed, features, labels, fold)
        other, tensors = head.fixed.fitted(unfolded(*rest), sharpness)
        logits = other.logits(tensors, features[out], CLASSES)
        np.testing.assert_allclose(softmax(logits), head.held_out[out], atol=1e-6)


def _sharpness(
    part: StoredHead, features: np.ndarray, labels: np.ndarray, fold: np.ndarray
) -> float:
    from graftwork.transfer.choosing import choose

    return choose(part.scores(Examples(features, labels, CLASSES, fold, 0)), labels, fold).sharpness


@EACH
def test_where_nothing_is_held_out_no_score_is_told_and_chances_are_sensible(
    part: StoredHead,
) -> None:
    features, labels = blobs(200)
    nobody = np.full(100, NEVER)
    head = part.fit(Examples(features[:100], labels[:100], CLASSES, nobody, 0))
    assert np.isnan(head.held_out).all()
    assert not {"probe/cv_log_loss", "probe/cv_top1"} & head.facts.keys()
    chances = softmax(head.logits(features[100:]))
    own = chances[np.arange(100), labels[100:]]
    assert -np.log(own).mean() < 0.8 * np.log(CLASSES)


@EACH
def test_constant_features_and_classes_without_pictures_do_no_harm(part: StoredHead) -> None:
    features, labels = blobs(80)
    features[:, 3] = 5.0
    labels = labels % 3
    head = part.fit(Examples(features, labels, 6, stratified(labels, 4, seed=0), 0))
    assert all(np.isfinite(tensor).all() for tensor in head.tensors.values())
    assert set(head.logits(features).argmax(1)) <= {0, 1, 2}


@EACH
def test_one_picture_a_class_is_no_error(part: StoredHead) -> None:
    features, labels = np.eye(3, 5, dtype=np.float32), np.arange(3)
    head = part.fit(Examples(features, labels, 3, np.full(3, NEVER), 0))
    assert np.isfinite(head.logits(features)).all()


def test_the_seed_of_the_experiment_draws_the_small_network() -> None:
    features, labels = blobs()
    fold = stratified(labels, 3, seed=0)
    found = [MLP.fit(Examples(features, labels, CLASSES, fold, seed)).tensors for seed in (0, 0, 1)]
    weights = [tensors["hidden.weight"] for tensors in found]
    assert (weights[0] == weights[1]).all() and (weights[0] != weights[2]).any()


def wrong() -> list:
    vote = {"neighbours": [3], "temperatures": [0.1], "smoothing": 0.01, "centre": True}
    small = {"epochs": [1], "lr": 0.1, "weight_decay": 0.0, "batch_size": 8, "standardise": 0.0}
    mlp = Mlp(hidden=2, dropout=0.0, init_std=0.1)
    return [
        (lambda: ClassMeans([]), "standardise"),
        (lambda: ClassMeans([1.5]), "standardise"),
        (lambda: CosineMeans([]), "centre"),
        (lambda: Ridge([], 0.5), "strengths"),
        (lambda: Ridge([0.0], 0.5), "strengths"),
        (lambda: Ridge([1.0], 2.0), "standardise"),
        (lambda: LinearSvm([], 0.5), "strengths"),
        (lambda: LinearSvm([-1.0], 0.5), "strengths"),
        (lambda: LinearSvm([1.0], -1.0), "standardise"),
        (lambda: Neighbours(**vote | {"neighbours": []}), "neighbours"),
        (lambda: Neighbours(**vote | {"neighbours": [0]}), "neighbours"),
        (lambda: Neighbours(**vote | {"temperatures": []}), "temperatures"),
        (lambda: Neighbours(**vote | {"temperatures": [0.0]}), "temperatures"),
        (lambda: Neighbours(**vote | {"smoothing": 0.0}), "smoothing"),
        (lambda: TrainedMlp(mlp, **small | {"epochs": []}), "epochs"),
        (lambda: TrainedMlp(mlp, **small | {"epochs": [0]}), "epochs"),
        (lambda: TrainedMlp(mlp, **small | {"lr": 0.0}), "lr"),
        (lambda: TrainedMlp(mlp, **small | {"weight_decay": 2.0}), "weight_decay"),
        (lambda: TrainedMlp(mlp, **small | {"batch_size": 0}), "batch_size"),
        (lambda: TrainedMlp(mlp, **small | {"standardise": 2.0}), "standardise"),
    ]


@pytest.mark.parametrize(("make", "field"), wrong())
def test_bounds(make, field: str) -> None:
    with pytest.raises(UserError, match=f"^{field}.*out of bounds"):
        make()
