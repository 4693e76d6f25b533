"""Words, dates, columns, settings, and the limits of each piece of advice."""

import csv
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from odd_exports import EN, HEADER, WORDS, book, changed, lines
from sklearn.feature_extraction.text import TfidfVectorizer

from helpers import DataError, plant
from helpers.plant import advice, reading

NOTHING = plant.Settings(None, None, None, None, None)


def table_of(rows, header=HEADER):
    """A table as read_export gives it."""
    rows = [["" if cell is None else str(cell) for cell in row] for row in rows]
    return pd.DataFrame(rows, columns=header, dtype=str)


def clean(rows, **named):
    table = table_of(rows)
    columns, _ = plant.choose_columns(table, NOTHING._replace(**named))
    return plant.clean_orders(table, columns)


def sentences(rows, **named):
    return " ".join(piece.sentence for piece in clean(rows, **named)[1])


# --- words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Öl-Pumpe 3 UNDICHT", ["öl", "pumpe", "3", "undicht"]),
        ("Größe geändert, Straße", ["grösse", "geändert", "strasse"]),
        ("Fuite d'huile sur l’évent", ["fuite", "d", "huile", "sur", "l", "évent"]),
        ("¿Válvula atascada? Señal_2", ["válvula", "atascada", "señal", "2"]),
        ("更换轴承", ["更换", "换轴", "轴承"]),
        ("3号泵漏油，急！", ["3", "号泵", "泵漏", "漏油", "急"]),
        ("PLC报警", ["plc", "报警"]),
        ("モーター交換", ["モー", "ータ", "ター", "ー交", "交換"]),
        ("เปลี่ยน", ["เป", "ปล", "ลี", "ี่", "่ย", "ยน"]),
        ("펌프 교체", ["펌프", "교체"]),
        ("हिन्दी पंप", ["हिन्दी", "पंप"]),
        ("ＰＵＭＰ １２", ["pump", "12"]),
        ("", []),
        ("--- / !", []),
    ],
)
def test_words_are_cut_where_the_language_cuts_them(text, words):
    assert plant.tokens(text) == words
    assert plant.tokens(unicodedata.normalize("NFD", text)) == words


def test_words_feed_a_vectoriser():
    texts = ["泵漏油", "更换轴承", "Öl läuft aus"]
    names = TfidfVectorizer(analyzer=plant.tokens).fit(texts).get_feature_names_out()
    assert sorted(names) == sorted({w for text in texts for w in plant.tokens(text)})


@pytest.mark.parametrize(
    ("text", "masked", "kinds"),
    [
        ("leak, seen by John Smith", "leak, seen by J*** S****", ["name"]),
        ("done BY J. Smith today", "done BY J. S**** today", ["name"]),
        ("Herr Müller informiert", "Herr M***** informiert", ["name"]),
        ("voir Mme Lefèvre", "voir Mme L******", ["name"]),
        ("mail an h.maier@werk.de", "mail an h.m****@w***.d*", ["e-mail address"]),
        ("call +49 351 4567890", "call +4* 3** 4******", ["phone number"]),
        ("tel 01 23 45 67 89", "tel 0* 2* 4* 6* 8*", ["phone number"]),
        ("电话13812345678", "电话13812345678", []),
        ("电话 13812345678", "电话 1**********", ["phone number"]),
        ("by hand, by 3 mm", "by hand, by 3 mm", []),
        ("part 0445020175, order 000010004567", None, []),
        ("on 01-02-2024 10:15, 12.50 m", None, []),
        ("Austausch von Dichtung durch Verschleiß", None, []),
    ],
)
def test_personal_data_is_masked(text, masked, kinds):
    assert plant.mask_personal(text) == (text if masked is None else masked, kinds)


def test_what_is_shown_of_personal_data_is_masked():
    rows = changed(2, lambda n, c: f"{c}, by Jane Doe, 0351 4567890, jd@plant.example")
    said = sentences(rows)
    assert said.count("Texts that may hold personal data") == 3 and "120" in said
    assert "Jane" not in said and "4567890" not in said and "jd@plant" not in said


