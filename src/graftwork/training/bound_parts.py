"""A strategy's parts, bound to a classifier while it trains; and Lightning, run on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from graftwork.models.network.folding import foldable
from graftwork.settings.trainer import Trainer
from graftwork.training.compiling import Compiling
from graftwork.training.fast_forward import fast_forward
from graftwork.training.graft_module import GraftModule
from graftwork.training.kept_memory import kept_memory
from graftwork.training.lightning_trainer import lightning, quiet
from graftwork.training.loader_faults import named_faults
from graftwork.training.stored_prefix import StoredPrefix
from graftwork.transfer.parts import Facts

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.transfer.at_hand import AtHand
    from graftwork.transfer.bound.objective import BoundObjective
    from graftwork.transfer.bound.penalty import BoundPenalty
    from graftwork.transfer.parts import Adapter
    from graftwork.transfer.strategy import Transfer


@contextmanager
def attached(adapter: Adapter, classifier: Classifier, seed: int) -> Iterator[None]:
    """While this lasts the classifier has the adapter; before and after it is a plain network, also
    where training fails: what it starts from and what it gives are weights of that."""
    adapter.attach(classifier, seed)
    try:
        yield
    finally:
        adapter.merge(classifier)


@contextmanager
def bound(
    transfer: Transfer,
    classifier: Classifier,
    objective: BoundObjective,
    facts: Facts,
    at_hand: AtHand,
) -> Iterator[dict[str, BoundPenalty]]:
    """The strategy's penalties at work, without those that have nothing to add."""
    with ExitStack() as stack:
        found = {
            name: stack.enter_context(penalty.bound(classifier, objective, facts, at_hand))
            for name, penalty in transfer.penalties.items()
        }
        yield {name: penalty for name, penalty in found.items() if penalty is not None}


def trained_parameters(module: GraftModule) -> tuple[int, int]:
    """How many parameters are ever trained: of the network, and of penalties."""
    resting = sum(p.numel() for p in module.at_rest if not p.requires_grad)

    def count(part: nn.Module) -> int:
        return sum(p.numel() for p in part.parameters() if p.requires_grad)

    return count(module.classifier) + resting, count(module.penalties)


def fit_module(
    module: GraftModule,
    trainer: Trainer,
    watchers: Sequence[Any],
    root: Path,
    data: Any,
    steps: int | None = None,
    prefix: StoredPrefix | None = None,
) -> None:
    """Runs Lightning as every training here does.

    Args:
        watchers: callbacks.
        root: folder of the experiment.
        data: a LightningDataModule, or an iterable of batches.
        steps: at most so many; None: as many as the epochs have.
        prefix: whose maps the data holds; None: it holds pictures.
    """
    with quiet():
        passes = len(module.shares)
        watchers = [*watchers, Compiling(trainer)]
        engine = lightning(trainer, module.epochs, watchers, root, steps, passes)
        bf16_on_cpu = not trainer.uses_gpu() and engine.precision == "bf16-mixed"
        frozen = module.transfer.batch_norm == "frozen"
        # Of a network in parts, BatchNorm may lie in another part than its convolution.
        pairs = foldable(module.classifier) if frozen and not trainer.sharded else []
        faster = fast_forward(module.classifier, fold=pairs, depthwise_fp32=bf16_on_cpu)
        reading = nullcontext() if prefix is None else prefix.reading(module.classifier)
        with kept_memory(), faster, reading, named_faults(trainer):
            engine.fit(module, data)
