"""Two instances of a shop that serve requests until they are ended, told by OpenTelemetry's own SDK: `a` by gRPC, packed by gzip, with
an exponential histogram, `b` by HTTP with explicit buckets and deltas. `a` has four times the requests.

    python3 otel_shop.py HOST:PORT
"""

import sys
import time

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind
from grpc import Compression

address = sys.argv[1]


class Instance:
    def __init__(self, name, spans, metrics, views=()):
        resource = Resource.create({"service.name": "shop", "service.instance.id": name})
        provider = TracerProvider(resource=resource)
        provider.add_span_processor(BatchSpanProcessor(spans, schedule_delay_millis=500))
        self.tracer = provider.get_tracer("shop")
        reader = PeriodicExportingMetricReader(metrics, export_interval_millis=1_000)
        meter = MeterProvider(resource=resource, metric_readers=[reader], views=views).get_meter("shop")
        self.took = meter.create_histogram("http.server.request.duration", unit="s")
        self.active = meter.create_up_down_counter("http.server.active_requests")
        self.active.add(3)

    def serve(self, seconds):
        told = {"http.request.method": "GET", "http.route": "/items/{id}", "http.response.status_code": 200}
        end = time.time_ns()
        span = self.tracer.start_span(
            "GET /items/{id}", kind=SpanKind.SERVER, start_time=end - int(seconds * 1e9), attributes={**told, "tenant.id": "t9"}
        )
        span.end(end)
        self.took.record(seconds, told)


a = Instance(
    "a",
    GrpcSpans(endpoint=address, insecure=True, compression=Compression.Gzip),
    GrpcMetrics(endpoint=address, insecure=True),
    [View(instrument_name="http.server.request.duration", aggregation=ExponentialBucketHistogramAggregation())],
)
b = Instance(
    "b",
    HttpSpans(endpoint=f"http://{address}/v1/traces"),
    HttpMetrics(endpoint=f"http://{address}/v1/metrics", preferred_temporality={Histogram: AggregationTemporality.DELTA}),
)
while True:
    for _ in range(4):
        a.serve(0.2)
    b.serve(0.05)
    time.sleep(0.1)
