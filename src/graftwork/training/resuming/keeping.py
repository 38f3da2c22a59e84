"""How one leg of a training is kept while it lasts, and when it has ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graftwork.process import distributed
from graftwork.process.preemption import Request, end
from graftwork.process.terminal import visible
from graftwork.training.resuming.checkpoints import Checkpoints

if TYPE_CHECKING:
    from graftwork.training.resuming.files import State
    from graftwork.training.resuming.legs import Leg
    from graftwork.training.resuming.states import Watchers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keeping:
    """How one leg is kept."""

    leg: Leg
    request: Request  # to end
    begun: float  # when, by the clock that never turns back

    @classmethod
    def of(cls, leg: Leg) -> Keeping:
        return cls(leg, Request(), time.monotonic())

    def result(self) -> State | None:
        """See `Leg.result`."""
        return self.leg.result()

    def latest(self) -> State | None:
        """See `Leg.latest`."""
        return self.leg.latest()

    def record(self, facts: Mapping[str, object]) -> None:
        """See `Leg.record`."""
        if distributed.rank() == 0:
            self.leg.record(facts)

    def callback(
        self, attempt: int, facts: Callable[[], State], watchers: Watchers, taken_up: State | None
    ) -> Checkpoints:
        """What keeps checkpoints of this attempt."""
        prefix = f"{attempt:02d}-"
        return Checkpoints(self.leg, prefix, facts, watchers, taken_up, self.request)

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Around all of a leg: who is asked to end while no step is taken ends behind it."""
        with self.request.heeded():
            yield
        with distributed.joined():
            code = max(distributed.gathered(self.request.code))
        if code:
            end(code, "with all of its steps")

    def finish(self, result: Callable[[], State]) -> None:
        """Keeps the result, where that costs little."""
        seconds = time.monotonic() - self.begun
        with distributed.joined():
            found = result()
            worth = self.leg.worth_keeping(seconds, found["state"])
            asked = distributed.gathered((self.request.code, worth))
            if not any(code for code, _ in asked) and not asked[0][1]:
                return
            try:
                self.leg.finish(found)
            except OSError as error:
                folder = visible(self.leg.folder)
                log.warning("%s: the result could not be kept (%s).", folder, visible(error))
