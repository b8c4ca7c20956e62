"""The models that a caller may use, for the pages that list them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchgear.providers.model_lists import ListedModel

if TYPE_CHECKING:
    from switchgear.server.worker import Worker
    from switchgear.types import Principal
    from switchgear.upstream.catalogue import ModelEntry


async def models_for(worker: Worker, token: bytes) -> list[ModelEntry]:
    """The models that the bearer of `token` may use, in their configured order. Raises `AuthenticationFailed`."""
    authenticator = worker.gateway.authenticator
    principal: Principal | None = authenticator.authenticate(token)
    if principal is None:
        principal = await authenticator.authenticate_slowly(token)
    return [entry for entry in await worker.catalogue.entries() if principal.may_use(entry.id)]


def listed(entry: ModelEntry) -> ListedModel:
    """A model as the dialects' lists take it."""
    return ListedModel(entry.id, entry.owned_by, entry.created, embeds="embed" in entry.id.lower())
