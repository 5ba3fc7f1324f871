"""Directories read from connected sources: what a trusted system vouches for becomes a trusted list, and stops being one when it cannot be read."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ostiary.core.canonical import canonical, digest
from ostiary.core.clock import Clock
from ostiary.core.decision import refusal_of
from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ids import new_id
from ostiary.core.ports import Ledger, RegistrySource
from ostiary.core.registry import Registry, TrustedDirectory
from ostiary.protocols.mcp.door import McpDoor
from ostiary.protocols.mcp.upstream import SessionLost
from ostiary.provenance.answers import trees
from ostiary.provenance.directories import keys_of_values
from ostiary.provenance.engine import Provenance

log = logging.getLogger("ostiary.mcp.directories")

REFRESH_S: Final = 300.0
READ_S: Final = 30.0
MAX_VALUES: Final = 10_000
MAX_LENGTH: Final = 256
MAX_NODES: Final = 200_000


class DirectoryReader:
    """Reads every directory that is declared `from` a tool: at start, when the registry changes, and every five minutes."""

    def __init__(self, mcp: McpDoor, source: RegistrySource, provenance: Provenance, ledger: Ledger, clock: Clock) -> None:
        self._upstreams = mcp.upstreams
        self._catalogue = mcp.catalogue
        self._source = source
        self._provenance = provenance
        self._ledger = ledger
        self._clock = clock
        self._known: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.failures: dict[str, str] = {}
        """By name, why a directory could not be read: its values are untrusted meanwhile."""

    def start(self) -> Callable[[Registry], None]:
        """Begin to read, beside everything else; return what to call when the registry changes."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self.on_change

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def on_change(self, registry: Registry) -> None:
        """Look again when what is declared or what a source is trusted for may have changed."""
        if any(directory.tool for directory in registry.directories.values()) or self._known:
            self._changed.set()

    async def refresh(self) -> Mapping[str, str]:
        """Read all now; return by name why one could not be read."""
        wanted = {name: each for name, each in self._source.registry.directories.items() if each.tool}
        for name in [name for name in {*self._known, *self.failures} if name not in wanted]:
            self._drop(name)
            self.failures.pop(name, None)
        await asyncio.gather(*(self._refresh(each) for each in wanted.values()))
        return dict(self.failures)

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            await self.refresh()
            try:
                async with asyncio.timeout(REFRESH_S):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _refresh(self, directory: TrustedDirectory) -> None:
        name = directory.name
        try:
            async with asyncio.timeout(READ_S):
                values = await self._read(directory)
            seen = digest([directory.tool, directory.field, list(values)])
            if self._known.get(name) != seen:
                await self._ledger.append(self._entry(directory, values))
                self._provenance.directories.know(name, await asyncio.to_thread(keys_of_values, values))
                self._known[name] = seen
            self.failures.pop(name, None)
        except Exception as error:
            why = f"no answer within {READ_S:.0f} s" if isinstance(error, TimeoutError) else refusal_of(error).detail
            if self.failures.get(name) != why:
                log.warning("directory %s could not be read, its values are untrusted: %s", name, why)
            self.failures[name] = why
            self._drop(name)

    def _entry(self, directory: TrustedDirectory, values: tuple[str, ...]) -> Entry:
        """What a directory holds now is recorded before it counts."""
        return Entry(
            id=new_id(),
            family=Family.CHANGE,
            kind=Kind.EVENT,
            at_ns=self._clock.now_ns(),
            user="ostiary",
            verb="read",
            action="read_directory",
            resource=f"directories/{directory.name}",
            parts=(Part("after", canonical({"tool": directory.tool, "field": directory.field, "values": list(values)})),),
        )

    def _drop(self, name: str) -> None:
        self._known.pop(name, None)
        self._provenance.directories.know(name, None)

    async def _read(self, directory: TrustedDirectory) -> tuple[str, ...]:
        server, _, tool = directory.tool.partition("/")
        await self._catalogue.ensure(server)
        _check_vouched(self._source.registry, directory)
        params: dict[str, Any] = {"name": tool, "arguments": {}}
        try:
            reply = await (await self._upstreams.shared(server)).request("tools/call", params)
        except SessionLost:
            reply = await (await self._upstreams.shared(server)).request("tools/call", params)
        result = reply.get("result")
        if not isinstance(result, Mapping) or result.get("isError"):
            raise UpstreamUnavailable(f"`{directory.tool}` answered with an error")
        # Looked at again: what vouched for the field may have changed while the source answered.
        _check_vouched(self._source.registry, directory)
        return values_at(result, directory.field)


def values_at(result: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """Return the texts at a dotted path of an answer, each once. Raises UpstreamUnavailable for too many, or none to be found."""
    path = [] if field == "result" else field.split(".")
    found: dict[str, None] = {}
    for tree, is_tree in trees(result):
        for value in _walk(tree, path) if is_tree else ():
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)  # noqa: PLW2901 - a number that names something
            if isinstance(value, str) and 0 < len(value) <= MAX_LENGTH and value.isprintable():
                found[value] = None
            if len(found) > MAX_VALUES:
                raise UpstreamUnavailable(f"the directory has more than {MAX_VALUES} values")
    if not found:
        raise UpstreamUnavailable(f"the answer holds no value at `{field}`")
    return tuple(found)


def _walk(tree: Any, path: list[str]) -> Iterator[Any]:
    """Iterate the scalars at a path; a list on the way stands for each of its items, an answer's `result` wrapper for itself."""
    pending, nodes = [(tree, 0)], 0
    while pending:
        node, depth = pending.pop()
        nodes += 1
        if nodes > MAX_NODES:
            raise UpstreamUnavailable("the answer is too large for a directory")
        if isinstance(node, list):
            pending.extend((item, depth) for item in node[:MAX_NODES])
        elif isinstance(node, Mapping):
            if depth < len(path) and path[depth] in node:
                pending.append((node[path[depth]], depth + 1))
            elif depth == 0 and set(node) == {"result"}:
                pending.append((node["result"], 0))
        elif depth == len(path):
            yield node


def _check_vouched(registry: Registry, directory: TrustedDirectory) -> None:
    """Raise UpstreamUnavailable unless a trusted server's confirmed, reading tool vouches for the field."""
    tool, server = registry.tools.get(directory.tool), registry.servers.get(directory.tool.partition("/")[0])
    if server is None or server.trust != "trusted":
        raise UpstreamUnavailable(f"the server of `{directory.tool}` is not declared `trust: trusted`")
    if tool is None or not tool.accepted:
        raise UpstreamUnavailable(f"tool `{directory.tool}` is not known, or quarantined")
    profile = tool.profile
    if not profile.confirmed or profile.effect != "read" or profile.external:
        raise UpstreamUnavailable(f"the profile of `{directory.tool}` is not confirmed as one that only reads")
    if directory.field not in profile.attested | profile.directory:
        raise UpstreamUnavailable(f"the profile of `{directory.tool}` does not vouch for `{directory.field}`")
