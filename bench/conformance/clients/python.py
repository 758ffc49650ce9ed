"""A client of the Python SDK: python.py [auto|legacy] [soak] URL."""

import asyncio
import json
import sys
import time

from mcp import types
from mcp.client import Client

CALLS = [
    ("test_simple_text", {}),
    ("test_tool_with_progress", {}),
    ("test_elicitation", {"message": "who are you?"}),
    ("test_sampling", {"prompt": "say something"}),
    ("test_input_required_result_elicitation", {}),
    ("echo", {"message": "hello"}),
    ("get-sum", {"a": 1, "b": 2}),
]


async def elicited(context, params):
    return types.ElicitResult(action="accept", content={"username": "somebody", "email": "some@example.com"})


async def sampled(context, params):
    return types.CreateMessageResult(
        role="assistant", model="none", content=types.TextContent(type="text", text="something")
    )


async def main(url, mode):
    outcome = {}

    async def step(name, do):
        try:
            async with asyncio.timeout(15):
                result = await do()
            if getattr(result, "is_error", False):
                raise RuntimeError(str(result.content))
            outcome[name] = "ok"
            return result
        except Exception as e:  # every kind is an outcome
            outcome[name] = f"{type(e).__name__}: {e}"

    client = Client(url, mode=mode, elicitation_callback=elicited, sampling_callback=sampled)
    try:
        async with client:
            outcome["connect"] = "ok"
            await step("list tools", client.list_tools)
            await step("list prompts", client.list_prompts)
            await step("list templates", client.list_resource_templates)
            found = await step("list resources", client.list_resources)
            if found and found.resources:
                await step("read", lambda: client.read_resource(str(found.resources[0].uri)))
            for name, arguments in CALLS:
                await step("call " + name, lambda: client.call_tool(name, arguments))
        outcome["close"] = "ok"
    except Exception as e:
        outcome.setdefault("connect", f"{type(e).__name__}: {e}")
    print(json.dumps(outcome))


async def soak(url, mode):
    """Calls for as long as stdin is open, and prints errors as JSON lines."""
    loop = asyncio.get_running_loop()
    closed = loop.run_in_executor(None, sys.stdin.read)
    calls = 0

    def now():
        return int(time.time() * 1000)

    async with Client(url, mode=mode, cache=None, elicitation_callback=elicited, sampling_callback=sampled) as client:
        while not closed.done():
            for cluster in ("one", "two"):
                for name, arguments in CALLS[:3]:
                    began = now()
                    try:
                        async with asyncio.timeout(30):
                            result = await client.call_tool(f"{cluster}__{name}", arguments)
                        if result.is_error:
                            raise RuntimeError(str(result.content))
                        calls += 1
                    except Exception as e:
                        print(json.dumps({"began": began, "at": now(), "what": cluster, "error": f"{type(e).__name__}: {e}"}), flush=True)
            try:
                await client.list_tools()
                calls += 1
            except Exception as e:
                print(json.dumps({"at": now(), "what": "list", "error": f"{type(e).__name__}: {e}"}), flush=True)
            await asyncio.sleep(0.02)
    print(json.dumps({"calls": calls}), flush=True)


asyncio.run((soak if "soak" in sys.argv else main)(sys.argv[-1], sys.argv[1]))
