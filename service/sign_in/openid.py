"""Signing in by OpenID Connect: the code flow (OpenID Connect Core §3.1) with PKCE (RFC 7636)."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from httpx2 import HTTPError as TransportError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

# Those with public keys. With HS256 the client's secret would be the key; `none` is no signature.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]

_TIMEOUT = 10.0  # seconds
_LEEWAY = 60  # seconds that the provider's clock may differ
_GROUP = "group:"


class ProviderError(Exception):
    """The provider does not answer, or not as OpenID Connect requires."""


class DeniedError(Exception):
    """The person who signed in may not open the library. The text is for this person."""


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """What the browser keeps between the request and the answer of the provider."""

    state: str
    nonce: str
    verifier: str
    """Of PKCE."""

    @property
    def text(self) -> str:
        """Return all three in one text."""
        return f"{self.state} {self.nonce} {self.verifier}"


class OpenIDClient:
    """Asks an OpenID provider who has signed in."""

    def __init__(
        self, issuer: str, client_id: str, client_secret: str | None, allowed: Sequence[str]
    ) -> None:
        """Admit `allowed`: e-mail addresses, `@` with a domain, `group:` with a name, `*`: all."""
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._allowed = frozenset(allowed)

    def _client(self, redirect_uri: str) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._client_id,
            self._client_secret,
            scope="openid email profile" + (" groups" if self._has_groups() else ""),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._client_secret else "none",
            timeout=_TIMEOUT,
        )

    def _has_groups(self) -> bool:
        return any(name.startswith(_GROUP) for name in self._allowed)

    async def begin(self, redirect_uri: str) -> tuple[str, SignInRequest]:
        """Return the provider's URL to go to, and what to keep. Raises ProviderError."""
        request = SignInRequest(*(secrets.token_urlsafe(32) for _ in range(3)))
        async with self._client(redirect_uri) as client:
            provider = await self._discover(client)
            url, _ = client.create_authorization_url(
                provider["authorization_endpoint"],
                state=request.state,
                nonce=request.nonce,
                code_verifier=request.verifier,
            )
        return str(url), request

    async def finish(self, redirect_uri: str, code: str, request: SignInRequest) -> str:
        """Return the name of who signed in. Raises ProviderError, DeniedError."""
        async with self._client(redirect_uri) as client:
            provider = await self._discover(client)
            try:
                token = await client.fetch_token(
                    provider["token_endpoint"], code=code, code_verifier=request.verifier
                )
            except (OAuthError, TransportError, ValueError) as error:
                raise ProviderError(f"the token endpoint: {error}") from error
            keys = await self._get(client, provider["jwks_uri"])
            claims = self._verify(token.get("id_token", ""), keys, request.nonce)
            if "email" not in claims and "userinfo_endpoint" in provider:
                more = await self._get(client, provider["userinfo_endpoint"])
                if more.get("sub") == claims["sub"]:  # OIDC Core §5.3.2
                    claims = {**more, **claims}
        return self._admit(claims)

    async def _discover(self, client: AsyncOAuth2Client) -> dict[str, Any]:
        """Return the provider's configuration (OIDC Discovery §4)."""
        url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        found = await self._get(client, url, with_token=False)
        if found.get("issuer") != self._issuer:  # §4.3
            raise ProviderError(f"{url} is of another issuer: {found.get('issuer')}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not str(found.get(name)).startswith(("https://", "http://")):
                raise ProviderError(f"{url} has no URL as {name}")
        return found

    async def _get(
        self, client: AsyncOAuth2Client, url: str, *, with_token: bool = True
    ) -> dict[str, Any]:
        try:
            response = await client.request("GET", url, withhold_token=not with_token)
            response.raise_for_status()
            found = response.json()
        except (TransportError, OAuthError, ValueError, TypeError) as error:
            raise ProviderError(f"{url}: {error}") from error
        if not isinstance(found, dict):
            raise ProviderError(f"{url}: the answer is no JSON object")
        return found

    def _verify(self, id_token: str, keys: dict[str, Any], nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token, checked as OIDC Core §3.1.3.7 requires."""
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._client_id},
            sub={"essential": True},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            token = jwt.decode(
                id_token,
                KeySet.import_key_set(cast("KeySetSerialization", keys)),
                algorithms=_ALGORITHMS,
            )
            registry.validate(token.claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderError(f"the ID token is not valid: {error}") from error
        if token.claims.get("azp", self._client_id) != self._client_id:
            raise ProviderError("the ID token is for another client")
        return token.claims

    def _admit(self, claims: dict[str, Any]) -> str:
        """Return the name of who has these claims. Raises DeniedError."""
        email = str(claims.get("email", "")).lower()
        groups = claims.get("groups")
        names = {f"{_GROUP}{name}" for name in groups} if isinstance(groups, list) else set()
        if email and claims.get("email_verified", False) is True:
            names |= {email, f"@{email.rpartition('@')[2]}"}
        shown = email or str(claims.get("preferred_username") or claims["sub"])
        if not self._allowed & {*names, "*"}:
            unverified = email and claims.get("email_verified") is not True
            why = " Its provider does not say that the address is verified." if unverified else ""
            raise DeniedError(f"{shown} may not open this library.{why}")
        return shown
