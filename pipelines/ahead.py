"""What training would refuse, refused before anything is spent on it."""

from __future__ import annotations

from graftwork.experiment import Experiment


def check_ahead(experiment: Experiment) -> None:
    """Looks at machine and network, which takes torch: only where training could be refused.

    Raises:
        UserError: a GPU is wanted that this machine lacks, the strategy names layers that the
            network lacks or an option that its optimiser lacks, a transform of the augmentation
            cannot be used, or maps are to be stored of a
            network that cannot be split.
    """
    if not experiment.transfer.epochs:
        return
    if experiment.trainer.accelerator == "gpu":
        experiment.trainer.uses_gpu()
    transfer, cuts = experiment.transfer, experiment.model.cut_after is not None
    transfer.optimiser.check()
    experiment.augmentation.check()
    if transfer.trainable.names_groups or transfer.adapter.names_layers or cuts:
        _check_names(experiment)
    if experiment.extraction.prefix == "stored":
        _check_prefix(experiment)


def _check_names(experiment: Experiment) -> None:
    """The network is built without memory, without its weights and for any number of classes."""
    from graftwork.profiling.profile import built

    network, transfer = built(experiment.model, num_classes=2), experiment.transfer
    transfer.trainable.ever_parameters(network.layout(), transfer.epochs)
    transfer.adapter.attach(network, experiment.seed)


def _check_prefix(experiment: Experiment) -> None:
    """The network is built with random weights: where it is split depends on none."""
    from graftwork.training.stored_prefix import halves_of

    classifier = experiment.model.build(2, None)
    halves_of(experiment, classifier, max(1, experiment.transfer.epochs))
