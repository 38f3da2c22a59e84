"""What training would refuse, refused before anything is spent on it."""

from __future__ import annotations

from graftwork.experiment import Experiment


def check_ahead(experiment: Experiment) -> None:
    """Looks at machine and network, which takes torch: only where training could be refused.

    Raises:
        UserError: a GPU is wanted that this machine lacks, or the strategy names layers
            that the network lacks, or an option that its optimiser lacks.
    """
    if not experiment.transfer.epochs:
        return
    if experiment.trainer.accelerator == "gpu":
        experiment.trainer.uses_gpu()
    transfer = experiment.transfer
    transfer.optimiser.check()
    if transfer.trainable.names_groups or transfer.adapter.names_layers:
        _check_names(experiment)


def _check_names(experiment: Experiment) -> None:
    """The network is built without memory, without its weights and for any number of classes."""
    from graftwork.profiling.profile import built

    network, transfer = built(experiment.model, num_classes=2), experiment.transfer
    transfer.trainable.ever_parameters(network.layout(), transfer.epochs)
    transfer.adapter.attach(network, experiment.seed)
