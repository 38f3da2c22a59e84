"""The service: its addresses, and what every answer carries."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from graftwork.config.errors import UserError
from graftwork.model_folder.contents import Contract
from graftwork.serving.exporting import CERTIFICATE
from graftwork.serving.http.answered import Answering
from graftwork.serving.http.bodies import Refused
from graftwork.serving.http.guard import App, Message, Receive, Send
from graftwork.serving.http.limits import Limits
from graftwork.serving.http.measures import Measures
from graftwork.serving.http.messages import BODY, TOO_MANY, Predicted, problems
from graftwork.serving.http.served import Serving

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
PHOTO = (400, 403, 408, 413, 415, 422, 500, 503, 504)
Pages = Callable[[Mapping[str, Any]], Mapping[str, tuple[str, str]]]


def service(
    serving: Serving,
    limits: Limits,
    measures: Measures,
    is_ending: Callable[[], bool],
    pages: Pages = lambda _: {},
) -> FastAPI:
    """The service of a model.

    Args:
        is_ending: whether it was told to end.
        pages: from the OpenAPI description to pages and what belongs to them: by path, their media
            type and text.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        serving.start()
        yield
        await serving.close()

    api = FastAPI(
        title="graftwork serve", version="1", lifespan=lifespan,
        docs_url=None, redoc_url=None,
        description="What a trained model says of photos. Errors come as {\"detail\": ...}.",
    )  # fmt: skip
    _answer_mistakes(api)
    _add_photos(api, Answering(serving, limits, measures))
    _add_state(api, serving, measures, is_ending)
    for path, (kind, text) in pages(api.openapi()).items():
        api.add_api_route(path, _page(kind, text), include_in_schema=False)
    return api


def _page(kind: str, text: str) -> Callable[[], Any]:
    async def page() -> Response:
        return Response(text, media_type=kind)

    return page


def _add_photos(api: FastAPI, answering: Answering) -> None:
    @api.post("/predict", response_model=Predicted, responses=problems(*PHOTO), openapi_extra=BODY)
    async def predict(
        request: Request,
        top: Annotated[int, Query(ge=1, le=10000, description="so many classes a photo")] = 5,
    ) -> Any:
        """Say what photos show: one as the body, or several as the files of a form.

        Of one photo that cannot be read the status tells; of several, each has its own error.
        """
        return JSONResponse(await answering.predicted(request, top))

    @api.post("/explain", responses=problems(*PHOTO, 501), openapi_extra=BODY)
    async def explain(request: Request) -> Any:
        """Say what the model looks at in one photo, and which training photos are like it.

        What this service lacks for it is said in words.
        """
        return JSONResponse(await answering.explained(request))


def _add_state(
    api: FastAPI, serving: Serving, measures: Measures, is_ending: Callable[[], bool]
) -> None:
    @api.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process lives."""
        return {"status": "alive"}

    @api.get("/ready", responses=problems(503))
    async def ready() -> dict[str, str]:
        """Whether requests are taken: not when the service is ending."""
        if is_ending():
            raise Refused(503, "The service is ending.")
        return {"status": "ready", "version": serving.current.version}

    @api.get("/model")
    async def model() -> dict[str, Any]:
        """What the model's contract says, and how it is run here."""
        return described(serving)

    @api.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """What Prometheus reads."""
        return Response(measures.text(), media_type=measures.content_type)

    @api.post("/reload", responses=problems(403, 409))
    async def reload(request: Request) -> dict[str, Any]:
        """Take over what the model folder holds now; asked from this machine alone."""
        if not _is_from_here(request):
            raise Refused(403, "Only programs of the serving machine may ask for this.")
        try:
            changed = await serving.reload()
        except UserError as error:
            raise Refused(409, f"The earlier version goes on answering: {error}") from error
        return {"version": serving.current.version, "changed": changed}


def described(serving: Serving) -> dict[str, Any]:
    """Of the version that is served."""
    served = serving.current
    contract, verdict = served.contract, served.answers.ready.verdict
    return {
        "version": served.version, "source": serving.found.source,
        "newest_is_refused": serving.refused,
        "classes": contract.classes, "architecture": contract.architecture,
        "input": vars(contract.input_spec), "preprocessing": vars(contract.preprocessing),
        "training": contract.training, "pretrained": contract.pretrained,
        "data_digest": contract.data_digest, "weights_sha256": contract.weights_sha256,
        "certificates": certificates(serving.found.folder, contract),
        "engine": vars(verdict), "asked_again_in_float32": served.answers.asked_again,
    }  # fmt: skip


def certificates(folder: Path, contract: Contract) -> dict[str, Any]:
    """Of this model's exports in its run's folder, by the name of their folder."""
    found = {}
    for path in sorted(folder.absolute().parent.glob(f"exports/*/{CERTIFICATE}")):
        with suppress(OSError, ValueError, KeyError, TypeError):  # damaged
            said = json.loads(path.read_text("utf-8"))
            if said["model"]["weights_sha256"] == contract.weights_sha256:
                found[path.parent.name] = said
    return found


def _is_from_here(request: Request) -> bool:
    """A proxy on this machine hands on what others ask: who says so is none of this machine."""
    forwarded = {"forwarded", "x-forwarded-for", "x-real-ip"} & set(request.headers.keys())
    try:
        here = request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:  # the name of a test's client
        return False
    return here and not forwarded


def _answer_mistakes(api: FastAPI) -> None:
    def said(status: int, detail: str) -> JSONResponse:
        return JSONResponse({"detail": detail}, status, TOO_MANY if status == 503 else None)

    @api.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return said(error.status, error.detail)

    @api.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return said(400, f"{first['loc'][-1]}: {first['msg']}."[:200])

    @api.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> Response:
        answer = said(error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @api.exception_handler(Exception)  # uvicorn writes down which
    async def failed(_: Request, __: Exception) -> Response:
        return said(500, "The model could not answer.")

    @api.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=499)  # nobody reads it; counted under this number


class Measured:
    """An ASGI app that counts answers, and gives each the headers of all.

    Args:
        is_ending: then connections are closed after their answer.
    """

    def __init__(self, app: App, measures: Measures, is_ending: Callable[[], bool]) -> None:
        self._app, self._measures, self._is_ending = app, measures, is_ending
        self._headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun, status = time.perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", []), *self._headers]
                if self._is_ending():
                    headers.append((b"connection", b"close"))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            route = scope.get("route")
            path = getattr(route, "path", "another")
            self._measures.requests.labels(path, status).inc()
            self._measures.seconds.labels(path).observe(time.perf_counter() - begun)
