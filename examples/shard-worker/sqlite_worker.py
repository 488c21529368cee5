"""A worker of a keyspace that keeps carts in SQLite, with nothing but Python's own library.

    python3 sqlite_worker.py 127.0.0.1:9001 carts.db

`POST /carts/ID` adds a line, `PUT` sets, `GET` shows, `DELETE` takes away. The four endpoints under /.ambidex/app/v1 move carts
between workers: see docs/shard-workers.md. The agent before this worker does the rest.

Everything that belongs to one key is one entry. Beside each key stands its point, which the agent gives with every request
(`Ambidex-Point`) and every entry: ranges are compared as texts, and nothing is hashed here.
"""

import base64
import json
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_to_bytes

TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS carts (keyspace TEXT, point TEXT, key BLOB, value BLOB,
    PRIMARY KEY (keyspace, point, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS staged (keyspace TEXT, staging TEXT, point TEXT, key BLOB, value BLOB,
    PRIMARY KEY (keyspace, staging, point, key)) WITHOUT ROWID;
-- Which stagings there are, and which of them were activated.
CREATE TABLE IF NOT EXISTS stagings (keyspace TEXT, staging TEXT, activated INTEGER,
    PRIMARY KEY (keyspace, staging)) WITHOUT ROWID;
"""


class Carts:
    """One connection, one lock: SQLite has one writer anyway. Each method is one transaction, durable when it returns."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.executescript(TABLES)

    def __enter__(self):
        self.lock.acquire()
        self.db.execute("BEGIN IMMEDIATE")
        return self.db

    def __exit__(self, kind, error, trace):
        self.db.execute("ROLLBACK" if kind else "COMMIT")
        self.lock.release()

    def export(self, asked):
        """Some entries of a range, or these keys, of a staging if one is named."""
        keyspace, entries = asked["keyspace"], []
        with self as db:
            if "keys" in asked:
                for one in asked["keys"]:
                    where = [keyspace, one["point"], decoded(one["key"])]
                    if "staging" in asked:
                        sql = "SELECT value FROM staged WHERE keyspace = ? AND point = ? AND key = ? AND staging = ?"
                        where.append(asked["staging"])
                    else:
                        sql = "SELECT value FROM carts WHERE keyspace = ? AND point = ? AND key = ?"
                    found = db.execute(sql, where).fetchone()
                    entries.append({"key": one["key"], "value": found and encoded(found[0])})
                return {"entries": entries}
            # The cursor is ours: the point and the key of the last entry.
            point, key = (asked.get("after") or " ").split(" ", 1)
            rows = db.execute(
                "SELECT point, key, value FROM carts WHERE keyspace = ? AND point BETWEEN ? AND ? AND (point, key) > (?, ?)"
                " ORDER BY point, key LIMIT ?",
                (keyspace, asked["first"], asked["last"], point, decoded(key), asked["limit"] + 1),
            )
            size, cursor = 0, None
            for point, key, value in rows:
                if len(entries) == asked["limit"] or size >= asked["bytes"]:
                    return {"entries": entries, "next": cursor}
                size += len(key) + len(value)
                cursor = f"{point} {encoded(key)}"
                entries.append({"key": encoded(key), "value": encoded(value)})
            return {"entries": entries}

    def import_(self, asked):
        """Puts entries into a staging, which no request sees; takes those without a value out of it."""
        keyspace, staging = asked["keyspace"], asked["staging"]
        with self as db:
            db.execute("INSERT OR IGNORE INTO stagings VALUES (?, ?, 0)", (keyspace, staging))
            for one in asked["entries"]:
                at = (keyspace, staging, one["point"], decoded(one["key"]))
                if one["value"] is None:
                    db.execute("DELETE FROM staged WHERE keyspace = ? AND staging = ? AND point = ? AND key = ?", at)
                else:
                    db.execute("INSERT OR REPLACE INTO staged VALUES (?, ?, ?, ?, ?)", (*at, decoded(one["value"])))
            count = "SELECT count(*) FROM staged WHERE keyspace = ? AND staging = ?"
            return {"total": db.execute(count, (keyspace, staging)).fetchone()[0]}

    def activate(self, asked):
        """Makes a staging all that there is in a range; a second time, nothing."""
        keyspace, staging = asked["keyspace"], asked["staging"]
        with self as db:
            sql = "SELECT activated FROM stagings WHERE keyspace = ? AND staging = ?"
            found = db.execute(sql, (keyspace, staging)).fetchone()
            if found is None:
                raise LookupError("there is no such staging")
            if not found[0]:
                delete_range(db, asked)
                db.execute(
                    "INSERT INTO carts SELECT keyspace, point, key, value FROM staged WHERE keyspace = ? AND staging = ?",
                    (keyspace, staging),
                )
                db.execute("DELETE FROM staged WHERE keyspace = ? AND staging = ?", (keyspace, staging))
                db.execute("UPDATE stagings SET activated = 1 WHERE keyspace = ? AND staging = ?", (keyspace, staging))
        return {}

    def drop(self, asked):
        """Deletes a range, a staging, or all stagings but some."""
        keyspace = asked["keyspace"]
        with self as db:
            if "first" in asked:
                delete_range(db, asked)
            gone = [asked["staging"]] if "staging" in asked else []
            if "except" in asked:
                every = db.execute("SELECT staging FROM stagings WHERE keyspace = ?", (keyspace,))
                gone += [staging for (staging,) in every if staging not in asked["except"]]
            for staging in gone:
                for table in ("staged", "stagings"):
                    db.execute(f"DELETE FROM {table} WHERE keyspace = ? AND staging = ?", (keyspace, staging))
        return {}

    def change(self, method, keyspace, point, key, body):
        """A request of a client, which the agent has admitted. The answer goes out when it is durable."""
        at = (keyspace, point, key)
        with self as db:
            found = db.execute("SELECT value FROM carts WHERE keyspace = ? AND point = ? AND key = ?", at).fetchone()
            if method == "GET":
                return (200, found[0]) if found else (404, b"")
            if method == "DELETE":
                db.execute("DELETE FROM carts WHERE keyspace = ? AND point = ? AND key = ?", at)
                return 204, b""
            value = (found[0] if found else b"") + body.rstrip() + b"\n" if method == "POST" else body
            db.execute("INSERT OR REPLACE INTO carts VALUES (?, ?, ?, ?)", (*at, value))
            return (201 if method == "POST" else 204), b""


def delete_range(db, asked):
    where = (asked["keyspace"], asked["first"], asked["last"])
    db.execute("DELETE FROM carts WHERE keyspace = ? AND point BETWEEN ? AND ?", where)


def encoded(value):
    return base64.b64encode(value).decode()


def decoded(text):
    return base64.b64decode(text, validate=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        carts = self.server.carts
        try:
            if self.path.startswith("/.ambidex/app/v1/"):
                what = self.path.rsplit("/", 1)[1]
                does = {"export": carts.export, "import": carts.import_, "activate": carts.activate, "drop": carts.drop}[what]
                status, said = 200, json.dumps(does(json.loads(body))).encode()
            elif self.path == "/healthz":
                status, said = 200, b"well\n"
            else:
                field = self.headers.get
                key = unquote_to_bytes(field("Ambidex-Key", ""))
                place = (field("Ambidex-Keyspace", ""), field("Ambidex-Point", ""), key)
                status, said = carts.change(self.command, *place, body)
        except (KeyError, LookupError) as error:
            status, said = 404, str(error).encode()
        except (ValueError, TypeError) as error:
            status, said = 400, str(error).encode()
        except sqlite3.Error as error:
            # The transaction was rolled back: nothing was done, and 503 says so.
            status, said = 503, str(error).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_PUT = do_DELETE = serve

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True


if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    server = Server((host, int(port)), Handler)
    server.carts = Carts(sys.argv[2])
    print(f"carts at http://{host}:{server.server_port}", flush=True)
    server.serve_forever()
