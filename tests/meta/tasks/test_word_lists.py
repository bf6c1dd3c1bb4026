"""The word lists: what counts as a word of a language, and the cache file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from hpo.config.tasks import LanguageIdConfig
from hpo.errors import MissingExtra
from hpo.meta.tasks import task_family, word_lists
from hpo.meta.tasks.languages import CODES
from hpo.meta.tasks.word_lists import SPACE, VOCABULARY, WordLists, cache_file


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The path of a cache file that is not there yet, with nothing read in this process."""
    monkeypatch.delenv("HPO_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(word_lists, "version", lambda _: "0.0")
    word_lists.word_lists.cache_clear()
    path = cache_file()
    assert path is not None
    yield path
    word_lists.word_lists.cache_clear()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[WordLists]:
    """Grows by one whenever lists are made anew; they are made up here."""
    made: list[WordLists] = []

    def build() -> WordLists:
        letters = np.zeros((len(CODES), 4000, 15), np.uint8)
        letters[:, :, 0] = SPACE
        letters[:, :, 1:5] = 2 + np.random.default_rng(0).integers(0, 26, (len(CODES), 4000, 4))
        made.append(WordLists(letters, np.full(len(CODES), 4000)))
        return made[-1]

    monkeypatch.setattr(word_lists, "_build", build)
    return made


def read_again() -> WordLists:
    word_lists.word_lists.cache_clear()
    return word_lists.word_lists()


def test_a_second_process_reads_what_the_first_wrote(cache: Path, built: list[WordLists]) -> None:
    first, second = read_again(), read_again()
    assert len(built) == 1
    np.testing.assert_array_equal(first.letters, second.letters)
    np.testing.assert_array_equal(first.counts, second.counts)
    assert [entry.name for entry in cache.parent.iterdir()] == [cache.name]  # no temporary file is left


def test_one_process_reads_once(cache: Path, built: list[WordLists]) -> None:
    assert word_lists.word_lists() is word_lists.word_lists()
    assert len(built) == 1


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    path.write_bytes(bytes(content))


def pickled(path: Path) -> None:
    np.savez(path, letters=np.array([object()]), counts=np.zeros(1))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not an archive"),
    "truncated": truncate,
    "flipped": flip,
    "pickled": pickled,
    "other arrays": lambda path: np.savez(path, words=np.zeros(3)),
    "other shapes": lambda path: np.savez(path, letters=np.zeros((2, 3, 4), np.uint8), counts=np.zeros(2, np.int64)),
    "other types": lambda path: np.savez(path, letters=np.zeros((27, 4000, 15)), counts=np.zeros(27, np.int64)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_cache_is_made_anew(cache: Path, built: list[WordLists], damage: Callable[[Path], object]) -> None:
    read_again()
    damage(cache)
    again = read_again()
    assert len(built) == 2
    np.testing.assert_array_equal(again.letters, built[0].letters)
    read_again()
    assert len(built) == 2  # the file is whole again


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path, built: list[WordLists]) -> None:
    cache.parent.parent.mkdir(parents=True)
    cache.parent.write_text("a file where the directory should be")
    assert read_again().counts.sum() == 27 * 4000
    assert cache.parent.is_file()


def test_without_a_home_there_is_no_cache(built: list[WordLists], monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("HPO_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert cache_file() is None
    assert read_again() is built[0]
    word_lists.word_lists.cache_clear()


def test_the_cache_file_is_named_by_the_version(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_lists, "version", lambda _: "0.1")
    assert cache_file() != cache
    assert (cache_file() or cache).parent == cache.parent == Path(os.environ["XDG_CACHE_HOME"]) / "hpo"


def test_the_cache_folder_can_be_chosen(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_CACHE_DIR", str(tmp_path / "chosen"))
    assert cache_file() == tmp_path / "chosen" / cache.name


MESSAGE = r"language_id needs the package 'wordfreq', which is not installed: run  pip install 'hpo\[text\]'"


def test_without_the_package_the_extra_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(word_lists, "version", version)
    with pytest.raises(MissingExtra, match=MESSAGE):
        task_family(LanguageIdConfig(kind="language_id"))


def test_a_package_that_cannot_be_imported_is_missing_too(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    with pytest.raises(MissingExtra, match=MESSAGE):
        task_family(LanguageIdConfig(kind="language_id"))
    assert not cache.exists()


def test_a_word_is_owned_by_a_language_that_uses_it_ten_times_as_often() -> None:
    first = {"ours": 1.0, "shared": 1.0, "loan": 0.9, "same": 0.5}
    second = {"theirs": 0.1, "shared": 0.2, "loan": 0.09, "same": 0.5}
    assert word_lists._own_words([first, second, {"loan": 0.01}]) == [["ours", "loan"], ["theirs"], []]


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("château", "chateau"),
        ("straße", "strasse"),
        ("łódź", "lodz"),
        ("ısparta", "isparta"),
        ("þjóð", "thjod"),
        ("đường", "duong"),
    ],
)
def test_diacritics_are_taken_off(word: str, plain: str) -> None:
    assert word_lists._plain(word) == plain


def test_tokens_are_space_letters_padding() -> None:
    rows = word_lists._encode(["abcz", "a" * 14])
    assert rows.tolist() == [[SPACE, 2, 3, 4, VOCABULARY - 1, *[0] * 10], [SPACE, *[2] * 14]]


def test_the_real_lists() -> None:
    pytest.importorskip("wordfreq")
    lists = word_lists.word_lists()
    rows = np.concatenate([rows[:count] for rows, count in zip(lists.letters, lists.counts, strict=True)])
    assert len(np.unique(rows, axis=0)) == len(rows)  # no word is in two languages
    letters = (rows > SPACE).sum(axis=1)
    assert letters.min() == 4
    assert letters.max() == 14
    assert rows.max() == VOCABULARY - 1
    assert bool((rows[:, 0] == SPACE).all())
    few = {code: int(count) for code, count in zip(CODES, lists.counts, strict=True) if count < 4000}
    assert list(few) == ["vi"]
    assert few["vi"] > 600
