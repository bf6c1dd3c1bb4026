"""Against another Markdown parser: what others wrote comes out as text, whatever it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from hpo.report.markdown import code, escape, fenced, table

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
texts = st.text(max_size=40) | st.text(alphabet="`*_[]()<>|\\~!#&:@-+.1 \n\ta$", max_size=40)


def shown(text: str) -> str:
    """What ``text`` is on one line without control characters."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def inline(markdown: str, kind: str) -> list[Token]:
    """The inline tokens inside the first block of ``kind``."""
    tokens = PARSER.parse(markdown)
    start = next(i for i, token in enumerate(tokens) if token.type == kind)
    children = tokens[start + 1].children
    assert children is not None
    return children


@given(texts)
@example("</td><script>alert(1)</script>")
@example("\\")
@example("a\\|b")
def test_escaped_text_in_a_cell_is_text(text: str) -> None:
    tokens = inline(table(["a", "b"], [["x", escape(text)]]).replace("| x |", "|"), "td_open")
    assert "".join(token.content for token in tokens) == shown(text)
    assert {token.type for token in tokens} <= {"text", "text_special"}


@given(texts)
def test_escaped_text_in_a_heading_is_text(text: str) -> None:
    tokens = inline(f"# {escape(text)} .", "heading_open")
    assert "".join(token.content for token in tokens).removesuffix(".").strip() == shown(text)


@given(texts)
@example("``")
@example("`a|b\\`")
def test_code_in_a_cell_is_code(text: str) -> None:
    tokens = inline(table(["a"], [[code(text)]]), "td_open")
    assert [token.type for token in tokens] == ["code_inline"]
    assert tokens[0].content.strip() == shown(text)


@given(st.text(alphabet="`~ab\n<", max_size=60).filter(lambda text: text.strip()))
def test_a_block_of_code_holds_everything(text: str) -> None:
    tokens = PARSER.parse(fenced(text, "yaml") + "\n\nafter")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert tokens[0].content.rstrip() == text.rstrip()


@pytest.mark.parametrize("link", ["www.example.org", "WWW.example.org", "https://example.org", "me@example.org"])
def test_githubs_automatic_links_are_broken_up(link: str) -> None:
    assert not re.search(r"www\.|https:|e@", escape(link), re.IGNORECASE)
    assert escape(link).replace("\\", "") == link
