"""Every path that stages exchange. A path stands here once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DVC_COPIES = (".dvc", "tmp", "exps")  # of a project: a folder each


@dataclass(frozen=True)
class Artifacts:
    """The tree of one experiment, and what it shares with all others of the project.

    Attributes:
        root: folder of this experiment: the project itself under `dvc repro`, the job's own
            folder in a Hydra run.
        shared: folder of the project: raw data, weights and the content-keyed store.
    """

    root: Path
    shared: Path

    @classmethod
    def at(cls, root: Path | str, shared: Path | str | None = None) -> Artifacts:
        """Absolute paths, so that a stage may change its working directory."""
        root = Path(root).absolute()
        return cls(root, Path(shared).absolute() if shared else root)

    # what is read
    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    # shared by all experiments of the project
    def raw(self, dataset: str) -> Path:
        return self.shared / "data" / "raw" / dataset

    def weights(self, model: str) -> Path:
        return self.shared / "data" / "weights" / model

    @property
    def project(self) -> Path:
        """What outlives this experiment lies here: the store and MLflow's record.

        `dvc exp run --queue` and `--temp` run in a copy of the project below it, from which DVC
        takes the results and which it then removes.
        """
        parts = self.shared.parts
        places = (at for at in range(len(parts)) if parts[at : at + 3] == DVC_COPIES)
        return Path(*parts[: next(places, len(parts))])

    @property
    def store(self) -> Path:
        return self.project / "store"

    @property
    def downloads(self) -> Path:
        """Archives in flight and the finished ones, by sha256."""
        return self.store / "downloads"

    @property
    def decoded(self) -> Path:
        return self.store / "decoded"

    @property
    def features(self) -> Path:
        return self.store / "features"

    @property
    def prefixes(self) -> Path:
        """Maps at the boundaries of frozen prefixes."""
        return self.store / "prefixes"

    @property
    def answers(self) -> Path:
        """What networks that only answer (teachers) said of views."""
        return self.store / "answers"

    @property
    def folds(self) -> Path:
        """Distance-matched folds."""
        return self.store / "folds"

    @property
    def training(self) -> Path:
        """How far trainings are that have not ended."""
        return self.store / "training"

    @property
    def networks(self) -> Path:
        """Converted and compiled networks."""
        return self.store / "networks"

    @property
    def trained(self) -> Path:
        """The few trained networks that were converted last."""
        return self.store / "trained"

    @property
    def profiles(self) -> Path:
        """What networks cost."""
        return self.store / "profiles"

    @property
    def mlflow_db(self) -> Path:
        return self.project / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.project / "mlartifacts"

    # written by prepare
    @property
    def manifest(self) -> Path:
        return self.root / "data" / "manifest.parquet"

    @property
    def classes(self) -> Path:
        return self.root / "data" / "classes.json"

    @property
    def data_report(self) -> Path:
        return self.root / "data" / "report.json"

    # written by extract_features
    @property
    def feature_receipt(self) -> Path:
        return self.root / "data" / "features.json"

    # written by finetune
    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def start(self) -> Path:
        """The probe that training began from; only where what is kept is another model."""
        return self.root / "reports" / "selection" / "start.safetensors"

    @property
    def history(self) -> Path:
        """Training curves: one row an epoch."""
        return self.root / "reports" / "history.csv"

    @property
    def selection(self) -> Path:
        """How what was kept was chosen, and on which pictures."""
        return self.root / "reports" / "selection.json"

    @property
    def audit(self) -> Path:
        """What was to be trained, and how far it moved: a record and a table."""
        return self.root / "reports" / "audit"

    @property
    def held_out(self) -> Path:
        """Predictions of the pictures that chose, as of `predictions`; only where some did."""
        return self.root / "reports" / "selection" / "held_out.parquet"

    @property
    def new(self) -> Path:
        """Predictions of pictures without labels, of where the model will be used, by a model that
        chose; only where held-out ones were matched to them."""
        return self.root / "reports" / "selection" / "new.parquet"

    @property
    def run(self) -> Path:
        """Which MLflow run this experiment is."""
        return self.root / "run.json"

    # written by evaluate
    @property
    def metrics(self) -> Path:
        return self.root / "reports" / "metrics.json"

    @property
    def predictions(self) -> Path:
        return self.root / "reports" / "predictions.parquet"

    @property
    def plots(self) -> Path:
        return self.root / "reports" / "plots"

    @property
    def report(self) -> Path:
        return self.root / "reports" / "report.html"

    # written by `graftwork card`
    @property
    def card(self) -> Path:
        return self.root / "reports" / "card.md"

    # written by `graftwork export`
    @property
    def exports(self) -> Path:
        """One folder an export."""
        return self.root / "exports"

    # written by `graftwork inspect`
    @property
    def inspection(self) -> Path:
        return self.root / "reports" / "inspect.html"

    # written by `graftwork replay`
    @property
    def replay(self) -> Path:
        return self.root / "reports" / "replay.html"

    # written by `graftwork labels`
    @property
    def doubtful_labels(self) -> Path:
        return self.root / "reports" / "labels.html"

    # written by `graftwork learning-curve`
    @property
    def learning_curve(self) -> Path:
        return self.root / "reports" / "learning_curve.html"

    # written by `graftwork preview`
    @property
    def preview(self) -> Path:
        return self.root / "reports" / "preview.html"

    # written by every stage
    def cost(self, stage: str) -> Path:
        return self.root / "costs" / f"{stage}.json"
