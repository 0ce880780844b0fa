"""The server that a model is asked at: its address, its name in an identity, the key that it gets. Calls nobody."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from harness.errors import ConfigError, MissingDependencyError, ModelError

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

OPENAI_HOST = "api.openai.com"
_PORTS = {"http": 80, "https": 443}
"""What a scheme means where no port is given."""
HOSTS = "ERC_API_KEY_HOSTS"
"""Environment variable with the hosts that a key may be sent to though only a file names them, separated by commas."""
_ADDRESS = re.compile(r"https?://[^\s,\"'\\]+", re.IGNORECASE)
_KEY_NAMES = ("OPENAI_API_KEY", "ERC_API_KEY")
_NO_KEY = "none"
"""Sent to servers that want no key, because the client wants one."""


def key_name(is_openai: bool) -> str:
    """Returns the environment variable with the key of a server: no other host is sent the key of OpenAI."""
    return _KEY_NAMES[0] if is_openai else _KEY_NAMES[1]


@dataclass(frozen=True, slots=True)
class Server:
    """An OpenAI-compatible server."""

    address: str
    """Scheme, host, port and path, each server in one spelling; without user, password and query."""
    name: str
    """To be published: host, port and path, or 'local' for this machine and private networks."""
    place: str
    """Host and port, for errors."""
    is_openai: bool = field(default=False)

    @property
    def key_name(self) -> str:
        """The environment variable with its key."""
        return key_name(self.is_openai)

    def key(self) -> str:
        """Returns the key.

        Raises:
            ModelError: OpenAI's server, and the environment has no key.
        """
        key = os.environ.get(self.key_name, "")
        if self.is_openai and not key:
            raise ModelError(
                f"{self.place} wants a key; type: export {self.key_name}=... (it is read from nowhere else)"
            )
        return key or _NO_KEY

    def async_client(self, timeout_seconds: float) -> AsyncOpenAI:
        """Returns the official client without its retries; with aiohttp, where that is installed.

        Raises:
            MissingDependencyError: the package openai is not installed.
            ModelError: as `key`.
        """
        try:
            import openai
        except ImportError as error:
            raise MissingDependencyError.of("openai", "openai", "back end 'openai'") from error
        try:
            http_client = openai.DefaultAioHttpClient(timeout=timeout_seconds)
        except RuntimeError:  # aiohttp is not installed; httpx takes three times the processor time
            http_client = None
        return openai.AsyncOpenAI(
            api_key=self.key(), base_url=self.address, timeout=timeout_seconds, max_retries=0, http_client=http_client
        )

    def client(self, timeout_seconds: float, max_retries: int) -> OpenAI:
        """Returns the official client for single calls, with its own retries; raises as `async_client`."""
        try:
            import openai
        except ImportError as error:
            raise MissingDependencyError.of("openai", "openai", "back end 'openai'") from error
        return openai.OpenAI(
            api_key=self.key(), base_url=self.address, timeout=timeout_seconds, max_retries=max_retries
        )


def known_secrets() -> tuple[str, ...]:
    """Returns the values that nothing may quote: every key in the environment."""
    return tuple(value for name in _KEY_NAMES if (value := os.environ.get(name)))


def parse_server(base_url: str | None) -> Server:
    """Returns the server at an address; None: OpenAI's own.

    Raises:
        ConfigError: not an http address, or one that carries a user, a password or a query.
    """
    if base_url is None:
        if os.environ.get("OPENAI_BASE_URL"):
            raise ConfigError("OPENAI_BASE_URL is set, but which server answers is a setting; type: -P base_url=...")
        base_url = f"https://{OPENAI_HOST}/v1"
    no_address = ConfigError(f"base_url {base_url!r} is not an address such as http://localhost:8000/v1")
    try:
        parts = urlsplit(base_url)
    except ValueError:  # brackets that hold no IPv6 address
        raise no_address from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigError(
            f"base_url with user, password or query, host {parts.hostname!r}: give scheme, host and path only; a key "
            f"belongs in the environment: export {_KEY_NAMES[1]}=..."
        )
    if parts.scheme not in _PORTS or not parts.hostname or (port := _read_port(parts)) == 0:
        raise no_address
    if parts.hostname == OPENAI_HOST and parts.scheme != "https":
        raise ConfigError(
            f"base_url {base_url!r} would send a key that anybody can read; type: https://{OPENAI_HOST}/v1"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    path = parts.path.rstrip("/")
    name = "local" if _is_local(parts.hostname) else place + path.removesuffix("/v1")
    return Server(f"{parts.scheme}://{place}{path}", name, place, is_openai=parts.hostname == OPENAI_HOST)


def check_named_by_file(params: Mapping[str, Any], file: str) -> None:
    """Refuses servers that a file names, and that would be sent a key, until the user has named them too.

    This machine and OpenAI's own server over https need no such name.

    Args:
        params: parameters of a predictor, as the file has them; every address in them counts.
        file: where they are from, for the message.

    Raises:
        ConfigError: the environment holds a key, and a server is not in ERC_API_KEY_HOSTS (hosts, separated by commas).
    """
    if not known_secrets():
        return
    named = {host.strip() for host in os.environ.get(HOSTS, "").split(",")}
    for address in _ADDRESS.findall(json.dumps(params, default=str)):
        server = parse_server(address)
        if not server.is_openai and not _is_this_machine(server) and server.place not in named:
            raise ConfigError(
                f"{file} names the server {server.place!r}, which would be sent {_KEY_NAMES[1]}; to trust it, type: "
                f"export {HOSTS}={server.place}"
            )


def _is_this_machine(server: Server) -> bool:
    host = urlsplit(server.address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def public_address(base_url: str | None) -> str:
    """Returns what may be published of an address, the provider's own for None.

    That is host, port unless it is the scheme's own, and path without a last '/v1'; 'local' for this machine and
    private networks.

    Raises:
        ConfigError: as `parse_server`.
    """
    return OPENAI_HOST if base_url is None else parse_server(base_url).name


def _read_port(parts: SplitResult) -> int | None:
    """Returns the port, None where none is given, 0 where it is no port."""
    try:
        return parts.port
    except ValueError:
        return 0


def _is_local(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal"))
