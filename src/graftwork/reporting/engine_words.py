"""How a trained network was run on the test pictures, in words and as tags of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graftwork.reporting.numbers import number


def sentence(engine: Mapping[str, Any]) -> str:
    """What was run, and how many answers it changed.

    Args:
        engine: as metrics.json has it (graftwork.evaluating.answering).
    """
    run = f"{engine['engine']} in {engine['precision']}"
    if "pictures" not in engine:
        return run
    if engine["asked_again"]:
        run += f" ({number(engine['asked_again'])} near ties again in fp32)"
    return (
        f"{run}; of the first {number(engine['pictures'])} test pictures "
        f"{number(engine['differing'])} got another answer than by eager float32"
    )


def tags(engine: Mapping[str, Any] | None) -> dict[str, str]:
    """The same for a recorder; empty where no network was run."""
    return {f"evaluation.{name}": str(value) for name, value in (engine or {}).items()}
