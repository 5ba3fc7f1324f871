"""Policies that ship with the product: readable, one idea a file, each explained in `docs/explanation/starter-pack.md`."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from cedarpy import pst

from ostiary.core.errors import NotFound
from ostiary.policy.schema import PolicySchema
from ostiary.policy.source import Policy, read


@dataclass(frozen=True, slots=True)
class Pack:
    """The files of a pack that fit a registry, and those that speak of what it does not have."""

    files: Mapping[str, str]
    left_out: Mapping[str, str]
    """File name and why."""


def load(name: str, schema: PolicySchema) -> Pack:
    """Return a pack for a registry; a file that names an action or group it lacks is left out. Raises NotFound."""
    folder = files(__package__).joinpath(name)
    if not name.isidentifier() or not folder.is_dir():
        raise NotFound(f"there is no policy pack `{name[:64]}`")
    texts = {each.name: each.read_text("utf-8") for each in folder.iterdir() if each.name.endswith(".cedar")}
    fitting: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for file, text in sorted(texts.items()):
        policies, _ = read({file: text})
        missing = sorted({action for policy in policies for action in named_actions(policy)} - schema.members.keys())
        if missing:
            left_out[file] = f"there is no server, group or action `{missing[0]}` here"
        else:
            fitting[f"{name}/{file}"] = text
    return Pack(fitting, left_out)


def named_actions(policy: Policy) -> frozenset[str]:
    """Return the actions and groups that a policy names anywhere."""
    return frozenset(uid.id for uid in pst.entity_uids(policy.node) if str(uid.type) == "Action")
