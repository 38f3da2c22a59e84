"""What the service says, as its OpenAPI page describes it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Answer(BaseModel):
    """A class, and how likely the model finds it."""

    name: str
    probability: float


class PhotoAnswers(BaseModel):
    """What is said of one photo: answers, or why there are none."""

    photo: str = Field(description="its name, as it was sent; empty for a photo alone")
    answers: list[Answer] = Field(description="the likeliest first; none where it cannot be read")
    error: str = Field(description="why there are none; else empty")


class Predicted(BaseModel):
    """What is said of the photos of a request."""

    version: str = Field(description="of the model: the beginning of its contract's sha256")
    photos: list[PhotoAnswers]


class Problem(BaseModel):
    """Why a request is not answered."""

    detail: str


PROBLEMS = {
    400: "no photo, or a form or parameter that cannot be read",
    403: "asked under a foreign name, or by a foreign page",
    408: "headers or body were not there in due time",
    409: "the model folder holds no whole model: the earlier one goes on answering",
    413: "too large: the body, or the number of photos",
    415: "not a photo that can be read",
    422: "a photo of too many pixels",
    500: "the model could not answer",
    501: "nothing is explained here",
    503: "too many requests at once: ask again after Retry-After seconds",
    504: "not answered in due time",
}
TOO_MANY = {"Retry-After": "1"}

_PHOTO = {"schema": {"type": "string", "format": "binary"}}
_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            **{kind: _PHOTO for kind in ("image/jpeg", "image/png", "image/webp")},
            "application/octet-stream": _PHOTO,
            "multipart/form-data": {
                "schema": {
                    "type": "object", "properties": {"photos": _FILES}, "required": ["photos"]
                }
            },
        },
    }
}  # fmt: skip


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Of a route, for its description."""
    return {s: {"model": Problem, "description": PROBLEMS[s]} for s in statuses}
