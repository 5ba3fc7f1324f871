"""The program's own log: one JSON object a line, or text for people. The ledger is not the log; this may be lost."""

import json
import logging
import sys
from datetime import UTC, datetime

from ostiary.core.inert import INERT, INERT_LINE


def configure(level: str, form: str) -> None:
    """Send every logger to standard error. `form` is `json`, `text`, or `auto`: text on a terminal."""
    is_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Text() if is_text else _Json())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of each broken request, which strangers send by the million


class _Json(logging.Formatter):
    """JSON escapes what a terminal would obey, so nothing else needs doing to it."""

    def format(self, record: logging.LogRecord) -> str:
        said = {"event": record.getMessage(), "level": record.levelname.lower(), "logger": record.name, "timestamp": _moment(record)}
        if trace := _trace(self, record):
            said["exception"] = trace
        return json.dumps(said)


class _Text(logging.Formatter):
    """Shows what servers and agents wrote, and lets the terminal obey none of it."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_moment(record)} [{record.levelname.lower():<8}] {record.getMessage().translate(INERT_LINE)} [{record.name}]"
        trace = _trace(self, record).translate(INERT)
        return f"{line}\n{trace}" if trace else line


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    found = [formatter.formatException(record.exc_info)] if record.exc_info else []
    return "\n".join([*found, *([formatter.formatStack(record.stack_info)] if record.stack_info else [])])


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
