"""Numbers come out as the pixels that they stand for."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from graftwork.inspecting.tiles import GAP, filter_pixels, grid, heated, map_pixels, png


def test_filters_are_drawn_each_on_its_own_scale():
    weights = np.zeros((3, 3, 2, 2))
    weights[0, 0, 0, 0] = 4.0  # red, top left
    weights[0, 2, 1, 1] = -2.0  # against blue, bottom right
    weights[1] = 0.001 * 3  # a faint filter is as bright as a strong one
    pixels = filter_pixels(weights)
    assert pixels[0, 0, 0].tolist() == [255, 128, 128]
    assert pixels[0, 1, 1].tolist() == [128, 128, 64]
    assert (pixels[1] == 255).all()
    assert (pixels[2] == 128).all()  # a dead filter


def test_grey_filters_are_grey():
    pixels = filter_pixels(np.array([[[[1.0, -1.0]]]]))
    assert pixels.tolist() == [[[[255] * 3, [0] * 3]]]


def test_maps_share_a_scale_over_photos():
    maps = np.zeros((2, 2, 2), np.float32)
    maps[1, 0, 1] = 3.0
    drawn = map_pixels(maps, 4)
    dark, bright = drawn[0, 0, 0], drawn[1, 0, 3]
    assert bright.tolist() == [37, 231, 253][::-1] and dark.tolist() == [84, 1, 68][::-1]
    assert (drawn[0] == dark).all() and (drawn[1, 2:] == dark).all()
    assert (drawn[1, :2, 2:] == bright).all()  # whole pixels, nothing smoothed


def test_heat_covers_where_it_is_and_only_there():
    photo = np.full((4, 4, 3), (200, 100, 50), np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[0, 0] = 1.0
    mixed = heated(photo, heat)
    assert (mixed[1:] == mixed[3, 3]).all() and len(set(mixed[3, 3].tolist())) == 1  # grey
    assert mixed[0, 0, 0] > mixed[0, 0, 2] + 40  # turbo ends in red


def test_the_sheet_as_a_file():
    tiles = np.stack([np.full((2, 2, 3), level, np.uint8) for level in (10, 20, 30)])
    content = base64.b64decode(png(grid(tiles, 2, 3)).partition(",")[2])
    with Image.open(io.BytesIO(content)) as picture:
        sheet = np.asarray(picture)
    assert sheet.shape == (12 + GAP, 12 + GAP, 4)
    assert (sheet[:6, :6] == (10, 10, 10, 255)).all()
    assert (sheet[:6, 6 + GAP :] == (20, 20, 20, 255)).all()
    assert (sheet[6 + GAP :, :6] == (30, 30, 30, 255)).all()
    assert not sheet[6:, 6:, 3].any()  # gaps, and the place that stays free
