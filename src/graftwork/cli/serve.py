"""`graftwork serve`: a model behind an address, and a page to try it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.cli.ui import check_free
from graftwork.config.errors import UserError
from graftwork.model_folder import contents as model_folder
from graftwork.recording.named_models import followed_model
from graftwork.serving.places import kept_networks
from graftwork.storage.artifacts import Artifacts

if TYPE_CHECKING:
    from graftwork.serving.http.served import Serving

NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def serve(
    word: str,
    host: str,
    port: int,
    names: Sequence[str],
    origins: Sequence[str],
    changes: Sequence[str],
) -> None:
    """Serves the model that a word names until Ctrl-C or SIGTERM.

    Args:
        names: host:port, under which it answers beside its own address.
        origins: of pages elsewhere that may ask.
        changes: of graftwork.serving.http.limits, `KEY=VALUE` each.

    Raises:
        UserError: no such model, a limit out of bounds, or another program has the port.
    """
    if missing := [package for package in NEEDED if find_spec(package) is None]:
        raise UserError(
            f"serve: {', '.join(missing)} is not installed. Run: pip install 'graftwork[serve]'"
        )
    from graftwork.serving.http.limits import limits

    admitted = limits(changes)
    check_free(port, host)
    find = followed_model(word, Artifacts.at("."))
    folder = find().folder
    contract = model_folder.read_contract(folder)
    from graftwork.inspecting.explanation import Explainer
    from graftwork.inspecting.service_pages import service_pages
    from graftwork.serving.http.running import Address, run

    own = [f"{host}:{port}", *([f"localhost:{port}"] if _is_here(host) else [])]
    address = Address(host, port, [*own, *names], origins)

    def explainer(model: Path, of: model_folder.Contract, kept: Path) -> Explainer:
        return Explainer(model, of, kept, shows_training=_is_here(host))

    def pages(api: Mapping[str, Any]) -> Mapping[str, tuple[str, str]]:
        name = str(contract.architecture.get("name", "model"))
        return service_pages(api, name, contract.classes, own[0])

    with kept_networks(folder) as kept:
        run(find, kept, address, admitted, explainer, pages, lambda s: _tell(s, own[0]))


def _tell(serving: Serving, name: str) -> None:
    served = serving.current
    verdict = served.answers.ready.verdict
    print(f"model    version {served.version}, {len(served.contract.classes)} classes, "
          f"{verdict.engine} in {verdict.precision}\nfrom     {serving.found.source}")  # fmt: skip
    print(f"page     http://{name}/ (Ctrl-C ends it)\nprograms http://{name}/docs", flush=True)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
