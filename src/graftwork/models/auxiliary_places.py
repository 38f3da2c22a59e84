"""Auxiliary classifiers: which networks have them, where they hang, and how they are made.

Only training has them (graftwork.transfer.auxiliary). A backbone of this project offers them by a
method `auxiliary_heads(num_classes)` that returns modules by the name of the module they read, and
stands in PLACES.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graftwork.config.errors import UserError

if TYPE_CHECKING:
    from graftwork.models.network.layer_groups import Backbone

# architecture: {name of the head in published files: module of the backbone that it reads}
PLACES = {
    "googlenet": {"aux1": "inception4a", "aux2": "inception4d"},
    "naive_inception": {"aux1": "inception4a", "aux2": "inception4d"},
    "inception_v3": {"AuxLogits": "Mixed_6e"},
}


def check_auxiliary(architecture: str, weight: float, options: dict[str, object]) -> None:
    """Raises UserError for auxiliary classifiers that the architecture does not have."""
    if weight and architecture not in PLACES:
        raise UserError(
            f"auxiliary_weight: {weight}, but {architecture} has no auxiliary classifiers. "
            f"Legal: 0, or an architecture that has them: {', '.join(PLACES)}."
        )
    if options.get("aux_logits"):
        raise UserError(
            "options.aux_logits: True would leave auxiliary classifiers in the network for good. "
            "Legal: model.auxiliary_weight=0.3 instead, which has them in training alone."
        )


def auxiliary_names(backbone: Backbone, names: list[str]) -> set[str]:
    """Those of the names that belong to auxiliary classifiers of such a backbone."""
    heads = PLACES.get(backbone.pretrained_cfg.get("architecture"), {})
    return {name for name in names if name.partition(".")[0] in heads}
