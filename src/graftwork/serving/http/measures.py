"""What Prometheus is told: how many requests, how long they took, how full batches were."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
PHOTOS = (1, 2, 4, 8, 16, 32, 64)


class Measures:
    """Of one service."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        labels = ("path", "status")
        self.requests = Counter("graftwork_requests", "Answered.", labels, registry=registry)
        self.seconds = Histogram(
            "graftwork_request_seconds", "From the headers to the answer.", ("path",),
            registry=registry, buckets=SECONDS,
        )  # fmt: skip
        self.under_way = Gauge("graftwork_requests_under_way", "Being received or answered.",
                               registry=registry)  # fmt: skip
        self.photos = Counter("graftwork_photos", "Answered.", registry=registry)
        self.batch = Histogram(
            "graftwork_batch_photos", "Run together.", registry=registry, buckets=PHOTOS
        )
        self.refused = Counter(
            "graftwork_versions_refused", "Newer models that were no whole ones.", registry=registry
        )
        self._model = Gauge("graftwork_model", "The version served, and where it came from.",
                            ("version", "source"), registry=registry)  # fmt: skip

    def version(self, name: str, source: str) -> None:
        """From now on this version of the model is served."""
        self._model.clear()
        self._model.labels(name, source).set(1)

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self._registry)
