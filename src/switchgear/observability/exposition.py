"""Sums to text, by prometheus-client: the Prometheus format, or OpenMetrics for those who ask for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest, utils
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from switchgear.observability.definitions import METRICS, Definition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from switchgear.observability.shared import Sums


def render(sums: Sums, accept: str = "") -> tuple[str, bytes]:
    """Content type and text. accept: the scraper's Accept header."""
    if "application/openmetrics-text" in accept:
        return openmetrics.CONTENT_TYPE_LATEST, _openmetrics(_Collected(sums))
    return CONTENT_TYPE_PLAIN_0_0_4, generate_latest(_Collected(sums))


_openmetrics: Callable[[Collector], bytes] = openmetrics.generate_latest  # the library types neither of these
_number: Callable[[float], str] = utils.floatToGoString


class _Collected(Collector):
    def __init__(self, sums: Sums):
        self._sums = sums

    def collect(self) -> Iterator[Metric]:
        for definition in METRICS:
            yield _family(definition, self._sums)


def _family(definition: Definition, sums: Sums) -> Metric:
    sets = sums.get(definition.name, {})
    if definition.kind == "histogram":
        histogram = HistogramMetricFamily(definition.name, definition.help, labels=definition.labels)
        for labels, values in sets.items():
            histogram.add_metric(labels, _cumulated(definition.buckets, values), sum_value=values[-1])
        return histogram
    family = CounterMetricFamily if definition.kind == "counter" else GaugeMetricFamily
    plain = family(definition.name, definition.help, labels=definition.labels)
    for labels, values in sets.items():
        plain.add_metric(labels, values[0])
    return plain


def _cumulated(bounds: tuple[float, ...], values: list[float]) -> list[tuple[str, float]]:
    total, buckets = 0.0, []
    for bound, count in zip((*bounds, float("inf")), values, strict=False):  # the last value is the sum
        total += count
        buckets.append((_number(bound), total))
    return buckets
