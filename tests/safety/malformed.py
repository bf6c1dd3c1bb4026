"""Configs, names and queries that nobody should take, from a random generator: the same ones for the same seed."""

from __future__ import annotations

import copy
import string
from collections.abc import Callable
from random import Random
from typing import Any

import yaml

from tests.cli.conftest import RAW

LONG = 10_000  # characters
QUOTES = "'\"`;\\%$<>&|(){}[]*?~#!-/:=,. \t\n\r"
STRANGE = "\0\x07\x1b\x7f\x85\x9b\u2028\u202e\ufeff\udc80\U000e0001😀ßé東"
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**63, -(10**300), 1e308, float("nan"), float("inf"), -0.0, 1e-320),
    *("", " ", "x" * LONG, "1e-3", "null", "../..", "a:b", "os:system", "\x1b[31m", "'; DROP TABLE trials; --"),
    *([], {}, [[]], [None], {"": None}, {"type": "float"}, {"kind": []}, [1, "a", {}], {"a": {"a": {"a": {}}}}),
)
TEXTS = (
    "\t",
    "{",
    "]",
    "!!python/object/apply:os.system [id]",
    "*a",
    "&a",
    "<<: 1",
    "? []",
    "%YAML 9.9",
    "---\n",
    "\0",
)
WRITES = (
    *("DELETE FROM hpo_study", "DROP TABLE trials", "UPDATE hpo_study SET status = 'done'", "VACUUM INTO 'stolen'"),
    *("INSERT INTO hpo_lease VALUES (1)", "ATTACH 'stolen' AS s", "PRAGMA writable_schema = 1", "BEGIN", "COMMIT"),
    *("CREATE TABLE stolen (a)", "ALTER TABLE trials RENAME TO stolen", "COPY trials TO '/tmp/stolen'", "REINDEX"),
    *("GRANT ALL ON trials TO PUBLIC", "SET TRANSACTION READ WRITE", "DO $$ BEGIN END $$", "TRUNCATE trials"),
)


def text(random: Random) -> str:
    """Mostly short, sometimes 10,000 characters."""
    alphabet = random.choice((string.printable, QUOTES, STRANGE, QUOTES + STRANGE + string.ascii_letters))
    length = LONG if random.random() < 0.02 else random.randrange(40)
    return "".join(random.choices(alphabet, k=length))


def config(random: Random) -> bytes:
    """A study config with something wrong in it; a few are right by chance."""
    return random.choice((_with_wrong_values, _with_wrong_text, _with_wrong_bytes))(random)


def name(random: Random) -> str:
    """Of no study in the database, as an argument: without zeros, where arguments end."""
    return random.choice((text, lambda _: random.choice(TEXTS), _nearly_a_name))(random).replace("\0", "")


def query(random: Random) -> list[str]:
    """Arguments of ``hpo query`` that ask for nothing that can be answered by reading."""
    return random.choice(_QUERIES)(random)


def _with_wrong_values(random: Random) -> bytes:
    raw = copy.deepcopy(RAW)
    for _ in range(random.randint(1, 3)):
        _break(raw, random)
    return yaml.safe_dump(raw, allow_unicode=True).encode(errors="replace")


def _break(raw: dict[str, Any], random: Random) -> None:
    section = random.choice([raw, *(value for value in raw.values() if isinstance(value, dict) and value)])
    key = random.choice(list(section) or ["name"])
    match random.randrange(4):
        case 0:
            section.pop(key, None)
        case 1:
            section[key + random.choice("sx_.")] = section.get(key)
        case 2:
            section[text(random)] = random.choice(VALUES)
        case _:
            section[key] = random.choice(VALUES)


def _with_wrong_text(random: Random) -> bytes:
    written = yaml.safe_dump(RAW)
    for _ in range(random.randint(1, 4)):
        start = random.randrange(len(written))
        piece = random.choice((random.choice(TEXTS), text(random), written[start : start + 30]))
        written = written[:start] + piece + written[start + random.randrange(12) :]
    return written.encode(errors="surrogatepass")


def _with_wrong_bytes(random: Random) -> bytes:
    written = bytearray(yaml.safe_dump(RAW).encode())
    for _ in range(random.randint(1, 5)):
        written[random.randrange(len(written))] = random.randrange(256)
    return bytes(written)


def _nearly_a_name(random: Random) -> str:
    return random.choice(("", "lab", "Lab", "lab "))[: random.randrange(5)] + random.choice(("'", "%", "\t", " OR 1=1"))


def _write(random: Random) -> list[str]:
    written = random.choice(WRITES)
    before = random.choice(("", "/* SELECT */", "-- SELECT\n", "\n\t", "((", "/*;*/ "))
    return [before + random.choice((written, written.lower(), written.title()))]


def _chain(random: Random) -> list[str]:
    between = random.choice((";", " ;; ", "/**/;/**/", "--\n;", ";\n--\n", "; SELECT 1;"))
    return [f"SELECT {random.randrange(9)}{between}{random.choice(WRITES)}"]


def _write_inside(random: Random) -> list[str]:
    inside = random.choice(("DELETE FROM hpo_study", "UPDATE hpo_study SET status = 'done'"))
    return [random.choice((f"WITH a AS ({inside} RETURNING 1) SELECT * FROM a", f"WITH a AS (SELECT 1) {inside}"))]


def _broken(random: Random) -> list[str]:
    return ["SELECT (" + text(random).replace(")", "")]


def _no_table(random: Random) -> list[str]:
    quoted = text(random).replace('"', '""')
    return [f'SELECT * FROM "no {quoted}"']


def _no_query(random: Random) -> list[str]:
    return ["".join(random.choices(string.ascii_letters + "_", k=random.choice((7, 40, LONG)))) + "_"]


def _no_sql(random: Random) -> list[str]:
    return [random.choice(QUOTES + STRANGE) + text(random)]


def _no_setting(random: Random) -> list[str]:
    return ["best", "--set", random.choice((f"no_{random.randrange(99)}=1", "=", "1=2", text(random).replace("=", "")))]


_QUERIES: tuple[Callable[[Random], list[str]], ...] = (
    *(_write, _chain, _write_inside, _broken, _no_table, _no_query, _no_sql, _no_setting),
)
