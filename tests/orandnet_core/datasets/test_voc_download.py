"""VOC 2012 and SBD from small archives on a local server: unpacked whole, or not at all."""

import io
import stat
import tarfile
import zipfile
from collections import namedtuple

import pytest

from orandnet_core.datasets import transfer, voc12, voc_download
from orandnet_core.datasets.transfer import Remote
from orandnet_core.datasets.voc_download import SBD, VOC, Archive, download_voc12
from orandnet_core.errors import DataError

IDS = ("2007_000027", "2007_000032", "2007_000033", "2008_000002")  # train, train, val, SBD alone


def tar_bytes(entries):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in entries.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def zip_bytes(entries):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture
def voc_entries(tmp_path, make_image, make_mask):
    base = "VOCdevkit/VOC2012"
    entries = {
        f"{base}/ImageSets/Segmentation/train.txt": f"{IDS[0]}\n{IDS[1]}\n".encode(),
        f"{base}/ImageSets/Segmentation/val.txt": f"{IDS[2]}\n".encode(),
    }
    for image_id in IDS:
        make_image(tmp_path / "one.jpg")
        entries[f"{base}/JPEGImages/{image_id}.jpg"] = (tmp_path / "one.jpg").read_bytes()
        entries[f"{base}/Annotations/{image_id}.xml"] = (
            b"<annotation><object><name>cat</name></object></annotation>"
        )
    for image_id in IDS[:3]:
        make_mask(tmp_path / "one.png", (8,))
        entries[f"{base}/SegmentationClass/{image_id}.png"] = (tmp_path / "one.png").read_bytes()
    return entries


@pytest.fixture
def sbd_entries(tmp_path, make_mask):
    make_mask(tmp_path / "sbd.png", (8,))
    content = (tmp_path / "sbd.png").read_bytes()
    masks = {f"SegmentationClassAug/{image_id}.png": content for image_id in IDS}
    return {"SegmentationClassAug/": b"", "__MACOSX/SegmentationClassAug/._x.png": b"", **masks}


@pytest.fixture
def archives(web, voc_entries, sbd_entries):
    """The two archives as the server has them now; call it again after changing the entries."""

    def make():
        web.files["/voc.tar"], web.files["/sbd.zip"] = tar_bytes(voc_entries), zip_bytes(sbd_entries)
        voc = Remote(urls=(web.url("/voc.tar"),))
        sbd = Remote(urls=(web.url("/sbd.zip"),))
        return {
            "voc": Archive(name="voc.tar", remote=voc, unpacked_bytes=10_000, files=4),
            "sbd": Archive(name="sbd.zip", remote=sbd, unpacked_bytes=10_000, files=4),
        }

    return make


def test_both_arrive_and_open(archives, tmp_path):
    told = {}
    root = download_voc12(
        tmp_path / "data",
        lambda what, done, total, unit: told.update({what: (done, total, unit)}),
        **archives(),
    )
    assert root == tmp_path / "data" / "VOC2012"
    assert [path.name for path in root.parent.iterdir()] == ["VOC2012"]
    dataset = voc12(root)
    assert dataset.splits == {"train": IDS[:2], "train_aug": (IDS[0], IDS[1], IDS[3]), "val": IDS[2:3]}
    assert dataset.mask_path_of(IDS[3]).parent.name == "SegmentationClassAug"
    assert dataset.mask_path_of(IDS[0]).parent.name == "SegmentationClass"
    assert dataset.class_ids(IDS[3]).tolist() == [8]
    assert told["unpacking VOC 2012"] == told["unpacking SBD's masks"] == (4, 4, "file")
    assert told["voc.tar"][2] == "B"


def test_a_second_call_fetches_nothing(archives, web, tmp_path):
    download_voc12(tmp_path, **archives())
    web.requests.clear()
    download_voc12(tmp_path, **archives())
    assert web.requests == []


def test_voc_alone_then_sbd(archives, web, tmp_path):
    root = download_voc12(tmp_path, **(archives() | {"sbd": None}))
    assert not (root / "SegmentationClassAug").exists()
    assert not (root / "ImageSets/Segmentation/train_aug.txt").exists()
    web.requests.clear()
    download_voc12(tmp_path, **archives())
    assert [path for path, _ in web.requests] == ["/sbd.zip"]
    assert (root / "ImageSets/Segmentation/train_aug.txt").is_file()


def test_archives_can_be_kept_and_are_used_again(archives, web, tmp_path):
    root = download_voc12(tmp_path, keep_archives=True, **archives())
    assert (tmp_path / "voc.tar").is_file()
    assert (tmp_path / "sbd.zip").is_file()
    root.rename(tmp_path / "elsewhere")
    web.requests.clear()
    assert download_voc12(tmp_path, **archives()) == root
    assert web.requests == []
    assert not (tmp_path / "voc.tar").exists()


def test_an_archive_with_too_few_images_is_refused_whole(archives, voc_entries, tmp_path):
    del voc_entries[f"VOCdevkit/VOC2012/JPEGImages/{IDS[0]}.jpg"]
    with pytest.raises(DataError, match=r"voc\.tar: brings 3 images instead of 4"):
        download_voc12(tmp_path / "data", **archives())
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["voc.tar"]


