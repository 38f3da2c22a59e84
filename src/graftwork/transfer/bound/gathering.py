"""What is kept of a training, gathered while it goes on and placed when it has ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from graftwork.models.network.attached import plain_state

Score = tuple[float, float]  # of held-out pictures: top-1, minus log loss; the larger is better
State = dict[str, torch.Tensor]
FIRST = (float("-inf"), float("-inf"))


class Gathering(ABC):
    """Follows one training of a network."""

    chooses = False  # whether what held-out pictures say decides which epochs
    each_step = False  # whether it wants to see the weights after each step
    copies = 1  # networks that it keeps, at most

    def __init__(self) -> None:
        self.epochs: list[int] = []  # whose weights are kept, from 0

    @property
    @abstractmethod
    def words(self) -> str:
        """What held-out pictures chose, and by which rule; empty where they chose nothing."""

    def state(self) -> dict[str, Any]:
        """What it has gathered: plain values and tensors."""
        return dict(vars(self))

    def go_on(self, state: Mapping[str, Any]) -> None:
        """As if it had gathered what another of its kind has."""
        vars(self).update(state)

    def after_step(self, network: nn.Module) -> None:
        """The weights after a step."""
        raise AssertionError("only shown to what asks for each step")

    @abstractmethod
    def after_epoch(self, network: nn.Module, epoch: int, done: float, score: Score | None) -> bool:
        """The weights at the end of an epoch.

        Args:
            done: share of the training's steps.
            score: None where nothing is held out.

        Returns:
            whether the epoch is better than all before it.
        """

    @abstractmethod
    def place(
        self, network: nn.Module, settle: Callable[[], None], ask: Callable[[], Score] | None
    ) -> None:
        """Gives the network the weights that are kept; it is left on the CPU.

        Args:
            settle: computes BatchNorm's statistics anew, where it is trained: those of several
                networks have no mean that fits the mean of their weights (Izmailov et al. 2018).
            ask: what held-out pictures say of the network as it is; None: nobody can be asked.
        """


class BestEpoch(Gathering):
    """The weights with the highest held-out top-1; of equal ones those with the lower loss, then
    the earlier."""

    chooses = True

    def __init__(self) -> None:
        super().__init__()
        self._score, self._state = FIRST, State()

    @property
    def words(self) -> str:
        return "the epoch: the one with the highest top-1"

    def after_epoch(self, network: nn.Module, epoch: int, done: float, score: Score | None) -> bool:
        if score is None or score <= self._score:
            return False
        self._score, self.epochs, self._state = score, [epoch], copied(network)
        return True

    def place(
        self, network: nn.Module, settle: Callable[[], None], ask: Callable[[], Score] | None
    ) -> None:
        if self._state:
            network.load_state_dict(self._state)


class MovingAverage(Gathering):
    """The exponential moving average of the weights after each step, buffers included.

    As timm's ModelEmaV3 with its warm-up: the first weights count for less and less.

    Args:
        decay: share of the average that stays at a step, at most.
        power: of the warm-up, in which it is 1 - (1 + step) ** -power.
    """

    each_step = True

    def __init__(self, decay: float, power: float) -> None:
        super().__init__()
        self._decay, self._power, self._steps = decay, power, 0
        self._state = State()

    @property
    def words(self) -> str:
        return ""

    def after_step(self, network: nn.Module) -> None:
        if not self._state:
            self._state = {name: t.detach().clone() for name, t in plain_state(network).items()}
        else:
            decay = min(self._decay, 1 - (1 + self._steps) ** -self._power)
            running_mean(self._state, network, get_ema_multi_avg_fn(decay), self._steps)
        self._steps += 1

    def after_epoch(self, network: nn.Module, epoch: int, done: float, score: Score | None) -> bool:
        self.epochs = [epoch]
        return False

    def place(
        self, network: nn.Module, settle: Callable[[], None], ask: Callable[[], Score] | None
    ) -> None:
        network.load_state_dict(self._state)


class MeanOfEpochs(Gathering):
    """The mean of the weights at the ends of the last epochs.

    Args:
        begin: share of the steps behind which an epoch's end counts, below 1.
    """

    def __init__(self, begin: float) -> None:
        super().__init__()
        self._begin, self._state = begin, State()

    @property
    def words(self) -> str:
        return ""

    def after_epoch(self, network: nn.Module, epoch: int, done: float, score: Score | None) -> bool:
        if done > self._begin:
            if self._state:
                running_mean(self._state, network, get_swa_multi_avg_fn(), len(self.epochs))
            else:
                self._state = copied(network)
            self.epochs.append(epoch)
        return False

    def place(
        self, network: nn.Module, settle: Callable[[], None], ask: Callable[[], Score] | None
    ) -> None:
        if self._state:
            network.load_state_dict(self._state)
            settle()


class Soup(Gathering):
    """The mean of the best epochs' weights, or of those of them that do not spoil it.

    Where nothing is held out, the mean of the last ones.

    Args:
        best: how many epochs are tried, at most.
        greedy: whether one that lowers held-out top-1 is left out.
    """

    chooses = True

    def __init__(self, best: int, greedy: bool) -> None:
        super().__init__()
        self._best, self._greedy, self._asked = best, greedy, False
        self.copies = best
        self._found: list[tuple[Score, int, State]] = []

    @property
    def words(self) -> str:
        rule = f"of the {self._best} best" + (", while top-1 does not fall" if self._greedy else "")
        of = ", ".join(str(epoch + 1) for epoch in sorted(self.epochs))
        return f"which epochs' weights to average: {of} ({rule})" if self._asked else ""

    def after_epoch(self, network: nn.Module, epoch: int, done: float, score: Score | None) -> bool:
        self._asked |= score is not None
        found = (epoch, 0.0) if score is None else score  # unasked: the later, the better
        better = not self._found or found > self._found[0][0]
        if len(self._found) == self._best and found <= self._found[-1][0]:
            return False
        self._found.append((found, epoch, copied(network)))
        self._found = sorted(self._found, key=lambda entry: entry[0], reverse=True)[: self._best]
        return better

    def place(
        self, network: nn.Module, settle: Callable[[], None], ask: Callable[[], Score] | None
    ) -> None:
        used = [state for _, _, state in self._found]
        self.epochs = [epoch for _, epoch, _ in self._found]
        if self._greedy and self._asked and ask is not None:
            kept = self._greedily(network, settle, ask)
            used, self.epochs = [used[at] for at in kept], [self.epochs[at] for at in kept]
        network.load_state_dict(mean_of(used))
        if len(used) > 1:
            settle()

    def _greedily(
        self, network: nn.Module, settle: Callable[[], None], ask: Callable[[], Score]
    ) -> list[int]:
        """Positions of the epochs that stay, the best first (Wortsman et al. 2022, recipe 1)."""
        kept, top1 = [0], self._found[0][0][0]
        for at in range(1, len(self._found)):
            network.load_state_dict(mean_of([self._found[i][2] for i in (*kept, at)]))
            settle()
            if (found := ask()[0]) >= top1:
                kept, top1 = [*kept, at], found
        return kept


def copied(network: nn.Module) -> State:
    """A copy on the CPU, as of the plain network where something is attached."""
    state = plain_state(network)
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}


def running_mean(
    state: State, network: nn.Module, average: Callable[..., None], count: int
) -> None:
    """Takes the network's weights into a mean; whole numbers are those of the last."""
    now = {name: tensor.detach() for name, tensor in plain_state(network).items()}
    names = [name for name, tensor in now.items() if tensor.is_floating_point()]
    average([state[n] for n in names], [now[n].to(state[n].device) for n in names], count)
    for name in now.keys() - set(names):
        state[name].copy_(now[name])


def mean_of(states: Sequence[Mapping[str, torch.Tensor]]) -> State:
    """Of one state, or of equal ones, that state, bit for bit; whole numbers are those of the
    first."""
    first = states[0]
    return {
        name: torch.stack([state[name] for state in states]).double().mean(0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in first.items()
    }
