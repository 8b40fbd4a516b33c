"""Files that annotations name stay below the folder of the images, links or not."""

import json

import pytest

from bana import read_dataset
from bana.data.label_maps import write_label_map
from bana.data.paths import FolderFiles
from bana.data.truth import mask_files
from bana.errors import DataError
from data_samples import (
    coco_content,
    voc_object,
    voc_xml,
    write_coco,
    write_labelme,
    write_photo,
    write_voc,
    write_yolo,
)
from shapes_data import true_mask

FORMATS = {
    "voc": (write_voc, "JPEGImages"),
    "coco": (write_coco, "images"),
    "yolo": (write_yolo, "images/train"),
    "labelme": (write_labelme, ""),
}
"""How each format is written, and where its images are."""

LEAVING = ["../a.jpg", "/a.jpg", "C:\\a.jpg", "C:a.jpg", "\\\\host\\share\\a.jpg", "x/../../a.jpg"]


@pytest.fixture(params=FORMATS)
def written(request, tmp_path):
    """A data set of one image ``a.jpg``, and the folder of its images."""
    write, folder = FORMATS[request.param]
    root = tmp_path / "set"
    root.mkdir()
    write(root)
    return root, root / folder


@pytest.fixture
def elsewhere(tmp_path):
    """A photograph outside the data set."""
    return write_photo(tmp_path / "elsewhere" / "a.jpg")


def test_an_image_that_is_a_link_to_elsewhere_is_refused(written, elsewhere):
    root, folder = written
    (folder / "a.jpg").unlink()
    (folder / "a.jpg").symlink_to(elsewhere)
    with pytest.raises(
        DataError, match=r"a\.jpg is, or is reached by, a link that leaves .*; put the file itself there"
    ):
        read_dataset(root)


def test_an_image_that_is_a_link_to_one_beside_it_is_read(written):
    root, folder = written
    (folder / "a.jpg").rename(folder / "other.png")
    (folder / "a.jpg").symlink_to("other.png")
    assert (folder / "a.jpg") in [record.path for record in read_dataset(root)]


def test_the_data_set_may_be_reached_by_a_link(written, tmp_path):
    root, _ = written
    (tmp_path / "link").symlink_to(root)
    assert len(read_dataset(tmp_path / "link")) == 1


@pytest.mark.parametrize(("write", "folder"), [FORMATS[name] for name in ("voc", "coco", "yolo")])
def test_the_folder_of_the_images_may_be_a_link(tmp_path, write, folder):
    write(tmp_path / "set")
    images = tmp_path / "set" / folder
    images.rename(tmp_path / "disk")
    images.symlink_to(tmp_path / "disk")
    assert [record.path for record in read_dataset(tmp_path / "set")] == [images / "a.jpg"]


def test_a_folder_below_the_images_that_is_a_link_to_elsewhere_is_refused(tmp_path, elsewhere):
    content = coco_content()
    content["images"][0]["file_name"] = "sub/a.jpg"
    write_coco(tmp_path, content)
    (tmp_path / "images/sub").symlink_to(elsewhere.parent)
    with pytest.raises(DataError, match=r"instances\.json: image 7: .*sub/a\.jpg is, or is reached by, a link"):
        read_dataset(tmp_path)
    (tmp_path / "images/sub").unlink()
    (tmp_path / "images/sub").mkdir()
    write_photo(tmp_path / "images/sub/a.jpg")
    assert len(read_dataset(tmp_path)) == 1


@pytest.mark.parametrize("name", ["SegmentationClass", "SegmentationObject"])
def test_a_mask_that_is_a_link_to_elsewhere_is_refused(tmp_path, name):
    write_voc(tmp_path / "set")
    write_label_map(tmp_path / "elsewhere/a.png", true_mask((60, 40), ()))
    (tmp_path / "set" / name).mkdir()
    (tmp_path / "set" / name / "a.png").symlink_to(tmp_path / "elsewhere/a.png")
    with pytest.raises(DataError, match=rf"a\.xml: .*{name}/a\.png is, or is reached by, a link"):
        read_dataset(tmp_path / "set")
    with pytest.raises(DataError, match=r"a\.png is, or is reached by, a link"):
        mask_files(tmp_path / "set" / name)
    (tmp_path / "set" / name / "a.png").unlink()
    (tmp_path / "set" / name).rmdir()
    (tmp_path / "set" / name).symlink_to(tmp_path / "elsewhere")
    assert len(read_dataset(tmp_path / "set")) == len(mask_files(tmp_path / "set" / name)) == 1


