"""The Anthropic wire: messages, token counts and models, as the official clients speak them."""

from ostiary.protocols.anthropic.door import AnthropicDoor

__all__ = ["AnthropicDoor"]