def test_persons_are_masked_wherever_a_text_is_shown(tmp_path):
    with pytest.raises(DataError, match=r"by J\*\*\* D\*\*"):
        clean(changed(2, lambda n, c: "by Jane Doe"), text="Description")
    path = tmp_path / "a.csv"
    path.write_text(lines() + "1,2024-01-01,by Jane Doe, at night,fitter,M1,1\n")
    assert "by J*** D** | at" in plant.read_export(path)[1][1]


# --- dates

LATE = ["2024-03-31 23:30", "2024-04-01 01:00"]


@pytest.mark.parametrize(
    ("texts", "dates", "said"),
    [
        (["2024-03-31", "2024-04-01"], ["2024-03-31", "2024-04-01"], "year first"),
        (["2024/3/31", ""], ["2024-03-31", None], "year first"),
        (["31.03.2024 14:30", "1.4.2024"], ["2024-03-31 14:30", "2024-04-01"], "day"),
        (["03/31/2024", "04/01/2024"], ["2024-03-31", "2024-04-01"], "the month first"),
        (["31.12.99", "01.01.00"], ["1999-12-31", "2000-01-01"], "have the day first"),
        (["01/02/2024", "03/04/2024"], ["2024-02-01", "2024-04-03"], "Ambiguous"),
        (["31/03/2024", "03/31/2024"], [None, None], "contradict"),
        (["2024-03-05", "13.3.2024"], ["2024-03-05", "2024-03-13"], "day first"),
        (["2024年3月5日", "13.3.2024"], ["2024-03-05", "2024-03-13"], "day first"),
        (["15-Mai-2024"], [None], "No date can be read, as in '15-Mai"),
        (["20240331", "x"], ["2024-03-31", None], "year first"),
        (["31-Mar-2024", "1 April 2024"], ["2024-03-31", "2024-04-01"], "month's name"),
        (["2024年3月5日"], ["2024-03-05"], "year first"),
        (["45382", "45382.5"], ["2024-03-31", "2024-03-31 12:00"], "Excel's days"),
        (["2024-03-31T23:30:00+02:00"], ["2024-03-31 23:30"], "year first"),
        (["2024-03-31T23:30:00.5Z"], ["2024-03-31 23:30"], "year first"),
        (["2024-03-31 23:30:00+02", "1.4.2024 1:00"], LATE, "day first"),
        (["2024-03-31 23:30:00+01", "2024-04-01 01:00:00.25+02"], LATE, "year first"),
        (["2024-03-31 23:30:00 UTC", "2024-04-01 01:00 GMT"], LATE, "year first"),
        (["31.03.2024 23:30:00-0330", "1.4.2024 1:00 UTC"], LATE, "day first"),
        (["2024-03-31 23:30:00z", "1-Apr-2024 1:00 AM gmt+1"], LATE, "year first"),
        (["2024-03-31 23:30", "2024-04-01 03+02"], LATE, "year first"),
        (["12", "pump", "10:15", "31.02.2024"], [None] * 4, ""),
        (["", "5. März 2024"], [None, None], "No date can be read, as in '5. März"),
    ],
)
def test_dates(texts, dates, said):
    found, how = plant.parse_dates(pd.Series(texts, dtype=str))
    assert found.tolist() == pd.to_datetime(dates, format="mixed").tolist()
    assert said in how


# --- settings and columns


def test_settings_come_from_the_environment():
    given = {"PLANT_CSV": ' "a b.csv" ', "PLANT_TEXT_COLUMN": " Text ", "X": "1"}
    said = plant.settings(given | {"PLANT_LABEL_COLUMN": ""})
    assert said == plant.Settings(Path("a b.csv"), "Text", None, None, None)
    assert plant.settings({}) == NOTHING
    names = {f"PLANT_{n}_COLUMN": n for n in ("TEXT", "LABEL", "DATE", "MACHINE")}
    assert plant.settings(names)[1:] == ("TEXT", "LABEL", "DATE", "MACHINE")


@pytest.mark.parametrize("language", WORDS)
def test_columns_are_guessed_in_five_languages(language):
    header = WORDS[language][0]
    columns, said = plant.choose_columns(table_of(EN, header), NOTHING)
    assert columns == plant.Columns(header[2], header[3], header[1], header[4])
    assert sum("guessed" in sentence for sentence in said) == 4


