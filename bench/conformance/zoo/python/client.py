"""A client of a Python SDK: client.py http|sse|stdio URL|COMMAND…

It reads a JSON object a line (do, name, arguments), and writes one for each:
ok, or error. In between it writes what it is told: progress, log."""

import asyncio
import contextlib
import json
import sys

transport, *target = sys.argv[1:]


def say(**what):
    print(json.dumps(what), flush=True)


async def logged(params):
    data = params.data
    say(log=data["msg"] if isinstance(data, dict) and "msg" in data else data)


async def progressed(progress, total=None, message=None):
    say(progress=progress)


def old_transport():
    """The transports of version 1 of the SDK."""
    if transport == "http":
        from mcp.client.streamable_http import streamablehttp_client

        return streamablehttp_client(target[0])
    if transport == "sse":
        from mcp.client.sse import sse_client

        return sse_client(target[0])
    from mcp import StdioServerParameters, stdio_client

    return stdio_client(StdioServerParameters(command=target[0], args=target[1:]))


@contextlib.asynccontextmanager
async def connect():
    """Yields the client, the revision, and what calls a tool."""
    try:
        import fastmcp  # noqa: F401
        from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport
    except ImportError:
        try:
            from mcp.client import Client
        except ImportError:
            from mcp import ClientSession

            async with old_transport() as (read, write, *_):
                async with ClientSession(read, write, logging_callback=logged) as session:
                    revision = (await session.initialize()).protocolVersion
                    yield session, revision, {"progress_callback": progressed}
            return
        over = target[0]
        if transport == "sse":
            from mcp.client.sse import sse_client

            over = sse_client(over)
        if transport == "stdio":
            from mcp.client.stdio import StdioServerParameters

            over = StdioServerParameters(command=target[0], args=target[1:])
        async with Client(over, logging_callback=logged, log_level="info") as client:
            yield client, client.protocol_version, {"progress_callback": progressed}
        return
    over = {
        "http": lambda: StreamableHttpTransport(target[0]),
        "sse": lambda: SSETransport(target[0]),
        "stdio": lambda: StdioTransport(target[0], target[1:]),
    }[transport]()
    async with fastmcp.Client(over, log_handler=logged) as client:
        result = getattr(client, "initialize_result", None)
        revision = getattr(result, "protocolVersion", None) or getattr(result, "protocol_version", None)
        yield client, revision or getattr(client, "protocol_version", None), {"progress_handler": progressed, "raise_on_error": False}


def field(of, *names):
    """The first that there is: names differ between versions."""
    for name in names:
        if hasattr(of, name):
            return getattr(of, name)
    raise AttributeError(names)


def items(found, name):
    return found if isinstance(found, list) else getattr(found, name)


async def do(client, ask, options):
    what, name, arguments = ask["do"], ask.get("name"), ask.get("arguments")
    if what == "level":
        await client.set_logging_level("info")
        return ""
    if what == "tools":
        return [t.name for t in items(await client.list_tools(), "tools")]
    if what == "resources":
        return [str(r.uri) for r in items(await client.list_resources(), "resources")]
    if what == "prompts":
        return [p.name for p in items(await client.list_prompts(), "prompts")]
    if what == "read":
        try:
            found = await client.read_resource(name)
        except (AttributeError, TypeError):  # version 1 has a type for URIs
            from pydantic import AnyUrl

            found = await client.read_resource(AnyUrl(name))
        return items(found, "contents")[0].text
    if what == "prompt":
        return (await client.get_prompt(name, arguments)).messages[0].content.text
    result = await client.call_tool(name, arguments, **options)
    if field(result, "isError", "is_error"):
        raise RuntimeError(result.content[0].text)
    return result.content[0].text


async def main():
    async with connect() as (client, revision, options):
        say(ok=revision)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            try:
                async with asyncio.timeout(20):
                    say(ok=await do(client, json.loads(line), options))
            except Exception as e:  # every kind is an outcome
                say(error=f"{type(e).__name__}: {e}")


try:
    asyncio.run(main())
except BaseException as e:
    while isinstance(e, BaseExceptionGroup):
        e = e.exceptions[0]
    say(error=f"{type(e).__name__}: {e}")
