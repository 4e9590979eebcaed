"""A tenant's credentials as nodes see them: `shared.nodes.world.Credentials`."""

from __future__ import annotations

from shared.credentials.store import CredentialStore
from shared.nodes.world import Credential


class OpenCredentials:
    """Opens credentials, and fetches access tokens from where nodes may go."""

    def __init__(self, store: CredentialStore, allowed_hosts: frozenset[str]) -> None:
        self._store = store
        self._allowed_hosts = allowed_hosts

    def open(self, name: str) -> Credential:
        """The credential of that name. Raises NotFound, Unavailable."""
        return self._store.open(name)

    async def access_token(self, name: str, stale: str | None = None) -> str:
        """An access token for a credential of an OAuth2 kind; another one than `stale`.

        Raises NotFound, Invalid, TokenRefused, Unavailable.
        """
        from shared.credentials import oauth

        return await oauth.access_token(self._store, name, self._allowed_hosts, stale)
