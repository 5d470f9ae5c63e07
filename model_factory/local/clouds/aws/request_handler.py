"""How werkzeug's server handles a connection here."""

from __future__ import annotations

from moto.moto_server.werkzeug_app import MotoRequestHandler


class RequestHandler(MotoRequestHandler):
    """moto's, which keeps the spelling of S3 metadata headers; without a log line a request, and without Nagle's delay."""

    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """A healthy request leaves no line."""
