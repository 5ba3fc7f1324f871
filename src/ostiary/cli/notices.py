"""Notices: what policies asked people to be told about."""

from cyclopts import App

from ostiary.cli.client import Client
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import moment

app = App(name="notice", help="What policies asked people to be told about.", result_action="return_value")


@app.command(name="list")
def list_notices(*, group: str = "", limit: int = 50, out: Out = PLAIN) -> None:
    """List notices since the gateway started, the newest first. `ostiary audit show DECISION` has the rest."""
    found = Client.of_place().get("/v1/notices", group=group, limit=limit)["items"]
    rows = found if out.json else [{**notice, "at": moment(notice["at"]), "policies": ", ".join(notice["policies"])} for notice in found]
    out.many(rows, ("at", "group", "agent", "action", "resource", "decision"))