def test_a_label_is_not_guessed_without_its_name():
    header = [*HEADER[:3], "Status", "Unit", "Cost"]
    columns, said = plant.choose_columns(table_of(EN, header), NOTHING)
    assert columns == plant.Columns("Description", None, "Date", None)
    assert "No label column was found." in said


@pytest.mark.parametrize("change", [lambda n: n, lambda n: "one"])
def test_a_label_has_few_values_and_more_than_one(change):
    rows = changed(3, lambda n, c: change(n))
    assert plant.choose_columns(table_of(rows), NOTHING)[0].label is None


def test_none_means_no_such_column():
    said = NOTHING._replace(label="none", date="None")
    columns, sentences_ = plant.choose_columns(table_of(EN), said)
    assert columns == plant.Columns("Description", None, None, "Machine")
    assert not any("Crew" in sentence for sentence in sentences_)


@pytest.mark.parametrize("name", ["crew", " CREW", "C_r_e_w".replace("_", ""), "Crew"])
def test_capitals_and_blanks_in_a_name_do_not_matter(name):
    columns, _ = plant.choose_columns(table_of(EN), NOTHING._replace(label=name))
    assert columns.label == "Crew"


def test_another_text_that_fits_is_named():
    rows = [[*row, f"{row[2]} and more"] for row in EN]
    columns, said = plant.choose_columns(table_of(rows, [*HEADER, "Remark"]), NOTHING)
    assert columns.text == "Description"  # it is called so
    assert "Others that fit: Remark" in said[1]


def test_long_remarks_in_few_rows_are_not_the_text():
    rows = [
        [*row, "many words " * 5 if n % 10 == 0 else ""] for n, row in enumerate(EN)
    ]
    table = table_of(rows, [*HEADER[:2], "Was", *HEADER[3:], "Remark"])
    assert plant.choose_columns(table, NOTHING)[0].text == "Was"


# --- advice


def test_orders_without_a_fault_get_no_warning():
    rows = [[n, *row[1:]] for n, row in enumerate(EN * 5)]
    rows.sort(key=lambda row: row[1])
    assert [piece.level for piece in clean(rows)[1]] == ["note"]


