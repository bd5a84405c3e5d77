"""An operator of a test's own: accounts and users as JSON Web Tokens that nkeys sign, as ``nsc`` makes them.

https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt
"""

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys

ALL = {"subs": -1, "data": -1, "payload": -1}
WITH_JETSTREAM = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
ACCOUNT = {"imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}


class Key:
    """A new pair of keys: of an operator, an account or a user."""

    def __init__(self, kind: int) -> None:
        self.seed = bytes(nkeys.encode_seed(os.urandom(32), kind))
        self.pair = nkeys.from_seed(bytearray(self.seed))
        self.public = self.pair.public_key.decode()

    def token(self, about: "Key", name: str, claims: dict[str, Any]) -> str:
        """What this key signs about another one."""
        body = {"iat": int(time.time()), "iss": self.public, "name": name, "sub": about.public, "nats": claims}
        body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
        signed = f"{_coded({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_coded(body)}"
        return f"{signed}.{_base64(self.pair.sign(signed.encode()))}"


class Operator:
    """Who vouches for two accounts: the server's own, and that of a lab, which has JetStream."""

    def __init__(self) -> None:
        self._key = Key(nkeys.PREFIX_BYTE_OPERATOR)
        self._system, self._lab = Key(nkeys.PREFIX_BYTE_ACCOUNT), Key(nkeys.PREFIX_BYTE_ACCOUNT)

    @property
    def config(self) -> str:
        """What stands in the configuration of a server that trusts it."""
        own = self._key.token(self._key, "operator", {"type": "operator", "version": 2})
        accounts = {
            self._system.public: self._account(self._system, "SYS", {}),
            self._lab.public: self._account(self._lab, "LAB", WITH_JETSTREAM),
        }
        preload = "\n".join(f"{public}: {token}" for public, token in accounts.items())
        system = f"system_account: {self._system.public}"
        return f"operator: {own}\n{system}\nresolver: MEMORY\nresolver_preload {{\n{preload}\n}}"

    def _account(self, key: Key, name: str, more: dict[str, int]) -> str:
        return self._key.token(key, name, {"limits": {**ALL, **ACCOUNT, **more}, "type": "account", "version": 2})

    def credentials(self, path: Path, issuer: "Operator | None" = None) -> Path:
        """Write the credentials of a new user of the lab, signed by the lab of ``issuer``, to a file."""
        user = Key(nkeys.PREFIX_BYTE_USER)
        claims = {**ALL, "pub": {}, "sub": {}, "type": "user", "version": 2}
        token = (issuer or self)._lab.token(user, "rig-3", claims)
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
        )
        return path


def _coded(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
