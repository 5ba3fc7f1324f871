"""Numbers for operators at `/metrics`: what was decided, how long we took. No label holds a person, argument or free text."""

from collections.abc import Callable
from time import perf_counter_ns

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ostiary.core.pipeline import Passage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """A watcher (`core.ports.Watch`) that counts. Each metric is documented in `docs/reference/metrics.md`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "ostiary_decisions", "Actions decided, by door, effect and refusal code", ["door", "effect", "code"], registry=self._registry
        )
        self._overhead = Histogram(
            "ostiary_overhead_seconds", "Time added to an action by the gateway", ["door"], buckets=_SECONDS, registry=self._registry
        )
        self._upstream = Histogram(
            "ostiary_upstream_seconds",
            "Time spent waiting for upstreams",
            ["door"],
            buckets=(*_SECONDS, 5.0, 30.0),
            registry=self._registry,
        )
        self._series: dict[tuple[str, str, str], Callable[[], None]] = {}
        self._times: dict[str, tuple[Callable[[float], None], Callable[[float], None]]] = {}

    def __call__(self, passage: Passage) -> None:
        """Count one finished passage."""
        refusal = passage.refusal
        effect = "allow" if refusal is None else "hold" if refusal.code == "held" else "deny"
        door = passage.credential.door
        key = (door, effect, refusal.code if refusal else "")
        count = self._series.get(key)
        if count is None:
            count = self._series[key] = self._decisions.labels(*key).inc
            self._times.setdefault(door, (self._overhead.labels(door).observe, self._upstream.labels(door).observe))
        count()
        overhead, upstream = self._times[door]
        overhead((perf_counter_ns() - passage.started_ns - passage.upstream_ns) / 1e9)
        upstream(passage.upstream_ns / 1e9)

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show a number that is read when asked for, such as the ledger's size."""
        Gauge(name, meaning, registry=self._registry).set_function(read)

    def render(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self._registry)
