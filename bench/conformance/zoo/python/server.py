"""A server of a Python SDK: server.py http|sse|stdio [ADDRESS]."""

import asyncio
import inspect
import os
import sys

transport = sys.argv[1]
host, _, port = (sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1:0").rpartition(":")

# Three families of servers, whose tools look the same.
try:
    from fastmcp import Context, FastMCP

    server = FastMCP("zoo")

    def run():
        at = {} if transport == "stdio" else {"host": host, "port": int(port), "path": "/sse" if transport == "sse" else "/mcp"}
        server.run(transport=transport, show_banner=False, **at)

    def session(ctx):
        return ctx.session_id

except ImportError:
    try:
        from mcp.server.mcpserver import Context, MCPServer

        server = MCPServer("zoo", log_level="WARNING")

        def run():
            named = {"http": "streamable-http"}.get(transport, transport)
            at = {} if transport == "stdio" else {"host": host, "port": int(port)}
            # Some sessions end while their clients think.
            more = {"session_idle_timeout": float(os.environ["ZOO_IDLE"])} if transport == "http" and "ZOO_IDLE" in os.environ else {}
            server.run(named, **at, **more)

        def session(ctx):
            return ctx.request_context.session._connection

    except ImportError:
        from mcp.server.fastmcp import Context, FastMCP

        more = {}
        if "session_idle_timeout" in inspect.signature(FastMCP.__init__).parameters and "ZOO_IDLE" in os.environ:
            more["session_idle_timeout"] = float(os.environ["ZOO_IDLE"])
        server = FastMCP("zoo", host=host, port=int(port), log_level="WARNING", **more)

        def run():
            server.run({"http": "streamable-http"}.get(transport, transport))

        def session(ctx):
            return ctx.session


counts = {}


@server.tool()
def echo(text: str) -> str:
    return text


@server.tool()
def pid() -> str:
    return str(os.getpid())


@server.tool()
def counter(ctx: Context) -> str:
    key = session(ctx)
    counts[key] = counts.get(key, 0) + 1
    return str(counts[key])


@server.tool()
async def slow(ms: int, ctx: Context) -> str:
    for step in range(1, 4):
        await ctx.report_progress(step, 3)
        await asyncio.sleep(ms / 3000)
    return "done"


@server.tool()
async def log(text: str, ctx: Context) -> str:
    await ctx.info(text)
    return "logged"


@server.resource("zoo://animal")
def animal() -> str:
    return "a zebra"


@server.prompt()
def greet(name: str) -> str:
    return f"Greet {name}."


run()
