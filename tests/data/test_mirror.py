"""Data sets at an address: read without their images."""

import json
import shutil

import fsspec
import numpy as np
import pytest

from bad_data import malformed_xml, missing_image, truncated_image
from bana.data.convert import writer
from bana.data.images import open_record_image
from bana.data.mirror import read_anywhere
from bana.data.reading import read_dataset
from bana.errors import DataError
from bana.io.remote import parse_path


def same(remote, local):
    assert remote.classes == local.classes
    assert remote.fingerprint() == local.fingerprint()
    assert [record.segmentations for record in remote] == [record.segmentations for record in local]


def converted(dataset, folder, name, images):
    writer(name, images="none")(dataset, dataset.class_table, folder, "train")
    shutil.copytree(dataset.root / "JPEGImages", folder / images, dirs_exist_ok=True)
    return folder


def test_voc(shapes_voc, uploaded):
    remote, images = read_anywhere(parse_path(uploaded(shapes_voc)), "train")
    local = read_dataset(shapes_voc)
    same(remote, local)
    for here, there in zip(local, remote, strict=True):
        assert not there.path.exists()
        with images(there) as fetched:
            np.testing.assert_array_equal(open_record_image(fetched), open_record_image(here))
        assert not fetched.path.exists()


def test_coco_by_folder_and_by_file(shapes_voc, uploaded, tmp_path):
    folder = converted(read_dataset(shapes_voc), tmp_path / "coco", "coco", "train")
    url = uploaded(folder)
    for name in ("", "/annotations/instances_train.json"):
        remote, images = read_anywhere(parse_path(url + name))
        same(remote, read_dataset(folder))
        with images(remote[0]) as fetched:
            open_record_image(fetched)


def test_labelme(shapes_voc, uploaded, tmp_path):
    folder = converted(read_dataset(shapes_voc), tmp_path / "labelme", "labelme", "train")
    same(read_anywhere(parse_path(uploaded(folder)))[0], read_dataset(folder))


def test_yolo_does_not_say_how_large_images_are(shapes_voc, uploaded, tmp_path):
    url = uploaded(converted(read_dataset(shapes_voc), tmp_path / "yolo", "yolo", "images/train"))
    with pytest.raises(DataError, match=f"^{url}: YOLO's annotations do not say how large an image is; use a local"):
        read_anywhere(parse_path(url))


def test_an_annotation_that_does_not_say_how_large_its_image_is(shapes_voc, uploaded, tmp_path):
    data = shutil.copytree(shapes_voc, tmp_path / "voc")
    annotation = data / "Annotations/b.xml"
    annotation.write_text(annotation.read_text().replace("size>", "sized>"))
    url = uploaded(data)
    with pytest.raises(DataError, match=f"^{url}/JPEGImages/b.jpg: its annotation does not say how large it is; add"):
        read_anywhere(parse_path(url))
    remote, _ = read_anywhere(parse_path(url), on_error="skip")
    assert [entry.image_id for entry in remote.rejected] == ["b"]


def test_faults_name_the_address(uploaded, tmp_path):
    url = uploaded(malformed_xml(tmp_path / "malformed"))
    with pytest.raises(DataError, match=f"^{url}/Annotations/a.xml: is not well-formed"):
        read_anywhere(parse_path(url))
    (entry,) = read_anywhere(parse_path(url), on_error="skip")[0].rejected
    assert entry.reason.startswith(f"{url}/Annotations/a.xml: is not well-formed")
    url = uploaded(missing_image(tmp_path / "missing"))
    with pytest.raises(DataError, match=f"{url}/Annotations/a.xml: image 'a.jpg' is not in {url}/JPEGImages"):
        read_anywhere(parse_path(url))
    url = uploaded(truncated_image(tmp_path / "truncated"))
    remote, images = read_anywhere(parse_path(url))
    with pytest.raises(DataError, match=f"^{url}/JPEGImages/a.jpg: image is damaged"), images(remote[0]) as fetched:
        open_record_image(fetched)


def test_an_image_that_went_since(shapes_voc, uploaded):
    url = uploaded(shapes_voc)
    remote, images = read_anywhere(parse_path(url))
    fsspec.filesystem("memory").rm(f"{url}/JPEGImages/a.jpg")
    with pytest.raises(DataError, match=f"^{url}/JPEGImages/a.jpg: image cannot be read"), images(remote[0]):
        pass


def test_what_is_not_there(s3):
    with pytest.raises(DataError, match=r"^memory://nothing: holds no files; check the address"):
        read_anywhere(parse_path("memory://nothing"))
    with pytest.raises(DataError, match=r"^s3://no-such-bucket/data: cannot be read .*bucket does not exist.*; check"):
        read_anywhere(parse_path("s3://no-such-bucket/data"))


def test_names_that_leave_the_folder(shapes_voc, s3):
    s3.put_object(Bucket="stand-in", Key="bad/../../a.xml", Body=b"")
    s3.put_object(Bucket="stand-in", Key="bad/instances.json", Body=json.dumps({}).encode())
    with pytest.raises(DataError, match=r"^s3://stand-in/bad: file name '../../a.xml' leaves the image folder"):
        read_anywhere(parse_path("s3://stand-in/bad"))
