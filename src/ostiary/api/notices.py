"""What policies asked people to be told about."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import create_model

from ostiary.api.route import Caller, Given, Limit, may, router
from ostiary.monitoring.notices import Notice

routes = router("notices")

NoticePage: Any = create_model("NoticePage", items=(list[Notice], ...), next=(str | None, None))


@routes.get("", response_model=NoticePage)
async def list_notices(
    services: Given,
    _: Annotated[Caller, may("list", "notice")],
    group: Annotated[str | None, Query(max_length=128, description="Only notices to this group.")] = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """List the newest notices since the gateway started; the decision of each leads to its ledger entry."""
    return {"items": services.notices.list(group)[:limit], "next": None}
