"""A WebSocket server and clients of other people's making: `serve`, `ask HOST:PORT`, or `ask-h2 HOST:PORT`.

The clients print a line for each thing that they saw.
"""

import socket
import sys

import h2.config
import h2.connection
import h2.events
import h2.settings
from websockets.sync.client import connect
from websockets.sync.server import serve as listen


def echo(connection):
    for message in connection:
        if message == "bye":
            connection.close(4000, "as you wish")
            return
        connection.send(message)


def serve():
    with listen(echo, "127.0.0.1", 0, subprotocols=["chat"], max_size=None) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()


def ask(address):
    with connect(f"ws://{address}/chat", subprotocols=["chat"], max_size=None) as connection:
        print("agreed", connection.subprotocol)
        for message in ("hello", b"\x00\xff" * 1_000_000):
            connection.send(message)
            print("echoed", connection.recv(timeout=10) == message)
        print("ping", connection.ping().wait(10))
        connection.send("bye")
        try:
            connection.recv(timeout=10)
        except Exception as closed:
            print("closed", closed.rcvd.code, closed.rcvd.reason)


def ask_h2(address):
    """Opens a WebSocket on a stream (RFC 8441); a text frame is written by hand."""
    host, port = address.rsplit(":", 1)
    stream = socket.create_connection((host, int(port)), timeout=10)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    stream.sendall(connection.data_to_send())
    got, opened, status = b"", False, None
    while got != b"\x81\x05hello":
        for event in connection.receive_data(stream.recv(65_536)):
            if isinstance(event, h2.events.RemoteSettingsChanged) and not opened:
                opened = True
                code = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
                print("announced", event.changed_settings[code].new_value if code in event.changed_settings else 0)
                connection.send_headers(
                    1,
                    [
                        (":method", "CONNECT"),
                        (":protocol", "websocket"),
                        (":scheme", "http"),
                        (":authority", address),
                        (":path", "/chat"),
                        ("sec-websocket-version", "13"),
                        ("sec-websocket-protocol", "chat"),
                    ],
                )
            elif isinstance(event, h2.events.ResponseReceived):
                headers = {name.decode(): value.decode() for name, value in event.headers}
                print("answered", headers[":status"], headers.get("sec-websocket-protocol"))
                connection.send_data(1, b"\x81\x85\0\0\0\0hello")
            elif isinstance(event, h2.events.DataReceived):
                got += event.data
            elif isinstance(event, (h2.events.StreamReset, h2.events.StreamEnded, h2.events.ConnectionTerminated)):
                sys.exit(f"it ended: {event}")
        stream.sendall(connection.data_to_send())
    print("echoed True")


if __name__ == "__main__":
    {"serve": serve, "ask": lambda: ask(sys.argv[2]), "ask-h2": lambda: ask_h2(sys.argv[2])}[sys.argv[1]]()
