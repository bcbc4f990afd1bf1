"""labels.csv in both forms, as people write it."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orandnet_core.datasets.labels_csv import image_id_of, read_labels_csv
from orandnet_core.errors import DataError


@pytest.fixture
def read(tmp_path):
    def read_text(text, class_names=None, encoding="utf-8"):
        (tmp_path / "labels.csv").write_text(text, encoding=encoding, newline="")
        return read_labels_csv(tmp_path / "labels.csv", class_names)

    return read_text


@pytest.mark.parametrize(
    "text",
    [
        "image_id,classes\na,ant;bee\nb,bee\n",
        "image_id,classes\r\na,ant;bee\r\nb,bee\r\n",
        "image_id,classes\na,ant | bee\nb, bee \n\n",
        'image_id,classes\na,"ant, bee"\nb,bee',
        "file,Labels\na.jpg,ant;bee\nimages/b.PNG,bee\n",
        "file\tclass\na\tant\na\tbee\nb\tbee\n",
        "file;label;split\na;ant,bee;\nb;bee;\n",
        "width,classes,image\na,ant;bee,x\nb,bee,y\n",
        "\ufeffimage_id,classes\na,ant;bee\nb,bee\n",
        "image_id,ant,bee\na,1,1\nb,0,1\n",
        "image_id,ant,bee\r\na.jpg,1,1\r\nb,0,1\r\n",
        "image_id,ant,bee\na,true,YES\nb,,1.0\n",
        'image_id,ant,bee\n"a",1,1\n\nb,0,1\n',
        "image_id\tant\tbee\na\t1\t0\na\t0\t1\nb\t0\t1\n",
    ],
)
def test_the_same_table_in_many_forms(read, text):
    table = read(text)
    assert table.class_names == ("ant", "bee")
    assert table.class_ids_by_id == {"a": (1, 2), "b": (2,)}
    assert len(table.problems) == 0


def test_given_classes_decide_numbers_and_columns(read):
    table = read("image_id,ant,width,bee\na,1,640,0\nb,0,480,1\n", ("bee", "cat", "ant"))
    assert table.class_names == ("bee", "cat", "ant")
    assert table.class_ids_by_id == {"a": (3,), "b": (1,)}


def test_columns_that_are_not_the_given_classes_are_noted(read):
    """A name spelt in another way would else lose its class without a word."""
    table = read("image_id,cat,tvmonitor,split,\na,1,1,train,\nb,0,1,train,\n", ("cat", "tv monitor"))
    assert table.class_ids_by_id == {"a": (1,), "b": ()}
    assert [(problem.kind, problem.what.split("'")[1]) for problem in table.problems] == [
        ("class without column", "tv monitor"),
        ("column of no class", "tvmonitor"),
    ]
    assert table.problems.error_count == 0
    assert len(read("image_id,bee,ant\na,1,0\n", ("ant", "bee")).problems) == 0
    assert len(read("image_id,width,classes\na,640,ant\n", ("ant", "bee")).problems) == 0


def test_a_class_name_with_a_comma_is_taken_whole_where_it_is_known(read):
    table = read('image_id,classes\na,"tench, Tinca tinca"\n', ("tench, Tinca tinca", "goldfish"))
    assert table.class_ids_by_id == {"a": (1,)}


def test_an_empty_cell_means_no_class(read):
    assert read("image_id,classes\na,\nb,ant\n").class_ids_by_id == {"a": (), "b": (1,)}


@pytest.mark.parametrize("form", ["image_id,classes,split\na,ant,train\nb,ant,\nc,ant, val \n",
                                  "image_id,split,ant\na,train,1\nb,,1\nc,val,1\n"])  # fmt: skip
def test_splits(read, form):
    table = read(form)
    assert table.split_by_id == {"a": "train", "c": "val"}
    assert list(table.class_ids_by_id) == ["a", "b", "c"]


def test_no_split_column(read):
    assert read("image_id,classes\na,ant\n").split_by_id is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,ant,more", "3 cells where the header has 2"),
        ("a", "1 cells where the header has 2"),
        ("../a,ant", "'../a' names no image"),
        ("/etc/passwd,ant", "'/etc/passwd' names no image"),
        (",ant", "'' names no image"),
        ("a,wasp", "class 'wasp' is not in classes.txt"),
    ],
)
def test_a_bad_row_is_listed_with_its_line_and_passed_over(read, row, said):
    table = read(f"image_id,classes\nx,ant\n{row}\ny,bee\n", ("ant", "bee"))
    (problem,) = table.problems
    assert problem.file == "labels.csv, line 3"
    assert said in problem.what
    assert problem.is_error
    assert {"x": (1,), "y": (2,)}.items() <= table.class_ids_by_id.items()


def test_a_bad_cell_of_a_class_column(read):
    table = read("image_id,ant,bee\na,1,maybe\nb,0,1\n")
    (problem,) = table.problems
    assert (problem.file, problem.what) == ("labels.csv, line 2", "'maybe' in column 'bee'")
    assert table.class_ids_by_id == {"a": (1,), "b": (2,)}


def test_digits_that_are_no_flags_are_not_taken_for_flags(read):
    table = read("image_id,ant,bee\na,2,1\nb,0,1\n")
    assert [problem.what for problem in table.problems] == ["'2' in column 'ant'"]
    assert table.class_ids_by_id == {"a": (2,), "b": (2,)}


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(
    ("header", "rows", "labels"),
    [
        ("classes", ["a,cat", 'b,"cat', "c,dog", "d,cat"], {"a": (1,), "c": (2,), "d": (1,)}),
        ("classes", ["a,cat", 'b,"cat', "c,dog", 'd,"cat', "e,dog"], {"a": (1,), "c": (2,), "e": (2,)}),
        ("classes", ["a,cat", 'b,"cat', 'c,"dog"', "d,dog"], {"a": (1,), "c": (2,), "d": (2,)}),
        ("classes", ['"a,cat', "b,dog"], {"b": (2,)}),
        ("cat,dog", ['"a,1,1', "b,0,1"], {"b": (2,)}),
        ("cat,dog", ['a,"1,1', "b,0,1"], {"b": (2,)}),
    ],
)  # fmt: skip
def test_a_stray_quote_spoils_its_own_row_alone(read, header, rows, labels, split):
    if split:
        header, rows = f"split,{header}", [row.replace(",", ",train,", 1) for row in rows]
    table = read("\n".join([f"image_id,{header}", *rows]), ("cat", "dog"))
    assert table.class_ids_by_id == labels
    spoilt = [line for line, row in enumerate(rows, start=2) if row[0] not in labels]
    assert [problem.file for problem in table.problems] == [f"labels.csv, line {line}" for line in spoilt]


@pytest.mark.parametrize("row", [f"{'x' * 200_000},ant", f"{'x' * 200_000},2"])
@pytest.mark.parametrize("header", ["classes", "ant"])
def test_a_cell_beyond_all_measure_is_listed(read, header, row):
    table = read(f"image_id,{header}\n{row}\ny,{'1' if header == 'ant' else 'ant'}\n")
    (problem,) = table.problems
    assert (problem.file, table.class_ids_by_id) == ("labels.csv, line 2", {"y": (1,)})


@pytest.mark.parametrize("form", ["image_id,classes\na,ant\n,\n , \n", "image_id,ant,bee\na,1,0\n,,\n"])
def test_rows_of_empty_cells_are_no_rows(read, form):
    table = read(form)
    assert (table.class_ids_by_id, len(table.problems)) == ({"a": (1,)}, 0)


def test_a_split_is_called_like_a_file(read):
    table = read("image_id,classes,split\na,ant,../../train\nb,ant,train\n")
    assert (table.split_by_id, table.class_ids_by_id) == ({"b": "train"}, {"b": (1,)})
    assert [problem.what for problem in table.problems] == ["'../../train' can be no split's name"]


def test_an_image_in_two_splits_is_listed(read):
    table = read("image_id,classes,split\na,ant,train\na,bee,val\n")
    assert table.split_by_id == {"a": "train"}
    assert [problem.what for problem in table.problems] == ["a is in split 'train' above and in 'val' here"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no header"),
        ('image_id,"classes\na,ant\n', "its header is no row of a table"),
        ("image_id\na\n", "no header with two columns"),
        (
            "image_id,split\na,train\n",
            "neither a column `classes` nor a column a class; it has image_id, split",
        ),
    ],
)
def test_no_table(read, text, said):
    with pytest.raises(DataError, match=said):
        read(text)


def test_no_column_of_the_given_classes(read):
    with pytest.raises(DataError, match=r"a column a class that classes.txt names; it has image_id, width"):
        read("image_id,width\na,640\n", ("ant",))


def test_not_text(read, tmp_path):
    with pytest.raises(DataError, match="not readable as UTF-8"):
        read("image_id,classes\nä,ant\n", encoding="latin-1")
    with pytest.raises(DataError, match="no such file"):
        read_labels_csv(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("name", "image_id"),
    [
        ("a", "a"), ("a.jpg", "a"), ("a.JPEG", "a"), ("a.v2", "a.v2"), ("a.v2.png", "a.v2"), (" a ", "a"),
        ("images/a.jpg", "a"), ("./images/a.jpg", "a"), ("sub/a.jpg", "sub/a"), ("sub\\a.jpg", "sub/a"),
        ("..", None), ("sub/../../a", None), ("/a", None), ("", None), (".jpg", None), ("a\0", None),
        ("a..b", "a..b"),
    ],
)  # fmt: skip
def test_image_ids(name, image_id):
    assert image_id_of(name) == image_id


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.sets(st.integers(0, 4)), min_size=1))
def test_both_forms_say_the_same(tmp_path_factory, rows):
    """Written by the csv module as the oracle, in both forms, and read back."""
    folder = tmp_path_factory.mktemp("csv")
    classes = ["ant", "bee", "cat", "dog", "eel"]
    long, wide = io.StringIO(), io.StringIO()
    names = [[key, ";".join(classes[i] for i in found)] for key, found in rows.items()]
    flags = [[key, *(int(i in found) for i in range(5))] for key, found in rows.items()]
    csv.writer(long).writerows([["image_id", "classes"], *names])
    csv.writer(wide).writerows([["image_id", *classes], *flags])
    tables = []
    for text in (long, wide):
        (folder / "labels.csv").write_text(text.getvalue(), newline="")
        tables.append(read_labels_csv(folder / "labels.csv", classes))
    expected = {key: tuple(sorted(i + 1 for i in found)) for key, found in rows.items()}
    assert tables[0].class_ids_by_id == tables[1].class_ids_by_id == expected
