"""The token that a dashboard on the network asks for. It is in no argument: everybody on a machine sees those."""

from __future__ import annotations

import os
import secrets
import sys

from hpo.errors import InputError

VARIABLE = "HPO_DASHBOARD_TOKEN"
SHORTEST = 16  # characters


def given_token() -> str | None:
    """The environment's; raises InputError, which does not show it, where it is easily guessed or cannot be sent."""
    token = os.environ.get(VARIABLE)
    if not token:
        return None
    if len(token) < SHORTEST:
        raise InputError(f"{VARIABLE} has {len(token)} characters, expected at least {SHORTEST}: {_TRY}")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"{VARIABLE} has characters that a browser cannot send, expected letters and digits: {_TRY}")
    return token


def made_up_token(host: str) -> str:
    """A new one, to be shown once; raises InputError where what is shown would end up in a file."""
    if not sys.stderr.isatty():
        raise InputError(
            f"--host {host} asks for a token, and there is no terminal to show one on: set {VARIABLE}: {_TRY}"
        )
    return secrets.token_urlsafe(32)


_TRY = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'  makes one"
