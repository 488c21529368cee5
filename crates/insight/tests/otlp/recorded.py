"""Writes traces.bin, traces.json, metrics.bin and metrics.json: exports with every kind of point, by OpenTelemetry's own messages.

    pip install opentelemetry-proto && python3 recorded.py

The JSON is OTLP's own mapping: numbers of 64 bits as texts, ids in hex, enums as numbers.
"""

import base64
import json
import pathlib

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

FOLDER = pathlib.Path(__file__).parent
BEGIN = 1_795_341_600 * 10**9


def attribute(of, key, value):
    pair = of.attributes.add(key=key)
    if isinstance(value, bool):
        pair.value.bool_value = value
    elif isinstance(value, int):
        pair.value.int_value = value
    elif isinstance(value, float):
        pair.value.double_value = value
    else:
        pair.value.string_value = value


def resource(of, instance):
    attribute(of.resource, "service.name", "shop")
    attribute(of.resource, "service.namespace", "eu")
    attribute(of.resource, "service.version", "1.2")
    attribute(of.resource, "service.instance.id", instance)
    attribute(of.resource, "cloud.availability_zone", "eu-1a")


def traces():
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add(schema_url="https://opentelemetry.io/schemas/1.27.0")
    resource(group, "a")
    scope = group.scope_spans.add()
    scope.scope.name = "recorded"
    for number, (kind, status, code) in enumerate([(2, 0, 200), (2, 2, 500), (3, 0, 200), (5, 1, None)]):
        span = scope.spans.add(trace_id=bytes([number + 1]) * 16, span_id=bytes([7]) * 8, parent_span_id=bytes([9]) * 8)
        span.name, span.kind, span.trace_state, span.flags = f"span {number}", kind, "a=b", 1
        span.start_time_unix_nano = BEGIN + number * 10**9
        span.end_time_unix_nano = span.start_time_unix_nano + 250_000_000
        span.status.code = status
        if code:
            attribute(span, "http.request.method", "GET")
            attribute(span, "http.route", "/items/{id}")
            attribute(span, "http.response.status_code", code)
        attribute(span, "tenant.id", "t9")
        attribute(span, "sampled", True)
        attribute(span, "share", 0.5)
        span.events.add(name="an event", time_unix_nano=BEGIN)
        span.links.add(trace_id=bytes(16), span_id=bytes(8))
    return request


def metrics():
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    resource(group, "a")
    scope = group.scope_metrics.add()

    def named(name, unit):
        return scope.metrics.add(name=name, unit=unit, description="as recorded")

    def times(point, seconds):
        point.start_time_unix_nano, point.time_unix_nano = BEGIN, BEGIN + seconds * 10**9

    for state, value in [("used", 0.25), ("free", 0.75)]:
        point = named("system.memory.utilization", "1").gauge.data_points.add(as_double=value)
        times(point, 10)
        attribute(point, "system.memory.state", state)
    for temporality in (1, 2):
        total = named("app.jobs", "{job}").sum
        total.aggregation_temporality, total.is_monotonic = temporality, True
        times(total.data_points.add(as_int=-3 if temporality == 1 else 30), 10)
    histogram = named("http.server.request.duration", "s").histogram
    histogram.aggregation_temporality = 2
    point = histogram.data_points.add(count=6, sum=1.5, min=0.1, max=0.9, explicit_bounds=[0.1, 0.5], bucket_counts=[1, 3, 2])
    times(point, 10)
    attribute(point, "http.request.method", "GET")
    attribute(point, "http.route", "/items/{id}")
    attribute(point, "http.response.status_code", 200)
    point.exemplars.add(time_unix_nano=BEGIN, as_double=0.3)
    exponential = named("messaging.process.duration", "s").exponential_histogram
    exponential.aggregation_temporality = 1
    point = exponential.data_points.add(count=5, sum=2.5, scale=-1, zero_count=1, zero_threshold=0.001)
    point.positive.offset = -3
    point.positive.bucket_counts.extend([1, 0, 3])
    times(point, 10)
    attribute(point, "messaging.destination.name", "orders")
    point = named("rpc.server.duration", "ms").summary.data_points.add(count=4, sum=80.0)
    point.quantile_values.add(quantile=0.5, value=20.0)
    times(point, 10)
    gap = named("system.cpu.load_average.1m", "1").gauge.data_points.add(flags=1)
    times(gap, 10)
    return request


def otlp_json(message):
    def hexed(value):
        if isinstance(value, dict):
            ids = ("traceId", "spanId", "parentSpanId")
            return {key: base64.b64decode(part).hex() if key in ids else hexed(part) for key, part in value.items()}
        return [hexed(part) for part in value] if isinstance(value, list) else value

    return hexed(MessageToDict(message, use_integers_for_enums=True))


for name, message in [("traces", traces()), ("metrics", metrics())]:
    (FOLDER / f"{name}.bin").write_bytes(message.SerializeToString(deterministic=True))
    (FOLDER / f"{name}.json").write_text(json.dumps(otlp_json(message)) + "\n")
