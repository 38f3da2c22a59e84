"""Configurations that would run code, read the environment, or grow without bound."""

from __future__ import annotations

from attacks.attack import COMMAND

GADGETS = (
    *("os.system", "subprocess.run", "subprocess.Popen", "builtins.eval", "builtins.exec"),
    *("builtins.open", "torch.load", "numpy.load", "pandas.read_pickle", "pickle.loads"),
    *("torch.utils.collect_env.run", "torch.hub.load", "shutil.rmtree", "hydra.main"),
    *("importlib.import_module", "ctypes.CDLL", "runpy.run_path", "webbrowser.open"),
    *("hydra.utils.instantiate", "hydra.utils.get_method", "yaml.unsafe_load", "timm.create_model"),
    "pytorch_lightning.LightningModule.load_from_checkpoint",
    "graftwork.config.components.importlib.import_module",
    *("graftwork.config.components.build", "graftwork.storage.array_store.os.remove"),
    *("graftwork.settings.trainer.Trainer", "graftwork.config.errors.UserError"),
    *("graftwork.metrics.base.Metric", "graftwork.nothing.Here", "Trainer", "", "..."),
)
TAGS = {  # YAML that is code
    "a call": f"seed: !!python/object/apply:os.system [{COMMAND!r}]",
    "an object": f"seed: !!python/object/new:os.system [{COMMAND!r}]",
    "a module": "seed: !!python/module:os",
    "a name": "seed: !!python/name:os.system",
    "a class": "model: !!python/object:graftwork.models.timm_model.TimmModel {}",
    "bytes": "seed: !!binary gARjcG9zaXgKc3lzdGVt",
    "no end": "seed: [" * 5000,
    "no text": "seed: \0",
}
INTERPOLATIONS = (  # in a name
    "${oc.env:HOME}",
    "${oc.env:GRAFTWORK_CANARY,none}",
    "${oc.decode:${oc.env:HOME}}",
    "a${oc.env:HOME}b",
    "${seed}${oc.env:HOME}",
    "${hydra:runtime.cwd}",
    "${no_resolver:1}",
    "${seed",
    "${.}",
    "${${seed}}",
)


def laughs(depth: int = 30) -> str:
    """A list of 2^30 items, in a kB: YAML's references."""
    lines = ["a0: &a0 [0, 0]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, depth)]
    return "\n".join(lines) + "\n"
