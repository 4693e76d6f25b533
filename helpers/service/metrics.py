"""Counters and times of one service, in Prometheus form."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30)  # seconds


class Metrics:
    """What /metrics shows; owner is who holds the key."""

    def __init__(self) -> None:
        """Make a registry of its own: several services may live in one process."""
        self.registry = CollectorRegistry()
        own = {"registry": self.registry}
        self.requests = Counter(
            "course_requests", "Requests answered", ["route", "owner", "status"], **own
        )
        self.in_flight = Gauge(
            "course_requests_in_flight", "Requests being worked on", **own
        )
        self.seconds = Histogram(
            "course_request_seconds",
            "Time from request to last byte",
            ["route"],
            buckets=BUCKETS,
            **own,
        )
        self.tokens = Counter(
            "course_tokens", "Tokens read and written", ["owner", "kind"], **own
        )

    def count(self, entry: dict[str, Any]) -> None:
        """Count one request, as the access log notes it."""
        route, owner = entry["route"], entry["owner"]
        self.requests.labels(route, owner, entry["status"]).inc()
        self.seconds.labels(route).observe(entry["milliseconds"] / 1e3)
        self.tokens.labels(owner, "read").inc(entry["tokens_read"])
        self.tokens.labels(owner, "written").inc(entry["tokens_written"])
