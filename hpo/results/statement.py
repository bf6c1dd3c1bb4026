"""Just enough of SQL's lexical rules to run one statement with named parameters and no more."""

from __future__ import annotations

import re

from hpo.errors import QueryError

_READING = ("select", "with", "values", "explain", "table", "show")
_TOKEN = re.compile(
    r"""(?P<opaque>'(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<comment>--[^\n]*|/\*.*?\*/)
      | (?<![:\w]):(?P<parameter>[A-Za-z_]\w*)
      | (?P<end>;)""",
    re.DOTALL | re.VERBOSE,
)


class Statement:
    """One reading statement: its ``sql`` as SQLAlchemy's ``text`` takes it, and the names of its ``:parameters``.

    Raises QueryError where it is empty, begins with a word that does not read, or is followed by another statement.
    """

    def __init__(self, sql: str) -> None:
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in sql):
            raise QueryError("the query has characters that are no text: remove them")
        self.parameters: list[str] = []
        self.sql = _TOKEN.sub(self._replace, sql).strip().removesuffix(";").rstrip()
        if ";" in self._bare(self.sql):
            raise QueryError("one statement at a time: found a ';' with more behind it")
        word = re.match(r"[(\s]*(\w*)", self.sql)
        found = word.group(1).lower() if word else ""
        if found not in _READING:
            raise QueryError(f"only queries that read are run: found {found!r}, expected one of {', '.join(_READING)}")

    def _replace(self, token: re.Match[str]) -> str:
        if token["comment"]:
            return " "
        if token["opaque"]:
            return token[0].replace(":", r"\:")  # text() looks for parameters even inside quotes
        if token["parameter"]:
            self.parameters.append(token["parameter"])
        return token[0]

    @staticmethod
    def _bare(sql: str) -> str:
        return _TOKEN.sub(lambda token: "" if token["opaque"] else token[0], sql)
