# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to an API server over kept connections: raw JSON, patience with a server that is away, errors that explain.

Private to the collection; not a public interface.
"""

import json
import ssl
import threading
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from .._core.reconcile import ReconcileError
from .auth import Access

JSON = "application/json"
# Of each object only its metadata is sent; a server behind an APIService that cannot do that sends the whole.
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
PAGE = 500  # objects of one answer, as kubectl asks for
CONNECT, READ = 10.0, 60.0  # seconds for a connection, and for an answer
PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.0)  # seconds between attempts, the last one repeated
RETRIES, FOR_EVER = 2, 1000  # attempts after a server error
# What a connection that the other end gives up looks like when it is encrypted; no question of trust.
CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
SHOWN = 300  # characters of an answer that messages quote
ROLE = "The ClusterRole of the guide docs/k8s_ns_finalize.md has all that is needed"


class ApiError(ReconcileError):
    """A request that was not granted.

    :ivar status: that of HTTP; 0 when there was no answer at all.
    :ivar said: what the server said.
    """

    def __init__(self, msg, status, said):
        super().__init__(msg)
        self.status = status
        self.said = said


class Api:
    """The API server that the options of a task mean. Threads may share it.

    ``patience`` seconds are spent on a server that is away, busy or starting. ``requests`` counts. ``guide`` says where
    the permissions are described.
    """

    def __init__(self, params, patience=30.0, parallelism=8, guide=ROLE):
        self._guide = guide
        self._access = Access(params)
        self._size = parallelism
        self._pool = self._access.pool(parallelism)
        self._patience = patience
        self._lock = threading.Lock()
        self._renewed = 0
        self._date = None
        self.requests = 0

    @property
    def host(self):
        """The address of the server."""
        return self._access.host

    def now(self):
        """Return the seconds since the epoch by the server's clock, from its last answer."""
        return parsedate_to_datetime(self._date).timestamp() if self._date else time.time()

    def check_ready(self):
        """Wait until the server is ready. One that has just been started does not serve custom resources yet.

        :raises ApiError: it does not get ready. Where its readiness is not public nothing is known of it.
        """
        try:
            self.send("GET", "/readyz", "ask whether it is ready", accept="text/plain", retries=FOR_EVER, parse=False)
        except ApiError as error:
            if error.status not in (401, 403, 404):
                raise

    def get(self, path, doing, *, query=(), accept=JSON, retries=RETRIES):
        """Return a document.

        :param doing: what it is read for, as RBAC says it: a verb, and a resource.
        :param retries: how often it is tried again after a server error without Retry-After.
        :raises ApiError: it was refused, or nobody answers.
        """
        return self.send("GET", path, doing, query=query, accept=accept, retries=retries)

    def send(
        self,
        method,
        path,
        doing,
        body=None,
        *,
        query=(),
        accept=JSON,
        content=JSON,
        retries=RETRIES,
        parse=True,
        patience=None,
    ):
        """Send a request until it is answered, and return the document of the answer; see :meth:`get`.

        :param parse: whether the answer is a document.
        :param patience: seconds, other than those of this server.
        """
        began, patience = time.monotonic(), self._patience if patience is None else patience
        data = None if body is None else json.dumps(body).encode()
        url = self.host + path + ("?" + urlencode(query) if query else "")
        attempt, renewed = 0, False
        while True:
            generation = self._renewed
            response, error = self._once(method, url, data, accept, content)
            pause = PAUSES[min(attempt, len(PAUSES) - 1)]
            if response is not None:
                if response.status == 401 and not renewed:
                    renewed = True
                    self._renew(generation)
                    continue
                if response.status < 300:  # a redirect would take the credentials elsewhere
                    return self._document(response, doing) if parse else None
                pause = _pause(response, pause, attempt < retries)
            left = patience - (time.monotonic() - began)
            if pause is None or pause > left:
                raise self._refusal(response, error, doing, pause, patience)
            time.sleep(pause)
            attempt += 1

    def list(self, path, doing, *, metadata=True, query=()):
        """Return all objects of a list, page by page.

        :param query: what selects among them.

        The continue token of a page that comes late has expired (410); then everything is asked for at once, which
        needs none.
        """
        accept = METADATA_LIST if metadata else JSON
        selected = dict(query)
        found, query = [], dict(selected, limit=PAGE)
        while True:
            try:
                document = self.get(path, doing, query=query, accept=accept)
            except ApiError as error:
                if error.status != 410 or "limit" not in query:
                    raise
                found, query = [], selected
                continue
            found += document.get("items") or ()
            token = (document.get("metadata") or {}).get("continue")
            if not token:
                return found
            query = dict(selected, limit=PAGE, **{"continue": token})

    def _once(self, method, url, data, accept, content):
        """Return an answer and None, or None and why there is none."""
        from urllib3 import Timeout  # type: ignore[import-not-found]
        from urllib3.exceptions import HTTPError, SSLError  # type: ignore[import-not-found]

        headers = self._headers(accept, content if data is not None else None)
        timeout = Timeout(connect=CONNECT, read=READ)
        try:
            response = self._pool.request(
                method, url, body=data, headers=headers, timeout=timeout, retries=False, redirect=False
            )
        except (SSLError, OSError) as error:  # the latter from a certificate file that is none
            if isinstance(error.args[0] if error.args else None, CUT):
                return None, error
            raise ApiError(
                f"{self.host} cannot be trusted: {error}. Give its certificate authority as 'ca_cert' or in "
                "kubeconfig; look at client_cert and client_key too, and whether the address is right",
                0,
                str(error),
            ) from error
        except HTTPError as error:
            return None, error
        self.requests += 1
        self._date = response.headers.get("Date", self._date)
        return response, None

    def _headers(self, accept, content):
        from urllib3._collections import HTTPHeaderDict  # type: ignore[import-not-found]

        with self._lock:
            headers = HTTPHeaderDict(self._access.authorization())
        headers["Accept"] = accept
        if content:
            headers["Content-Type"] = content
        for group in self._access.groups:
            headers.add("Impersonate-Group", group)
        return headers

    def _renew(self, generation):
        """Read the credentials anew, unless another thread has done so since."""
        with self._lock:
            if self._renewed == generation:
                self._access.renew()
                self._pool = self._access.pool(self._size)
                self._renewed += 1

    def _document(self, response, doing):
        if not response.data:
            return {}
        try:
            document = json.loads(response.data.decode("utf-8"))
        except ValueError as error:
            kind = response.headers.get("Content-Type", "no type")
            raise ApiError(
                f"{self.host} answered {doing} with {kind} instead of JSON: {_excerpt(response)!r}. "
                "Look whether that is the address of an API server, and not of a proxy or a login page",
                response.status,
                _excerpt(response),
            ) from error
        if not isinstance(document, dict):
            raise ApiError(f"{self.host} answered {doing} with no API object: {_excerpt(response)!r}", 200, "")
        return document

    def _refusal(self, response, error, doing, pause, patience):
        """Return the error that says what was refused and what to do."""
        if response is None:
            return ApiError(
                f"{self.host} does not answer: {error}. It was tried for {patience:g} s ({doing})",
                0,
                str(error),
            )
        status, said = response.status, _said(response)
        if status == 401:
            text = (
                f"{self.host} does not take the credentials for {doing} (401: {said}). They were read anew and refused "
                "again: look at the token, certificate or exec plugin of that context"
            )
        elif status == 403:
            text = f'Not permitted: "{doing}". {self.host} says: {said}. {self._guide}'
        elif pause is not None:
            text = f"{self.host} was too busy for {doing} over {patience:g} s ({status}: {said})"
        else:
            text = f"Cannot {doing}: {self.host} answers {status}: {said}"
        return ApiError(text, status, said)


def _pause(response, pause, retry):
    """Return the seconds after which a request that was not granted is repeated, None when it is not."""
    said = response.headers.get("Retry-After", "")
    if response.status in (429, 500, 503) and said.isdigit():
        return max(pause, float(said))
    if response.status == 429:
        return pause
    return pause if retry and response.status >= 500 else None


def _said(response):
    """Return the message of a Status object, or what there is instead of one."""
    try:
        document = json.loads(response.data.decode("utf-8"))
        return document["message"]
    except (ValueError, KeyError, TypeError):
        return _excerpt(response) or response.reason or "nothing more"


def _excerpt(response):
    return " ".join(response.data[:SHOWN].decode("utf-8", "replace").split())
