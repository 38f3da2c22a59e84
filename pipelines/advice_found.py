"""What the adviser has measured, what it believes by that, and what it measures next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from graftwork.advising import rules
from graftwork.advising.levelled import Footing
from graftwork.advising.rules import PROBE, Beliefs, Way, sizes
from graftwork.experiment import Experiment
from graftwork.settings.trainer import AUTO
from pipelines.advice_candidates import Asked
from pipelines.advice_jobs import Desk, Measured, forecast, work
from pipelines.advice_looks import Look


@dataclass
class Found:
    """What was measured, and what was seen besides."""

    desk: Desk
    wanted: Asked
    guesses: dict[Way, float]  # seconds of the work of every way; see `work`
    epochs: dict[str, int]  # of each strategy
    part: float = 1.0  # of the photos, that judges a network; all judge a head
    seen: Look = field(default_factory=Look)
    shared: pd.DataFrame = field(default_factory=pd.DataFrame)  # see `on_shared_folds`

    @classmethod
    def of(cls, desk: Desk, wanted: Asked) -> Found:
        """Nothing yet: all ways, and what they may cost."""
        from graftwork.profiling.profile import static_profile

        found, strategies = (
            cls(desk, wanted, {}, {PROBE: 0}),
            dict.fromkeys((PROBE, *wanted.strategies)),
        )
        for network in wanted.networks:
            experiment = desk.compose(Way(network, 0, PROBE))[0]
            profile, found.part = static_profile(experiment.model, 2), experiment.selection.held_out
            own = profile.input[-1]
            for name in strategies:
                if name not in found.epochs:
                    found.epochs[name] = _epochs(
                        desk.compose(Way(network, 0, name))[0], desk.photos
                    )
                for size in wanted.px or sizes(own):
                    macs = profile.macs * (size / own) ** 2
                    guess = work(desk.photos, macs, found.epochs[name])
                    found.guesses[Way(network, size, name)] = guess
        return found

    @property
    def ways(self) -> list[Way]:
        """All that may be recommended."""
        failed = self.desk.failed
        return [way for way in self.guesses if not {way, way.by(PROBE)} & set(failed)]

    @property
    def trained(self) -> list[Way]:
        """Probes, and what trains through the network."""
        return [way for way in self.ways if way.strategy == PROBE or self.epochs[way.strategy]]

    @property
    def probes(self) -> list[Measured]:
        return [one for way, one in self.desk.done.items() if way.strategy == PROBE]

    @property
    def leader(self) -> Measured:
        """The best probe."""
        scores = self.judged.mean()
        return self.probes[int(scores.to_numpy().argmax())]

    @property
    def to_share(self) -> float:
        """Seconds kept back for heads on folds that all probes, and a further one, share."""
        seconds = [one.stage("finetune") for one in self.probes] if self.shared.empty else []
        return sum(seconds) + max(seconds, default=0.0)

    @property
    def judged(self) -> pd.DataFrame:
        """How often each probe is right, by picture: in shared folds, or so far in its own."""
        if self.shared.empty:
            return pd.concat([right_by_picture(one) for one in self.probes], axis=1)
        return self.shared

    def footing(self, done: Sequence[Measured]) -> Footing:
        """These, on one: each beside its own probe, or the first."""
        judged, probes = self.judged, self.probes
        named = [one.way for one in probes]
        pairs = [one.way.by(PROBE) for one in done]
        places = [named.index(way) if way in named else 0 for way in pairs]
        own = [right_by_picture(probes[place]) for place in places]
        gains = [right_by_picture(one) - probe for one, probe in zip(done, own, strict=True)]
        gain = [row.reindex(judged.index).to_numpy() for row in gains]
        return Footing(judged.to_numpy().T[places], np.stack(gain))

    def believed(self) -> Beliefs:
        """Of all ways, after what was measured."""
        ways, done = self.ways, list(self.desk.done.values())
        heads = [name for name, epochs in self.epochs.items() if not epochs]
        prior = rules.before(ways, self.wanted.gains, heads)
        if not done:
            return prior
        footing = self.footing(done)
        known = np.flatnonzero(np.isfinite(scores := footing.scores()))
        pictures = np.isfinite(footing.gain[known]).sum(axis=1)
        drawn = footing.drawn(0)[:, known]
        drawn = np.where(np.isnan(drawn), scores[known], drawn)
        seen = [ways.index(done[row].way) for row in known]
        said = rules.log_odds(scores[known], pictures)
        return prior.after(seen, said, rules.noise_of(drawn, pictures))

    def forecast(self, way: Way) -> float:
        """Seconds."""
        return forecast(way, self.guesses, list(self.desk.done.values()))

    def next(self, among: Sequence[Way], left: float | None = None) -> Way | None:
        """What is measured next, by the rules; a first probe in any case.

        Args:
            left: seconds; None: as the clock says.
        """
        desk, ways = self.desk, self.ways
        left = desk.clock.end - desk.clock.spent - self.to_share if left is None else left
        if not desk.done:
            among, left = [way for way in among if way.strategy == PROBE], math.inf
        rows = [ways.index(way) for way in among if way not in desk.done]
        if not rows:
            return None
        row = rules.next_way(
            self.believed(),
            {row: self.forecast(ways[row]) for row in rows},
            {row: self._held_out(ways[row]) for row in rows},
            left,
        )
        return None if row is None else ways[row]

    def _held_out(self, way: Way) -> float:
        """Photos that would judge it."""
        return self.desk.photos * (self.part if self.epochs[way.strategy] else 1.0)


def _epochs(experiment: Experiment, photos: int) -> int:
    """Of a training: of few pictures perhaps more than the strategy says."""
    trainer = experiment.trainer
    batch = trainer.rates_batch if trainer.batch_size == AUTO else trainer.batch_size
    return experiment.transfer.epochs_of(max(1, photos // int(batch)))


def right_by_picture(one: Measured) -> pd.Series:
    """Which held-out pictures it recognised, by sha256."""
    said = pd.read_parquet(one.artifacts.held_out, columns=["sha256", "class", "predicted"])
    return (said["class"] == said["predicted"]).astype(np.float64).set_axis(said["sha256"])
