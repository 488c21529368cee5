"""gRPC workers and a gRPC client, both of the stock library; the client finds its workers by xDS.

    peer.py serve       a worker: prints its port, answers each call with it
    peer.py ask         a client of xds:///api: one call after the other for as long as it runs. Each line it reads is a
                        count; it answers with a line of JSON: which port answered how many of so many calls, and why others
                        failed.
"""

import concurrent.futures
import json
import sys

import grpc

METHOD = "/test.Who/Am"


def same(message):
    return message


def serve():
    port = 0

    def am(_request, _context):
        return str(port).encode()

    handler = grpc.method_handlers_generic_handler(
        "test.Who", {"Am": grpc.unary_unary_rpc_method_handler(am, same, same)}
    )
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def ask():
    channel = grpc.insecure_channel("xds:///api")
    am = channel.unary_unary(METHOD, same, same)
    for line in sys.stdin:
        answered, failed = {}, {}
        for _ in range(int(line)):
            try:
                port = am(b"", timeout=45, wait_for_ready=False).decode()
                answered[port] = answered.get(port, 0) + 1
            except grpc.RpcError as error:
                why = f"{error.code()}: {error.details()}"
                failed[why] = failed.get(why, 0) + 1
        print(json.dumps({"answered": answered, "failed": failed}), flush=True)


{"serve": serve, "ask": ask}[sys.argv[1]]()
