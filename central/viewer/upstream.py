"""The PACS behind the viewer: reading only, within bounds, with the centre's own login."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx

from appliance.config import ConfigError, DicomwebDestination
from central.viewer.asking import Asked
from sync.adapters.tls import tls_context

CONNECTION_COUNT_MAX = 16
"""Orthanc answers eight or so at once; more wait here."""
CONNECT_S_MAX = 5.0
READ_S_MAX = 60.0
JSON_BYTES_MAX = 64 * 1024 * 1024
"""Full metadata of a series of 2,000 images has about 20 MB."""


class UpstreamError(Exception):
    """The PACS gave no answer that can be shown; the text is a sentence for a person."""


class Upstream:
    """One client for all viewers."""

    def __init__(self, pacs: DicomwebDestination) -> None:
        """Nothing is connected yet.

        Raises:
            ConfigError: If its password or certificate authority cannot be read.
        """
        self._base = pacs.url.rstrip("/")
        auth = None
        try:
            if pacs.username:
                password = Path(pacs.password_file).read_text(encoding="utf-8").strip()
                auth = httpx.BasicAuth(pacs.username, password)
            verify = tls_context(pacs.ca_file) if pacs.url.startswith("https:") else False
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the viewer cannot reach {pacs.url}: {error}. Nothing was changed") from error
        self._client = httpx.AsyncClient(
            auth=auth,
            verify=verify,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(READ_S_MAX, connect=CONNECT_S_MAX),
            limits=httpx.Limits(max_connections=CONNECTION_COUNT_MAX, max_keepalive_connections=CONNECTION_COUNT_MAX),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, asked: Asked, headers: Mapping[str, str]) -> httpx.Response:
        """The answer, its body not read yet; close it.

        Raises:
            UpstreamError: If there is none, or one that is not about the study.
        """
        url = f"{self._base}/{asked.path}"
        sent = {**headers, "Accept-Encoding": "identity"}
        request = self._client.build_request("GET", url, params=list(asked.params), headers=sent)
        try:
            answer = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise UpstreamError("The image archive does not answer. Nothing is lost; try again in a minute.") from error
        if answer.status_code not in (200, 204, 206, 400, 404, 406):
            await answer.aclose()
            raise UpstreamError(f"The image archive answered {answer.status_code}; an administrator has to look.")
        return answer


async def read_all(answer: httpx.Response, bytes_max: int = JSON_BYTES_MAX) -> bytes:
    """A whole body.

    Raises:
        UpstreamError: If it is larger, or breaks off.
    """
    body = bytearray()
    try:
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > bytes_max:
                raise UpstreamError("This study is larger than the viewer can describe.")
    except httpx.HTTPError as error:
        raise UpstreamError("The image archive broke off. Nothing is lost; try again in a minute.") from error
    finally:
        await answer.aclose()
    return bytes(body)


async def pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    """A body as it comes; an end before its end breaks our answer too, so that half an image is no image."""
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()
