"""How a command ends: its exit code, and what a person is told. No traceback ever reaches one."""

import re
import sys
from collections.abc import Callable, Sequence

from ostiary.cli.output import say
from ostiary.core.errors import Corrupt, Invalid, OstiaryError

DONE, NO, USAGE, UNREACHABLE = 0, 1, 2, 3
"""Exit codes: done · the answer is no · usage or configuration · could not reach or write."""


def ended(work: Callable[[], object], arguments: Sequence[str] = ()) -> int:
    """Do the work of a command; return its exit code. `arguments` are what was typed, to name flags by."""
    try:
        code = work()
        return code if isinstance(code, int) and not isinstance(code, bool) else DONE
    except OstiaryError as error:
        say(f"error: {_with_flags(error.detail, arguments)}" + (f"\nto do: {error.remedy}" if error.remedy else ""))
        return exit_code(error)
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return DONE
    except OSError as error:
        where = f": `{error.filename}`\nto do: name a place that is there and that you may read and write" if error.filename else ""
        say(f"error: {(error.strerror or str(error)).lower()}{where}")
        return UNREACHABLE


def exit_code(error: OstiaryError) -> int:
    """Return the exit code an error stands for."""
    status = error.status
    if isinstance(error, Corrupt) or status in {401, 403, 409} or error.code == "held":
        return NO
    return USAGE if isinstance(error, Invalid) or (400 <= status < 500 and status != 429) else UNREACHABLE


def _with_flags(detail: str, arguments: Sequence[str]) -> str:
    """Name what was typed, where the gateway names the field it was sent in: `body.ttl_s` is `--ttl`, in seconds."""

    def flag(found: re.Match[str]) -> str:
        name = found["name"]
        flags = [f"--{each.replace('_', '-')}" for each in (name, name.removesuffix("_s"), name.removesuffix("s"))]
        typed = next((flag for flag in flags if any(word.partition("=")[0] == flag for word in arguments)), name)
        return f"`{typed}` (in seconds)" if name.endswith("_s") else f"`{typed}`"

    detail = detail.removeprefix("the body: ")
    return re.sub(r"`body\.(?P<name>[a-z_]+)(?:\.[^`]*)?`", flag, detail)
