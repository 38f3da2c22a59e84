"""The photos of a request, read within limits: one as the body itself, or several in a form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from graftwork.process.terminal import visible
from graftwork.serving.http.limits import Limits

FORM = "multipart/form-data"
RAW = ("application/octet-stream", "image/")
MOST_NAME = 200  # characters of a photo's name that are given back


class Refused(Exception):
    """A request that is not answered: its status, and a sentence for whoever sent it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@dataclass(frozen=True)
class Sent:
    """A photo of a request."""

    name: str  # as the sender calls it: text, never a path
    content: bytes


async def photos_of(request: Request, limits: Limits) -> list[Sent]:
    """Raises `Refused`."""
    kind = request.headers.get("content-type", RAW[0]).partition(";")[0].strip().lower()
    if kind != FORM and not kind.startswith(RAW):
        raise Refused(
            415, f"Content-Type {visible(kind)[:MOST_NAME]}: send a photo (image/jpeg, image/png, "
            f"... or {RAW[0]}), or {FORM} with photos as files."
        )  # fmt: skip
    body = await body_of(request, limits)
    found = await _in_form(request, body, limits) if kind == FORM else [Sent("", body)]
    if not any(sent.content for sent in found):
        raise Refused(400, "No photo: the request is empty.")
    return found


async def body_of(request: Request, limits: Limits) -> bytes:
    """All of it. Of what is too large uvicorn passes over the rest, so that who sends it gets to
    the answer."""
    most = limits.body_bytes
    large = Refused(413, f"The request is larger than {limits.body_mib:g} MiB.")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > most:
        raise large
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise large
                parts.append(part)
    except TimeoutError:
        text = f"The body was not there within {limits.body_seconds:g} s."
        raise Refused(408, text) from None
    return b"".join(parts)


async def _in_form(request: Request, body: bytes, limits: Limits) -> list[Sent]:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(request.headers, whole(), max_files=limits.photos, max_fields=0)
    parser.spool_max_size = limits.body_bytes  # it is in memory anyway
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise Refused(413, f"More than {limits.photos} photos in one request.") from error
        if "Too many fields" in error.message:
            raise Refused(400, "The form has fields that are no files.") from error
        raise Refused(400, f"The form cannot be read: {visible(error.message)}") from error
    except (ValueError, LookupError, AssertionError, AttributeError, TypeError) as error:
        raise Refused(400, f"The form cannot be read: {visible(error)}"[:MOST_NAME]) from error
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    found = [Sent(visible(f.filename or "")[:MOST_NAME], await f.read()) for f in files]
    await form.close()
    return found