def test_an_image_of_a_list_of_yolo_that_is_a_link_to_elsewhere_is_left_out(tmp_path, elsewhere):
    root = write_yolo(tmp_path / "set", {"a": "", "b": "0 0.5 0.5 1 1"}, "train: list.txt\nnames: [cat]\n")
    (root / "list.txt").write_text("images/train/a.jpg\nimages/train/b.jpg\n")
    (root / "images/train/a.jpg").unlink()
    (root / "images/train/a.jpg").symlink_to(elsewhere)
    dataset = read_dataset(root, on_error="skip")
    assert [record.image_id for record in dataset] == ["images/train/b"]
    assert [entry.image_id for entry in dataset.rejected] == ["images/train/a"]


@pytest.mark.parametrize("name", LEAVING)
def test_a_name_that_leaves_the_images_is_refused(tmp_path, name):
    write_photo(tmp_path / "a.jpg")
    content = coco_content()
    content["images"][0]["file_name"] = name
    voc = write_voc(tmp_path / "voc", {"b": voc_xml(voc_object(), filename=name)})
    labelme = tmp_path / "labelme"
    labelme.mkdir()
    write_labelme(labelme, imagePath=name)
    roots = (voc, write_coco(tmp_path / "coco", content), labelme)
    for root in roots:
        (record,) = read_dataset(root)
        assert record.path.resolve().is_relative_to(root.resolve())  # the image that is there
        for photo in root.rglob("*.jpg"):
            photo.unlink()
        with pytest.raises(DataError, match=r"leaves the (image )?folder"):
            read_dataset(root)


@pytest.mark.parametrize("name", ["../elsewhere", "../elsewhere/a.jpg", "{root}/elsewhere", "images/../../elsewhere"])
def test_a_split_of_yolo_that_leaves_the_data_set_is_refused(tmp_path, elsewhere, name):
    text = json.dumps({"train": name.format(root=tmp_path), "names": ["cat"]})
    with pytest.raises(DataError, match=r"data\.yaml: .* leaves the folder"):
        read_dataset(write_yolo(tmp_path / "set", data_yaml=text))


def test_folders_are_resolved_once(tmp_path, monkeypatch):
    paths = [write_photo(tmp_path / "a" / f"{number}.jpg") for number in range(20)]
    links, resolved = FolderFiles(), []
    holds = links._holds
    monkeypatch.setattr(links, "_holds", lambda root, path: resolved.append(path) or holds(root, path))
    for path in paths:
        assert links.checked(tmp_path, path, "x") is path
    assert resolved == [str(tmp_path / "a")]


def test_links_are_followed_on_request(written, elsewhere, run_cli):
    root, folder = written
    (folder / "a.jpg").unlink()
    (folder / "a.jpg").symlink_to(elsewhere)
    assert [record.path for record in read_dataset(root, follow_links=True)] == [folder / "a.jpg"]
    answer = run_cli("check", root)
    assert (answer.status, "put the file itself there, or add --follow-links" in answer.out + answer.err) == (1, True)
    assert run_cli("check", root, "--follow-links").status == 0
    out = root.parent / "out"
    assert run_cli("convert", root, out, "--to", "coco", "--follow-links").status == 0
    assert not (out / "train" / "a.jpg").is_symlink()


@pytest.mark.parametrize("name", ["../elsewhere/a.jpg", "/elsewhere/a.jpg"])
def test_names_that_leave_the_data_set_are_refused_even_where_links_are_followed(tmp_path, elsewhere, name):
    content = coco_content()
    content["images"][0]["file_name"] = name
    write_coco(tmp_path / "set", content)
    (tmp_path / "set/images/a.jpg").unlink()
    with pytest.raises(DataError, match="leaves the image folder"):
        read_dataset(tmp_path / "set", follow_links=True)
