"""Which organization, project and user a caller's requests count to.

A key says it itself. A token's claims are configured (`auth.jwt.*_claim`) and must name what is declared: one that
names something else is refused, since the limits of what it should count to could not hold. Without `user_claim` the
subject is the user, where one of that id is declared.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from switchgear.auth.refusals import invalid_token
from switchgear.config.owners import Owners
from switchgear.config.schema import Jwt, Key


class Membership(Struct, frozen=True):
    """The ids, "" for none."""

    organization: str = ""
    project: str = ""
    user: str = ""


def of_key(key: Key, owners: Owners | None) -> Membership:
    """What a virtual key counts to. owners: None where no organization is inherited."""
    organization = owners.organization_of(key.project, key.user) if owners is not None else None
    return Membership(organization or "", key.project or "", key.user or "")


def of_claims(claims: dict[str, Any], subject: str, settings: Jwt, owners: Owners) -> Membership:
    """What a token counts to. Raises AuthenticationFailed for a claim that names nothing declared, and for an
    organization that is not the project's."""
    project = _declared(claims, settings.project_claim, owners.projects)
    organization = _declared(claims, settings.organization_claim, owners.organizations)
    if settings.user_claim is not None:
        user = _declared(claims, settings.user_claim, owners.users)
    else:
        user = subject if subject in owners.users else ""
    inherited = owners.projects.get(project) or ""
    if organization and inherited and organization != inherited:
        raise invalid_token(f"its claim {settings.organization_claim} is not the organization of its project.")
    return Membership(organization or owners.organization_of(project, user) or "", project, user)


def _declared(claims: dict[str, Any], claim: str | None, ids: dict[str, Any]) -> str:
    value = claims.get(claim) if claim is not None else None
    if value is None:
        return ""
    if not isinstance(value, str) or value not in ids:
        raise invalid_token(f"its claim {claim} names nothing that is declared here.")
    return value
