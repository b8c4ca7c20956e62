"""Who things belong to, as the configuration declares it: the one place that knows how organizations are inherited."""

from __future__ import annotations

from switchgear.config.schema import Config, Credential, Key


class Owners:
    """What the configuration declares by id or name, looked up in constant time.

    organizations, projects, users: ids; a project or user maps to the id of its organization, None without one.
    """

    __slots__ = ("keys", "organizations", "projects", "users")

    def __init__(self, config: Config):
        self.organizations: dict[str, None] = {entry.id: None for entry in config.organizations}
        self.projects: dict[str, str | None] = {entry.id: entry.organization for entry in config.projects}
        self.users: dict[str, str | None] = {entry.id: entry.organization for entry in config.users}
        self.keys: dict[str, Key] = {key.name: key for key in config.keys}

    def organization_of(self, project: str | None, user: str | None) -> str | None:
        """What requests of a project and a user count to: the project's organization, else the user's, else none."""
        return self.projects.get(project or "") or self.users.get(user or "")


def credential_name(credential: Credential, number: int) -> str:
    """What a credential is called. number: its place in `credentials`, from 0, for one without a name."""
    return credential.name or f"credential-{number + 1}"
