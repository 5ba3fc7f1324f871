"""Numbers for operators at `/metrics`: what was decided, how long we took. No label holds a person, argument or free text."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import accumulate
from time import perf_counter_ns

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from ostiary.core.pipeline import Passage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Durations(Collector):
    """A histogram by door that is only added to on the event loop, so that it needs no locks; added up when it is read."""

    def __init__(self, name: str, meaning: str, bounds: tuple[float, ...]) -> None:
        self._name, self._meaning, self._bounds = name, meaning, bounds
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def observe(self, door: str, seconds: float) -> None:
        """Count one duration."""
        counts = self._counts.get(door)
        if counts is None:
            counts = self._counts[door] = [0] * (len(self._bounds) + 1)
            self._sums[door] = 0.0
        counts[bisect_left(self._bounds, seconds)] += 1
        self._sums[door] += seconds

    def collect(self) -> Iterable[Metric]:
        """Return what was counted as Prometheus wants it: each bucket with all below it."""
        family = HistogramMetricFamily(self._name, self._meaning, labels=["door"])
        names = [floatToGoString(bound) for bound in (*self._bounds, float("inf"))]  # type: ignore[no-untyped-call]
        for door, counts in self._counts.items():
            family.add_metric([door], list(zip(names, accumulate(counts), strict=True)), self._sums[door])
        return [family]


class Metrics:
    """A watcher (`core.ports.Watch`) that counts. Each metric is documented in `docs/reference/metrics.md`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "ostiary_decisions", "Actions decided, by door, effect and refusal code", ["door", "effect", "code"], registry=self._registry
        )
        self._overhead = Durations("ostiary_overhead_seconds", "Time added to an action by the gateway", _SECONDS)
        self._upstream = Durations("ostiary_upstream_seconds", "Time spent waiting for upstreams", (*_SECONDS, 5.0, 30.0))
        self._registry.register(self._overhead)
        self._registry.register(self._upstream)
        self._notices = Counter("ostiary_notices", "Passages a policy asked to be told about, by group", ["group"], registry=self._registry)
        self._series: dict[tuple[str, str, str], Callable[[], None]] = {}

    def __call__(self, passage: Passage) -> None:
        """Count one finished passage."""
        refusal = passage.refusal
        effect = "allow" if refusal is None else "hold" if refusal.code == "held" else "deny"
        door = passage.credential.door
        key = (door, effect, refusal.code if refusal else "")
        count = self._series.get(key)
        if count is None:
            count = self._series[key] = self._decisions.labels(*key).inc
        count()
        self._overhead.observe(door, (perf_counter_ns() - passage.started_ns - passage.upstream_ns) / 1e9)
        self._upstream.observe(door, passage.upstream_ns / 1e9)

    def notice(self, group: str) -> None:
        """Count one notice to a group."""
        self._notices.labels(group).inc()

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show a number that is read when asked for, such as the ledger's size."""
        Gauge(name, meaning, registry=self._registry).set_function(read)

    def render(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self._registry)