def test_an_archive_with_too_few_masks_is_refused_whole(archives, sbd_entries, tmp_path):
    del sbd_entries[f"SegmentationClassAug/{IDS[0]}.png"]
    with pytest.raises(DataError, match=r"sbd\.zip: brings 3 masks instead of 4"):
        download_voc12(tmp_path, **archives())
    assert not any("Aug" in path.name for path in (tmp_path / "VOC2012").iterdir())


def link(name, target):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


@pytest.mark.parametrize(
    "entry",
    [
        {"../escaped.jpg": b"x"},
        {"VOCdevkit/VOC2012/../../../escaped.jpg": b"x"},
        {"link": link("VOCdevkit/VOC2012/out", "/etc")},
        {"link": link("VOCdevkit/VOC2012/out", "../../../..")},
    ],
)
def test_a_tar_that_leads_out_is_refused(archives, voc_entries, tmp_path, entry):
    voc_entries.update(entry)
    with pytest.raises(DataError, match=r"voc\.tar: not a tar archive that can be unpacked"):
        download_voc12(tmp_path / "deep" / "data", **archives())
    assert not list(tmp_path.rglob("escaped.jpg"))
    assert [path.name for path in (tmp_path / "deep" / "data").iterdir()] == ["voc.tar"]


def symlink_entry(name):
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    "name",
    [
        "../2007_000001.png", "/2007_000001.png", "SegmentationClassAug/../../2007_000001.png",
        "SegmentationClassAug/evil.sh", "SegmentationClassAug/x.png", f"other/{IDS[0]}.png",
        symlink_entry("SegmentationClassAug/2007_000001.png"),
    ],
)  # fmt: skip
def test_a_zip_with_anything_but_masks_is_refused(archives, sbd_entries, tmp_path, name):
    sbd_entries[name] = b"x"
    with pytest.raises(DataError, match=r"sbd\.zip: holds .*, which is no mask of SBD"):
        download_voc12(tmp_path / "data", **archives())
    assert not (tmp_path / "data/VOC2012/SegmentationClassAug").exists()
    assert not list(tmp_path.rglob("2007_000001.png"))


def test_a_zip_that_inflates_is_refused(archives, sbd_entries, tmp_path, monkeypatch):
    monkeypatch.setattr(voc_download, "_LARGEST_MASK_BYTES", 1000)
    sbd_entries["SegmentationClassAug/2007_000001.png"] = bytes(1001)
    with pytest.raises(DataError, match="2007_000001.png', which is no mask"):
        download_voc12(tmp_path, **archives())


def test_a_zip_with_a_damaged_member_is_refused(archives, web, sbd_entries, tmp_path):
    made = archives()
    content = bytearray(web.files["/sbd.zip"])
    content[content.rindex(b"IEND") - 10] ^= 1  # inside the last mask's bytes, which the CRC covers
    web.files["/sbd.zip"] = bytes(content)
    with pytest.raises(DataError, match=r"sbd\.zip: not a zip archive that can be unpacked"):
        download_voc12(tmp_path, **made)


@pytest.mark.parametrize("path", ["/voc.tar", "/sbd.zip"])
def test_what_is_no_archive(archives, web, tmp_path, path):
    made = archives()
    web.files[path] = b"no archive at all" * 100
    with pytest.raises(DataError, match="not a (tar|zip) archive that can be unpacked"):
        download_voc12(tmp_path, **made)


def test_a_folder_that_is_no_voc_is_left_alone(archives, tmp_path):
    (tmp_path / "VOC2012").mkdir()
    (tmp_path / "VOC2012" / "mine.txt").touch()
    with pytest.raises(DataError, match="is there, but is no VOC 2012"):
        download_voc12(tmp_path, **archives())
    assert (tmp_path / "VOC2012" / "mine.txt").exists()


def test_a_disk_too_small_is_said_first(archives, web, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: usage(10**9, 0, 9_999))
    with pytest.raises(DataError, match=r"voc\.tar, downloaded and unpacked, needs"):
        download_voc12(tmp_path, **archives())
    assert web.requests == []


def test_a_target_that_cannot_be_written(archives, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        download_voc12(tmp_path / "file", **archives())


def test_an_interruption_while_unpacking_leaves_no_half_data_set(archives, tmp_path):
    def interrupt(what, done, total, unit):
        if what.startswith("unpacking") and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_voc12(tmp_path / "data", interrupt, **archives())
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["voc.tar"]
    assert voc12(download_voc12(tmp_path / "data", **archives())).image_ids("val") == IDS[2:3]


def test_what_is_known_of_the_real_archives():
    assert (VOC.remote.size_bytes, VOC.remote.md5) == (1_999_639_040, "6cd6e144f989b92b3379bac3b3de84fd")
    assert (VOC.files, SBD.files) == (17_125, 12_031)
    assert all(url.endswith(VOC.name) for url in VOC.remote.urls)
    assert all(SBD.name in url for url in SBD.remote.urls)
