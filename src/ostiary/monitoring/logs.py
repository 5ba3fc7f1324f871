"""The program's own log: one JSON object a line, or text for people. The ledger is not the log; this may be lost."""

import logging
import sys

import structlog

from ostiary.core.inert import INERT, INERT_LINE


def configure(level: str, form: str) -> None:
    """Send every logger to standard error. `form` is `json`, `text`, or `auto`: text on a terminal."""
    is_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor
    safe = [_inert] if is_text else []
    renderer = structlog.dev.ConsoleRenderer(colors=False) if is_text else structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *safe, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of each broken request, which strangers send by the million


def _inert(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Show what servers and agents wrote, and let the terminal obey none of it; JSON escapes it anyway."""
    return {
        name: value.translate(INERT if name == "exception" else INERT_LINE) if isinstance(value, str) else value
        for name, value in event.items()
    }
