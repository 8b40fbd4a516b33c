import hashlib
import sys
import wave

import numpy as np
import pytest

from bana.data import inputs, videos
from bana.data.images import open_image
from bana.data.inputs import find_inputs
from bana.errors import DataError, SettingsError
from data_samples import write_photo
from video_samples import write_video

ONE = 1 << 16
TURNS = {  # MP4's display matrix a b u c d v x y w (it shows (x, y) at (ax + cy, bx + dy)), and how often rot90 does it
    "none": (None, 0),
    "clockwise": ([0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30], -1),
    "counter-clockwise": ([0, -ONE, 0, ONE, 0, 0, 0, 0, 1 << 30], 1),
    "half": ([-ONE, 0, 0, 0, -ONE, 0, 0, 0, 1 << 30], 2),
}


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A working folder with photographs at several depths, and much that is none."""
    images = ["p/b.jpg", "p/a.PNG", "p/sub/a.png", "p/sub/deep/c.tif", "q/d.jpg", "p/.hidden.jpg", "p/.thumbs/a.jpg"]
    for name in images:
        write_photo(tmp_path / name)
    for name in ("p/notes.md", "p/a.xml", "p/sub/d.jpg.part"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "p/folder.jpg").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*inputs, **options):
    return [picture.name for picture in find_inputs(inputs, **options)]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["p"], ["a", "b", "sub/a", "sub/deep/c"]),
        (["p/"], ["a", "b", "sub/a", "sub/deep/c"]),
        (["."], ["p/a", "p/b", "p/sub/a", "p/sub/deep/c", "q/d"]),
        (["p/.thumbs"], ["a"]),
        (["p/sub/deep/c.tif"], ["c"]),
        (["p/.hidden.jpg"], [".hidden"]),
        (["p/*"], ["a", "b"]),
        (["p/*.jpg"], ["b"]),
        (["p/[ab].*"], ["a", "b"]),
        (["p/**/*.png"], ["sub/a"]),
        (["p/**"], ["a", "b", "sub/a", "sub/deep/c"]),
        (["**/?.jpg"], ["p/b", "q/d"]),
        (["p/*/../*.jpg"], ["b"]),
        (["q", "p/b.jpg"], ["b", "d"]),
        (["p", "p/*.jpg", "p/b.jpg", "p/b.jpg"], ["a", "b", "sub/a", "sub/deep/c"]),
    ],
)
def test_names_are_relative_to_what_was_given_and_sorted(photos, inputs, expected):
    assert names(*inputs) == expected
    assert names(*(photos / given for given in inputs)) == expected
    assert len(find_inputs(inputs)) == len(expected)


def test_a_pattern_cannot_lead_out_of_its_folder(photos):
    with pytest.raises(DataError, match="leaves the image folder"):
        names("p/sub/*/../../../q/*.jpg")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(photos):
    write_photo(photos / "q/photo[1].jpg")
    assert names("q/photo[1].jpg") == ["photo[1]"]


def test_a_list_names_files_from_its_own_folder(photos):
    absolute = str(photos / "p/sub/deep/c.tif")
    lines = ["# the first", "", "  b.jpg  ", "sub/../sub/a.png", "../q/d.jpg", absolute, "b.jpg"]
    (photos / "p/list.TXT").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    assert names("p/list.TXT") == ["b", "d", "sub/a", "sub/deep/c"]


def test_the_output_folder_is_left_out_of_what_is_searched(photos):
    out = photos / "p/sub"
    assert names("p", out=out) == names("p/**", out=out) == ["a", "b"]
    assert names("p/sub", out=out) == ["a", "deep/c"]
    assert names("p/sub/a.png", out=out) == ["a"]


def test_pictures_are_read_as_open_image_does_and_only_when_asked(photos, monkeypatch):
    upright = write_photo(photos / "q/turned.jpg", exif_orientation=6)
    expected = open_image(upright)
    opened = []
    monkeypatch.setattr(inputs, "open_image", lambda path, values: opened.append(path) or open_image(path, values))
    pictures = find_inputs(["q"])
    assert [picture.path for picture in pictures] == [picture.path for picture in pictures]
    d, turned = pictures
    assert not opened
    np.testing.assert_array_equal(turned.pixels(), expected)
    assert opened == [turned.path]
    assert d.frame is None
    assert d.digest() == hashlib.sha256((photos / "q/d.jpg").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "no images are named; name an image"),
        ([""], "'': no such file or folder; check the path"),
        (["p", "gone.jpg"], "gone.jpg: no such file or folder; check the path"),
        (["x" * 999], "x: no such file or folder"),
        (["empty"], r"empty: holds no image \(.jpg, .*\); check the path"),
        (["p/*.gif"], r"p/\*.gif: no image or video matches this pattern"),
        (["gone/**/*.jpg"], r"gone/\*\*/\*.jpg: no image or video matches"),
        (["p/notes.md"], r"p/notes.md is no image \(.jpg, .*\), video or .txt list; leave it out"),
        (["blank.txt"], "blank.txt: names no images; write the path of one on each line"),
        (["missing.txt"], r"missing.txt:3: 'p/x.jpg' is not a file; correct the line"),
        (["kind.txt"], r"kind.txt:1: 'p/notes.md' is no image"),
        (["folder.txt"], r"folder.txt:1: 'p' is not a file"),
        (["binary.txt"], "binary.txt: is not UTF-8 text"),
        (["twins"], "twins/a.png: would be called 'a' as twins/a.jpg is; rename one"),
        (["p/b.jpg", "twins/b.bmp"], "twins/b.bmp: would be called 'b' as p/b.jpg is"),
        (["lists/same.txt"], r"lists/same.txt:2: would be called 'd' as .*/q/d.jpg is"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(photos, inputs, message):
    (photos / "empty").mkdir()
    for name in ("twins/a.jpg", "twins/a.png", "twins/b.bmp", "twins/d.jpg"):
        write_photo(photos / name)
    (photos / "blank.txt").write_text("\n# nothing\n")
    (photos / "missing.txt").write_text("p/b.jpg\n\np/x.jpg\n")
    (photos / "kind.txt").write_text("p/notes.md\n")
    (photos / "folder.txt").write_text("p\n")
    (photos / "binary.txt").write_bytes(b"\xff\xfe\xff")
    (photos / "lists").mkdir()
    (photos / "lists/same.txt").write_text("../q/d.jpg\n../twins/d.jpg\n")
    with pytest.raises(DataError, match=message) as error:
        find_inputs(inputs)
    assert "\n" not in str(error.value)


def test_a_damaged_or_vanished_photograph_fails_only_when_it_is_read(photos):
    (photos / "q/bad.jpg").write_bytes(b"hello")
    bad, d = find_inputs(["q"])
    with pytest.raises(DataError, match=r"bad\.jpg: not a readable image"):
        bad.pixels()
    d.path.unlink()
    with pytest.raises(DataError, match=r"d\.jpg: cannot be read"):
        d.digest()


def test_without_pyav_a_video_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "clip.mp4").write_bytes(b"")
    with pytest.raises(SettingsError, match=r"clip\.mp4: .* pip install '\.\[video\]' in bana's folder"):
        find_inputs([tmp_path / "clip.mp4"])


# mkv does not state its number of frames, so they are counted by packets
@pytest.mark.parametrize("file", ["clip.mp4", "clip.mkv"])
def test_a_video_is_its_frames(tmp_path, file):
    path = write_video(tmp_path / file)
    pictures = find_inputs([path])
    assert len(pictures) == 3
    for _ in range(2):
        for number, picture in enumerate(pictures, start=1):
            assert (picture.name, picture.path, picture.frame) == (f"clip/{number:06d}", path, number)
            pixels = picture.pixels()
            assert (pixels.shape, pixels.dtype, pixels.flags.writeable) == ((48, 64, 3), np.uint8, True)
            np.testing.assert_allclose(pixels[24:, 24:].mean(), 40 * number, atol=4)
    assert number == 3


def test_a_video_is_hashed_once_and_its_frames_are_told_apart(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4")
    hashed = []
    digest = videos.file_digest
    monkeypatch.setattr(videos, "file_digest", lambda file: hashed.append(file) or digest(file))
    found = [picture.digest() for picture in find_inputs([path])]
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found == [f"{content}#1", f"{content}#2", f"{content}#3"]
    assert hashed == [path]


@pytest.mark.parametrize("turn", TURNS)
def test_a_frame_is_turned_as_its_video_asks(tmp_path, turn):
    av = pytest.importorskip("av")
    if not hasattr(av.VideoStream, "set_display_matrix"):
        pytest.skip("this PyAV cannot write a rotation")
    matrix, turns = TURNS[turn]
    plain = next(iter(find_inputs([write_video(tmp_path / "plain.mp4")]))).pixels()
    turned = next(iter(find_inputs([write_video(tmp_path / "turned.mp4", matrix=matrix)]))).pixels()
    np.testing.assert_array_equal(turned, np.rot90(plain, turns))
    assert turned.flags.c_contiguous


def test_videos_are_taken_by_pattern_and_list_but_not_from_folders(photos):
    write_video(photos / "p/b.mp4", frames=1)
    (photos / "list.txt").write_text("p/b.mp4\nq/d.jpg\n")
    assert "b/000001" not in names("p")
    assert names("p/b.*") == ["b", "b/000001"]
    assert names("list.txt") == ["p/b/000001", "q/d"]


@pytest.mark.parametrize("other", ["b.mkv", "b/000001.png"])
def test_frames_do_not_share_names_with_other_pictures(photos, other):
    write_video(photos / "p/b.mp4", frames=1)
    path = photos / "p" / other
    write_video(path, frames=1) if path.suffix == ".mkv" else write_photo(path)
    with pytest.raises(DataError, match=r"would be called 'b(/000001)?' as p/b\.m"):
        names("p/**")


def cut_video(path):
    """A video that ends within its second frame, a JPEG."""
    whole = write_video(path, codec="mjpeg").read_bytes()
    second = whole.index(b"\xff\xd8\xff", whole.index(b"\xff\xd8\xff") + 1)
    path.write_bytes(whole[: second + 20])


def sound(path):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1000))


@pytest.mark.parametrize(
    ("write", "number", "reason"),
    [
        (lambda path: path.write_bytes(b""), 1, "Invalid data"),
        (lambda path: path.write_text("hello"), 1, "Invalid data"),
        (lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n"), 1, "Invalid data"),
        (sound, 1, "the file holds no frames"),
        (cut_video, 2, "Invalid data"),
    ],
)
def test_a_damaged_video_fails_when_its_pixels_are_read_and_the_others_follow(photos, write, number, reason):
    pytest.importorskip("av")
    write(photos / "q/clip.avi")
    pictures = find_inputs(["q/*"])
    assert len(pictures) >= 2
    *good, last, photo = pictures
    assert (last.name, photo.name) == (f"clip/{number:06d}", "d")
    with pytest.raises(DataError, match=rf"clip\.avi: frame {number} cannot be decoded \({reason}.*\); replace"):
        last.pixels()
    assert [picture.pixels().shape for picture in good] == [(48, 64, 3)] * (number - 1)
    assert photo.pixels().shape == (40, 60, 3)


def test_a_video_is_closed_when_the_caller_stops(tmp_path):
    frames = iter(find_inputs([write_video(tmp_path / "clip.mp4")]))
    first = next(frames)
    frames.close()
    assert first.pixels().shape == (48, 64, 3)
