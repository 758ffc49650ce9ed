"""Starts servers and clients by fork: forkserver.py SOCKET

Importing an SDK takes seconds of CPU time, of which a test that restarts servers
needs many. This process imports it once. Each connection to SOCKET is then one
program: its first line is a JSON object (argv, env); it is answered with the
process id of a child, whose standard input and output the connection becomes."""

import importlib
import json
import os
import runpy
import signal
import socket
import sys

# What server.py and client.py import, and what that imports when it is used.
for name in [
    "fastmcp",
    "fastmcp.client.transports",
    "mcp.server.mcpserver",
    "mcp.server.fastmcp",
    "mcp.client",
    "mcp.client.streamable_http",
    "mcp.client.sse",
    "mcp.client.stdio",
    "sse_starlette",
    "uvicorn",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
]:
    try:
        importlib.import_module(name)
    except ImportError:  # each version has some of them
        pass


def run(connection, first):
    order = json.loads(first)
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.sendall(json.dumps({"pid": os.getpid()}).encode() + b"\n")
    os.dup2(connection.fileno(), 0)
    os.dup2(connection.fileno(), 1)
    connection.close()
    os.environ.update(order["env"])
    sys.argv = order["argv"]
    sys.stdin, sys.stdout = open(0, encoding="utf-8"), open(1, "w", encoding="utf-8")
    runpy.run_path(sys.argv[0], run_name="__main__")


signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the children
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(64)
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    line = b""
    while not line.endswith(b"\n"):  # byte by byte: what follows is the child's
        byte = connection.recv(1)
        if not byte:
            break
        line += byte
    if line and os.fork() == 0:
        listener.close()
        run(connection, line)
        sys.stdout.flush()
        os._exit(0)
    connection.close()
