"""A gRPC server and client of other people's making: `serve`, or `ask HOST:PORT`.

Messages are bare bytes, so nothing is generated. The client prints a line for each thing that it saw.
"""

import sys
import threading
from concurrent import futures

import grpc

SERVICE = "/lab.Echo/"


def say(request, context):
    context.send_initial_metadata((("x-early", "yes"),))
    context.set_trailing_metadata((("x-late", "yes"), ("endpoint-load-metrics", "TEXT cpu_utilization=0.25")))
    return request


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode() * 1000


def talk(requests, context):
    for request in requests:
        yield request.upper()


def fail(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: \u00e4")


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        return {
            SERVICE + "Say": grpc.unary_unary_rpc_method_handler(say),
            SERVICE + "Count": grpc.unary_stream_rpc_method_handler(count),
            SERVICE + "Talk": grpc.stream_stream_rpc_method_handler(talk),
            SERVICE + "Fail": grpc.unary_unary_rpc_method_handler(fail),
        }.get(details.method)


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def ask(address):
    with grpc.insecure_channel(address) as channel:
        answer, call = channel.unary_unary(SERVICE + "Say").with_call(b"hello", timeout=10)
        early, late = dict(call.initial_metadata()), dict(call.trailing_metadata())
        print("say", answer.decode(), early.get("x-early"), late.get("x-late"), "load" in str(late), flush=True)
        large = b"x" * 1_000_000
        print("large", channel.unary_unary(SERVICE + "Say")(large, timeout=10) == large)
        answers = list(channel.unary_stream(SERVICE + "Count")(b"5", timeout=10))
        print("count", len(answers), sum(map(len, answers)))
        talked(channel)
        for method in ("Fail", "Nothing"):
            try:
                channel.unary_unary(SERVICE + method)(b"", timeout=10)
            except grpc.RpcError as error:
                print(method.lower(), error.code().name, error.details())
        calls = [channel.unary_unary(SERVICE + "Say").future(str(n).encode(), timeout=10) for n in range(100)]
        print("many", sum(call.result() == str(n).encode() for n, call in enumerate(calls)))


def talked(channel):
    """Both sides speak in turn: each message is sent only after the answer to the one before."""
    turn, said = threading.Semaphore(1), []

    def requests():
        for word in (b"one", b"two", b"three"):
            turn.acquire(timeout=10)
            yield word

    for answer in channel.stream_stream(SERVICE + "Talk")(requests(), timeout=10):
        said.append(answer.decode())
        turn.release()
    print("talk", *said)


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else ask(sys.argv[2])
