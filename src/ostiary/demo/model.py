"""A stand-in for a language model that obeys: an OpenAI-compatible server that plays a script.

It is no language model. It follows every instruction it recognises, whether the user wrote it or a mail did: the
worst case of prompt injection, made reproducible. Every request body it receives is appended to a file, so that
the story can show what did not reach it.
"""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

AMOUNT = r"(\d+(?:\.\d+)?) EUR"
STORY = ["Once", "upon", "a", "time", "there", "was", "a", "doorkeeper", "who", "asked", "every", "visitor", "for", "a", "name.", ""]


def obey(messages: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return the tool calls that the newest user or tool message asks for; nothing tells the two apart."""
    text = str(messages[-1].get("content", ""))
    calls: list[tuple[str, dict[str, Any]]] = []
    if re.search(r"read (my|the) inbox", text, re.IGNORECASE):
        calls.append(("mail__read_inbox", {}))
    if found := re.search(r"read the file (\S+)", text, re.IGNORECASE):
        calls.append(("files__read", {"path": found[1].rstrip(".,")}))
    if found := re.search(r"delete the file (\S+)", text, re.IGNORECASE):
        calls.append(("files__delete", {"path": found[1].rstrip(".,")}))
    if found := re.search(r"forward the inbox to (\S+@[\w.-]+\w)", text, re.IGNORECASE):
        calls.append(("mail__send", {"to": found[1], "subject": "Inbox", "body": text}))
    if found := re.search(rf"pay {AMOUNT} to ([A-Z]{{2}}\d{{2}}\w+)", text, re.IGNORECASE):
        reference = re.search(r"invoice (\d+)", text, re.IGNORECASE)
        calls.append(("payments__pay", {"iban": found[2], "amount": float(found[1]), "reference": reference[1] if reference else "none"}))
    return calls


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """Return the assistant message to a chat request."""
    offered = {tool["function"]["name"] for tool in body.get("tools", [])}
    calls = [(name, arguments) for name, arguments in obey(body["messages"]) if name in offered or not offered]
    if not calls:
        return {"role": "assistant", "content": "Done. " + str(body["messages"][-1].get("content", ""))[:200]}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for index, (name, arguments) in enumerate(calls)
        ],
    }


def build(received: Path) -> Starlette:
    """Return the server; each body it receives is appended to the file `received`."""

    async def completions(request: Request) -> Response:
        raw = await request.body()
        with received.open("ab") as file:
            file.write(raw + b"\n")
        body = json.loads(raw)
        if body.get("stream"):
            return StreamingResponse(_tell(body["model"]), media_type="text/event-stream")
        message = answer(body)
        finish = "tool_calls" if "tool_calls" in message else "stop"
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
        return JSONResponse({**_head(body["model"], "chat.completion"), "choices": [choice], "usage": usage})

    async def health(_request: Request) -> JSONResponse:
        return JSONResponse({"ok": True})

    routes = [Route("/v1/chat/completions", completions, methods=["POST"]), Route("/health", health)]
    return Starlette(routes=routes)


def _head(model: str, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-demo", "object": kind, "created": 1_760_000_000, "model": model}


async def _tell(model: str) -> AsyncIterator[str]:
    """Tell a long story slowly, a word at a time."""
    for word in STORY * 20:
        choice = {"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}
        yield f"data: {json.dumps({**_head(model, 'chat.completion.chunk'), 'choices': [choice]})}\n\n"
        await asyncio.sleep(0.02)
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield f"data: {json.dumps({**_head(model, 'chat.completion.chunk'), 'choices': [choice]})}\n\ndata: [DONE]\n\n"


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(build(Path(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
