"""How drawings are read from the archives, and the cache files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hpo.config.tasks import LONGEST_DRAWING
from hpo.errors import InputError
from hpo.meta.tasks import omniglot_drawings, omniglot_images, omniglot_strokes
from hpo.meta.tasks.omniglot_drawings import DRAWERS, drawings
from tests.meta.tasks import omniglot_files
from tests.meta.tasks.omniglot_files import png

ARCHIVES = {
    "images_background_small1.zip": {"Aleph": 2, "Beth": 3},
    "images_background_small2.zip": {"Beth": 3, "Gimel": 1},
    "strokes_background_small1.zip": {"Aleph": 1},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    omniglot_files.use(monkeypatch, tmp_path, ARCHIVES)
    return tmp_path


def test_a_pixel_is_the_share_of_its_area_that_is_ink() -> None:
    ink = np.random.default_rng(0).random((105, 105)) < 0.3
    fine = np.kron(ink, np.ones((28, 28)))  # 2940 x 2940: the pixels of both sizes are whole blocks of it
    shares = fine.reshape(28, 105, 28, 105).mean(axis=(1, 3))
    np.testing.assert_allclose(omniglot_images.image(png(ink)) / 255, shares, atol=0.5 / 255 + 1e-6)


def test_an_image_that_is_turned() -> None:
    right = np.zeros((1, 4, 1, 28, 28), np.uint8)
    right[..., 14, 27] = 255
    found = omniglot_images.turned(right, np.arange(4)[None])
    assert [tuple(int(i[0]) for i in np.nonzero(found[0, k, 0])) for k in range(4)] == [
        (14, 27),
        (0, 14),
        (13, 0),
        (27, 13),
    ]


def stroke(*points: tuple[float, float]) -> str:
    return "".join(f"{x},{y},{t}\n" for t, (x, y) in enumerate(points)) + "BREAK\n"


def test_strokes_have_points_at_equal_distances() -> None:
    content = "START\n" + stroke((52.5, -52.5), (62.5, -52.5), (62.5, -57.5), (62.5, -72.5)) + stroke((12.5, -72.5))
    steps = omniglot_strokes.drawing(content.encode())
    right, down, up = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], 1.0
    expected = [[0.0, 0.0, 0.0], right, right, down, down, down, [0.0, 1.0, up], [-10.0, 0.0, up]]
    np.testing.assert_allclose(steps, expected, atol=1e-6)


def test_a_stroke_that_is_turned_goes_where_its_image_goes() -> None:
    right_then_down = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0]], np.float32)
    found = omniglot_strokes.turned(np.broadcast_to(right_then_down, (1, 4, 1, 2, 3)), np.arange(4)[None])
    up, left, down, right = (0, -1), (-1, 0), (0, 1), (1, 0)
    assert [tuple(found[0, k, 0, 0, :2]) for k in range(4)] == [right, up, left, down]
    assert [tuple(found[0, k, 0, 1, :2] / 2) for k in range(4)] == [down, right, up, left]
    assert (found[..., 2] == right_then_down[:, 2]).all()


def test_a_long_drawing_is_cut() -> None:
    there_and_back = [(0.0, -50.0), (100.0, -50.0)] * 10
    steps = omniglot_strokes.drawing(("START\n" + stroke(*there_and_back)).encode())
    assert len(steps) == LONGEST_DRAWING


def test_a_character_that_two_archives_hold_is_there_once() -> None:
    found = drawings("rows", "small")
    assert found.names.tolist() == [
        f"{alphabet}/character0{i}"
        for alphabet, n in (("Aleph", 2), ("Beth", 3), ("Gimel", 1))
        for i in range(1, n + 1)
    ]
    assert found.steps.shape == (6, DRAWERS, 28, 28)
    np.testing.assert_array_equal(found.steps[2:5], drawings("rows", "small2").steps[:3])


def test_every_drawing_is_under_its_own_name(folder: Path) -> None:
    found = drawings("strokes", "small1")
    rng = np.random.default_rng(list(b"Aleph/character01/0001_03"))
    steps = omniglot_strokes.drawing(omniglot_files.strokes(rng))
    assert found.lengths[0, 2] == len(steps)
    np.testing.assert_array_equal(found.steps[0, 2, : len(steps)], steps)


def test_a_second_process_needs_no_archive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = drawings("rows", "small1")
    omniglot_files.forget()
    (folder / "data/omniglot/images_background_small1.zip").unlink()
    second = drawings("rows", "small1")
    assert first.names.tolist() == second.names.tolist()
    np.testing.assert_array_equal(first.steps, second.steps)
    np.testing.assert_array_equal(first.lengths, second.lengths)


@pytest.mark.parametrize("content", [b"", b"not an archive"])
def test_a_damaged_cache_is_made_anew(folder: Path, content: bytes) -> None:
    first = drawings("rows", "small1")
    (cached,) = (folder / "cache").glob("*.npz")
    cached.write_bytes(content)
    omniglot_files.forget()
    np.testing.assert_array_equal(drawings("rows", "small1").steps, first.steps)
    assert len(cached.read_bytes()) > 1000


def test_the_cache_file_is_named_by_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "images_background_small1.zip"
    before = omniglot_drawings._cache_file("rows", name)
    monkeypatch.setitem(omniglot_drawings.CHECKSUMS, name, "sha256:another")
    assert omniglot_drawings._cache_file("rows", name) != before


def test_an_archive_that_is_not_the_published_one(folder: Path) -> None:
    path = folder / "data/omniglot/images_background_small1.zip"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match=r"small1.zip: found the sha256 .*, expected .*: this is not the file"):
        drawings("rows", "small1")