def test_every_advice_says_what_to_do():
    with open(Path(advice.__file__).with_suffix(".csv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["name"] for row in rows}) == len(rows) >= 25
    for row in rows:
        assert row["level"] in ("stop", "warn", "note") and row["next_step"].endswith(
            "."
        )
        assert "{count" in row["sentence"] or row["name"] in (
            "dates",
            "unsure dates",
            "codes",
        )


@pytest.mark.parametrize(
    ("size", "rare"),
    [(9, True), (10, False)],
    ids=["nine are too few", "ten are enough"],
)
def test_rare_labels(size, rare):
    orders, found = clean(changed(3, lambda n, c: "painter" if n < size else c))
    assert ("painter" in set(orders["label"].dropna())) != rare
    assert any("'painter' (9)" in piece.sentence for piece in found) == rare


@pytest.mark.parametrize(("count", "stops"), [(49, True), (50, False)])
def test_too_few_orders(count, stops):
    if stops:
        with pytest.raises(DataError, match=f"Orders left: {count}"):
            clean(EN[:count])
    else:
        assert len(clean(EN[:count])[0]) == count


def test_chinese_without_blanks_is_no_code():
    words = ["号泵漏油", "号电机过热", "号皮带跑偏", "号阀门卡住"]
    orders, _ = clean(changed(2, lambda n, c: f"{n % 9}{words[n % 4]}"))
    assert len(orders) == 120


def test_all_that_stops_is_said_at_once():
    rows = [[row[0], row[1], f"A{row[0]}", "fitter", *row[4:]] for row in EN]
    with pytest.raises(DataError) as error:
        clean(rows, text="Description", label="Crew")
    assert "codes, no words" in str(error.value) and "have one label" in str(
        error.value
    )


def test_a_leak_is_named_and_a_common_word_is_none():
    half = changed(2, lambda n, c: f"{c} {EN[n][3]}" if n % 3 == 0 else c)
    assert "gives it away: 40 (33%), by 'electrician', 'fitter'" in sentences(half)
    common = changed(2, lambda n, c: f"{c} please")
    assert "gives it away" not in sentences(common)
    quarter = changed(2, lambda n, c: f"{c} {EN[n][3]}" if n % 4 == 0 else c)
    assert "gives it away" not in sentences(quarter)


def test_numbered_labels_are_not_typing_mistakes():
    rows = changed(3, lambda n, c: f"Work crew {n % 2}")
    assert "nearly agree" not in sentences(rows)
    rows = changed(3, lambda n, c: f"Work {'crew' if n % 2 else 'crews'}")
    assert "nearly agree: 1, such as 'Work crew" in sentences(rows)


def test_copies_stay_where_nothing_tells_orders_apart():
    rows = [[0, "", row[2], row[3], "", 0] for row in EN]
    orders, found = clean(rows)
    assert len(orders) == 120
    assert any("another row: 64; they stay" in piece.sentence for piece in found)


def test_equal_texts_with_two_labels_are_counted():
    rows = changed(3, lambda n, c: ["fitter", "electrician"][n % 2])
    rows = [
        [*row[:2], f"{EN[n // 2][2]} number {n // 2}", *row[3:]]
        for n, row in enumerate(rows)
    ]
    assert "and another label: 60" in sentences(rows)


def test_labels_that_may_differ_in_meaning_stay_apart():
    names = ["Line 1.1", "line 1-1 ", "Line 11", "A+", "A"]
    orders, _ = clean(changed(3, lambda n, c: names[n % 5]))
    assert set(orders["label"]) == {"Line 1.1", "Line 11", "A+", "A"}


def test_long_texts_are_cut_and_said():
    orders, found = clean(changed(2, lambda n, c: "oil " * 400 + c if n == 3 else c))
    assert orders["text"].str.len().max() == 1000
    assert any("cut there: 1" in piece.sentence for piece in found)


def test_most_orders_have_one_label():
    rows = changed(3, lambda n, c: "a" if n >= 10 else "b") * 3
    rows = [[n, *row[1:]] for n, row in enumerate(rows)]
    assert "More than 95 %" not in sentences(rows)
    rows = [[*row[:3], "b" if n < 10 else "a", *row[4:]] for n, row in enumerate(rows)]
    assert "More than 95 % of the orders, 350" in sentences(rows)


def test_orders_without_any_date_need_no_example():
    said = sentences(changed(1, lambda n, c: None if n < 2 else c))
    assert "Orders without a date: 2. " in said + " " and "''" not in said
    said = sentences(changed(1, lambda n, c: [None, "soon", c][min(n, 2)]))
    assert "Orders without a date that can be used: 2, such as 'soon'." in said


def test_orders_do_not_depend_on_the_order_of_rows():
    one, _ = clean(EN)
    two, _ = clean(EN[::-1])
    pd.testing.assert_frame_equal(one, two)


# --- limits of files


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text(lines())
    monkeypatch.setattr(reading, "MOST", path.stat().st_size)
    plant.read_export(path)
    monkeypatch.setattr(reading, "MOST", path.stat().st_size - 1)
    with pytest.raises(DataError, match="a.csv has 0 MB, the most is 0"):
        plant.read_export(path)


def test_wanted_names_find_the_header(tmp_path):
    path = tmp_path / "a.csv"
    more = lines().replace("\r\n", ",,\r\n")  # two columns without name and cells
    path.write_text("one,two,three,four,five,six\n" + more)
    assert "Crew" not in plant.read_export(path)[0]
    table, said = plant.read_export(path, [None, "crew", "None"])
    assert list(table) == HEADER and "Skipped above" in said[1]


def test_wanted_names_find_the_sheet(tmp_path):
    path = tmp_path / "a.xlsx"
    more = [["A", "B"], *[[n, "words"] for n in range(2000)]]
    path.write_bytes(book({"Long": more, "Orders": [HEADER, *EN]}))
    assert list(plant.read_export(path)[0]) == ["A", "B"]
    assert list(plant.read_export(path, ["crew"])[0]) == HEADER


def test_fifty_thousand_orders(tmp_path):
    """No step looks at pairs of orders: it would not end."""
    path = tmp_path / "a.csv"
    rows = [[n, *row[1:]] for n, row in enumerate(EN * 417)]
    path.write_text(lines(rows))
    table, _ = plant.read_export(path)
    orders, _ = plant.clean_orders(table, plant.choose_columns(table, NOTHING)[0])
    assert len(orders) == len(rows) > 50_000
