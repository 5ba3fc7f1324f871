"""The OpenAI wire: chat completions and models, as the official clients speak them."""

from ostiary.protocols.openai.door import OpenAiDoor

__all__ = ["OpenAiDoor"]
