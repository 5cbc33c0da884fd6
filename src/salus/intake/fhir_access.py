"""What opens a FHIR server: SMART Backend Services (a signed assertion for a short-lived token), or a bearer token.

SMART App Launch 2.2, "Backend Services" and "Asymmetric client authentication": the client signs a JWT of five minutes
with ES384 or RS384 and gets an access token for it. The private key never leaves this machine.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from salus.errors import DriverMissing, KeyUnfit
from salus.formats.fhir_server import FhirServer
from salus.intake.fhir_talk import Access, Open, Talk, trouble

DISCOVERY = ".well-known/smart-configuration"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFETIME, EARLY = 300, 30
"""Seconds that an assertion lives, and before its end at which a token is asked for anew."""


class Bearer:
    """A token from the environment; when it is refused there is no other."""

    def __init__(self, variable: str) -> None:
        self.variable = variable
        if not os.environ.get(variable):
            raise KeyUnfit(
                f"the environment variable {variable} is empty",
                where="token",
                fix=f"set {variable} to a bearer token",
            )

    def headers(self, *, fresh: bool = False) -> Mapping[str, str]:
        """The token."""
        if fresh:
            raise KeyUnfit(
                f"the server refuses the token in {self.variable}",
                where="token",
                fix="get a new one: it may have expired",
            )
        return {"Authorization": f"Bearer {os.environ[self.variable]}"}


class BackendServices:
    """Tokens for a registered client. ``talk``: a conversation with the same server without a credential."""

    def __init__(self, server: FhirServer, talk: Talk) -> None:
        if server.key is None:
            raise ValueError("a client needs a key")
        self.server, self.talk = server, talk
        self.key, self.algorithm = read_private_key(server.key)
        self.token, self.until, self.endpoint = "", 0.0, ""

    def headers(self, *, fresh: bool = False) -> Mapping[str, str]:
        """A token that still lives."""
        if fresh or time.monotonic() > self.until - EARLY:
            self._ask()
        return {"Authorization": f"Bearer {self.token}"}

    def _ask(self) -> None:
        if not self.endpoint:
            found, _ = self.talk.json(
                f"{self.server.base}/{DISCOVERY}", headers={"Accept": "application/json"}
            )
            self.endpoint = str((found or {}).get("token_endpoint", ""))
            if not self.endpoint.startswith(("https://", "http://")):
                raise trouble("the server names no token endpoint", self.server.base, "ask its staff")
            if self.endpoint.startswith("http://") and not self.talk.own(self.endpoint):
                raise trouble(
                    "the token endpoint is not encrypted", self.server.base, "ask its staff for https"
                )
        answer = self.talk.client.post(
            self.endpoint,
            data={
                "grant_type": "client_credentials",
                "scope": self.server.scope,
                "client_assertion_type": ASSERTION,
                "client_assertion": self._assertion(),
            },
            headers={"Accept": "application/json"},
        )
        said = _object(answer.content)
        if answer.status_code >= 300 or not isinstance(said.get("access_token"), str):
            why = (
                said.get("error")
                if str(said.get("error", "")).replace("_", "").isalpha()
                else "no token came"
            )
            raise KeyUnfit(
                f"the server gives this client no token: status {answer.status_code}, {why}",
                where=f"client {self.server.client}",
                fix="register the client's public key with the server, and check the scope",
            )
        self.token = said["access_token"]
        lives = said.get("expires_in", LIFETIME)
        self.until = time.monotonic() + (float(lives) if isinstance(lives, int | float) else LIFETIME)

    def _assertion(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self.server.client,
            "sub": self.server.client,
            "aud": self.endpoint,
            "exp": now + LIFETIME,
            "iat": now,
            "jti": str(uuid.uuid4()),
        }
        header = {"alg": self.algorithm, "typ": "JWT", "kid": self.key.thumbprint()}
        jwt = _joserfc("joserfc.jwt")
        return str(jwt.encode(header, claims, self.key, algorithms=[self.algorithm]))


def access_of(server: FhirServer, talk: Talk) -> Access:
    """What opens this server. Raises KeyUnfit (SAL-118) or DriverMissing (SAL-112)."""
    if server.key is not None:
        return BackendServices(server, talk)
    return Bearer(server.token_variable) if server.token_variable else Open()


def read_private_key(path: Path) -> tuple[Any, str]:
    """The key with the algorithm it is for: EC P-384 signs ES384, RSA of 2,048 bits and more RS384.

    A PEM file, or a JSON Web Key. Raises KeyUnfit (SAL-118); what the file holds is never repeated.
    """
    jwk, jose_error = _joserfc("joserfc.jwk"), _joserfc("joserfc.errors").JoseError
    try:
        content = path.read_bytes()
    except OSError as error:
        fix = "name the file of the private key"
        raise KeyUnfit(f"the key '{path.name}' cannot be read", where=str(path), fix=fix) from error
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise KeyUnfit(
            f"others may read the key '{path.name}'", where=str(path), fix=f"chmod 600 {path.name}"
        )
    for kind, algorithm in ((jwk.ECKey, "ES384"), (jwk.RSAKey, "RS384")):
        try:
            key = kind.import_key(_object(content) or content)
            if key.is_private and (algorithm == "RS384" or key.curve_name == "P-384"):
                return key, algorithm
        except (ValueError, TypeError, jose_error):
            continue  # not this kind of key
    raise KeyUnfit(
        f"'{path.name}' is no private key for SMART Backend Services",
        where=str(path),
        fix="make one: openssl ecparam -genkey -name secp384r1 -noout -out client-key.pem",
    )


def public_key(path: Path) -> dict[str, object]:
    """The public half as a JSON Web Key, to be registered with the server."""
    key, algorithm = read_private_key(path)
    told: dict[str, object] = dict(key.as_dict(private=False))
    return told | {"kid": key.thumbprint(), "alg": algorithm, "use": "sig"}


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _joserfc(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise DriverMissing(
            "signing for a FHIR server needs joserfc",
            where="salus.intake.fhir_access",
            fix="pip install 'salus[fhir-server]'",
        ) from error
