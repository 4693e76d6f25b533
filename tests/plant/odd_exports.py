"""Exports as plants have them, odd in one way each, with what must become of each.

`python tests/plant/odd_exports.py` prints what was said about each as a table.
"""

import csv
import io
import tempfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import openpyxl
import pandas as pd

from helpers import DataError, plant

WORDS = {  # header, texts of two crews, names of the crews
    "en": (
        ["No", "Date", "Description", "Crew", "Machine", "Cost"],
        "lights not working|replace battery|fix wiring loom|check sensor fault"
        "|oil leak, slew motor|replace hose|adjust belt|grease bearing",
        ["electrician", "fitter"],
    ),
    "de": (
        ["Auftrag", "Datum", "Kurztext", "Gewerk", "Anlage", "Kosten"],
        "Motorschütz defekt|Kühlgerät prüfen|Schlüsselschalter lösen"
        "|Not-Aus stört|Öl nachfüllen, Getriebe|Dichtung undicht"
        "|Förderband läuft schief|Hülse schmieren",
        ["Elektrik", "Schlosserei"],
    ),
    "fr": (
        ["Ordre", "Date", "Désignation", "Équipe", "Machine", "Coût"],
        "défaut électrique armoire|capteur à remplacer|câble arraché"
        "|éclairage hors service|fuite d'huile, vérin"
        "|graissage côté gauche|palier usé|courroie à régler",
        ["électricité", "mécanique"],
    ),
    "es": (
        ["Orden", "Fecha", "Descripción", "Grupo", "Máquina", "Coste"],
        "fallo eléctrico en el armario|cambiar batería|revisión del sensor"
        "|señal errónea|fuga de aceite, prensa|correa pequeña rota"
        "|engrasar cojinete|válvula atascada",
        ["electricidad", "mecánica"],
    ),
    "zh": (
        ["单号", "日期", "描述", "班组", "设备", "费用"],
        "控制柜报警检查|更换电池|线路短路|传感器故障"
        "|液压泵漏油|更换软管|皮带跑偏调整|轴承加油",
        ["电工班", "机修班"],
    ),
}
START = date(2024, 1, 10)


def orders(language: str = "en", count: int = 120) -> list[list]:
    """Number, date, text, crew, machine and cost of orders, always the same ones."""
    _, texts, crews = WORDS[language]
    texts, rows = texts.split("|"), []
    for n in range(count):
        text = f"{texts[n * 5 % 8]} {n % 7}"
        day, machine = START + timedelta(days=n), f"M{n % 5}"
        rows.append([4000 + n, day, text, crews[n * 5 % 8 // 4], machine, n + 0.5])
    return rows


def lines(
    rows: list[list] | None = None,
    header: list[str] | None = None,
    separator: str = ",",
    day: str = "%Y-%m-%d",
    comma: bool = False,
    end: str = "\r\n",
    quoting: int = csv.QUOTE_MINIMAL,
    mark: str | None = '"',
) -> str:
    """The text of a CSV."""
    file = io.StringIO()
    writer = csv.writer(
        file, delimiter=separator, lineterminator=end, quoting=quoting, quotechar=mark
    )
    writer.writerow(header or WORDS["en"][0])
    for row in orders() if rows is None else rows:
        cells = [c.strftime(day) if isinstance(c, date) else c for c in row]
        if comma:
            cells = [
                str(c).replace(".", ",") if isinstance(c, float) else c for c in cells
            ]
        writer.writerow(cells)
    return file.getvalue()


def in_language(language: str, **options) -> str:
    return lines(orders(language), WORDS[language][0], **options)


def changed(place: int, change: Callable[[int, object], object]) -> list[list]:
    """The orders with one column changed: change(number of the row, cell)."""
    rows = orders()
    for n, row in enumerate(rows):
        row[place] = change(n, row[place])
    return rows


def book(sheets: dict[str, list[list] | None]) -> bytes:
    """An Excel file; a sheet without rows is a chart's."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        if rows is None:
            made.create_chartsheet(name)
            continue
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def parquet(table: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file)
    return file.getvalue()


class Odd(NamedTuple):
    """An export and what must become of it."""

    name: str
    content: bytes | str | None  # None: no file is written
    said: list[str]  # each must be in what was said
    orders: list[list] | None  # what must come out; None: it stops; ...: what was said
    label: str | None = None  # columns that the reader names
    text: str | None = None
    file: str = "export.csv"


EN, HEADER = orders(), WORDS["en"][0]
TABLE = pd.DataFrame(EN, columns=HEADER)


def with_time(rows: list[list]) -> list[list]:
    """Dates as Excel has them."""
    midnight = datetime.min.time()
    return [[r[0], datetime.combine(r[1], midnight), *r[2:]] for r in rows]


def encodings() -> list[Odd]:
    es = orders("es")
    damaged = in_language("es").encode().replace("ñ".encode(), b"\xf1", 2)
    first = [n for n, row in enumerate(es) if "ñ" in row[2]][:2]
    es_damaged = [[*r] for r in es]
    for n in first:
        es_damaged[n][2] = es[n][2].replace("ñ", "\ufffd")
    german = in_language("de", separator=";", comma=True, day="%d.%m.%Y")
    french = in_language("fr", separator=";", day="%d/%m/%Y")
    chinese = in_language("zh", day="%Y年%m月%d日")
    return [
        Odd("UTF-8, commas", lines(), ["Read as UTF-8, separated by commas"], EN),
        Odd("UTF-8 with a mark", "\ufeff" + lines(), ["UTF-8"], EN),
        Odd("UTF-16, tabs", lines(separator="\t").encode("utf-16"), ["UTF-16"], EN),
        Odd("UTF-16 without a mark", lines().encode("utf-16-le"), ["UTF-16"], EN),
        Odd("UTF-32", lines().encode("utf-32"), ["UTF-32"], EN),
        Odd(
            "German: cp1252, semicolons, decimal commas, days first",
            german.encode("cp1252"),
            ["WINDOWS-1252 (a guess: is 'Motorschütz'", "semicolons", "day first"],
            orders("de"),
        ),
        Odd(
            "German of an old machine: cp850",
            german.encode("cp850"),
            ["a guess: is 'Motorsch", "spelt right? If not, save it as UTF-8"],
            ...,
        ),
        Odd("French: cp1252", french.encode("cp1252"), ["1252"], orders("fr")),
        Odd("Spanish: UTF-8", in_language("es"), ["'Descripción', guessed"], es),
        Odd(
            "Spanish: UTF-8 with two damaged bytes",
            damaged,
            ["2 damaged characters", "saved in a wrong encoding: 2"],
            es_damaged,
        ),
        Odd(
            "Spanish: UTF-8 that was read as cp1252 once",
            in_language("es").encode().decode("cp1252", "ignore"),
            ["saved in a wrong encoding: 90"],
            ...,
        ),
        Odd(
            "Chinese: GB 18030, dates in Chinese",
            chinese.encode("gb18030"),
            ["GB18030", "'描述', guessed", "'班组', guessed"],
            orders("zh"),
        ),
        Odd("Chinese: UTF-8", in_language("zh"), ["UTF-8"], orders("zh")),
        Odd("NUL characters", lines().replace("hose", "h\0ose"), ["NUL"], EN),
    ]


def layouts() -> list[Odd]:
    title = "Plant Dresden, open and closed orders\r\nPrinted 1.4.2024\r\n\r\n"
    total = '\r\nTotal,,,,,"7,200.00"\r\n(120 rows affected)\r\n'
    more = ' second "line", with; marks'
    cell = changed(2, lambda n, c: c + more.replace(" s", "\ns") if n == 5 else c)
    five = changed(2, lambda n, c: c + more if n == 5 else c)
    inch = changed(2, lambda n, c: f'" {c}' if n == 50 else c)
    unclosed = lines(inch, quoting=csv.QUOTE_NONE, separator=";", mark=None)
    unclosed_orders = changed(2, lambda n, c: c)
    pieces = [lines(EN[:40]), lines(EN[40:80], end="\n"), lines(EN[80:], end="\r")]
    hose = [n for n, row in enumerate(EN) if row[2] == "replace hose 3"]
    rest = [row for n, row in enumerate(EN) if n not in hose[:1]]
    whole = lines(
        [[line] for line in lines().splitlines()], ["x"], quoting=csv.QUOTE_ALL
    )
    whole = whole.removeprefix('"x"\r\n')
    whole_semicolons = "".join(
        '"' + line.replace('"', '""') + '"\r\n'
        for line in lines(separator=";").splitlines()
    )
    plain = changed(2, lambda n, c: c.replace(",", ""))
    loose_de = lines(plain, separator=";", comma=True).replace("hose 3", "hose; 3")
    plain = [row for n, row in enumerate(plain) if n not in hose]
    dashes = lines([["--", "----"] * 3, *EN], separator="|")
    backslash = lines().replace('"oil leak,', '"oil \\"leak\\",')
    leak = changed(2, lambda n, c: c.replace("leak,", '"leak",'))
    inside = changed(2, lambda n, c: f'"o","x","y" {c.replace(",", "")}')
    inside = lines(inside, separator=";", mark=None, quoting=csv.QUOTE_NONE)
    said_total = changed(2, lambda n, c: "Total" if n == 50 else c)
    header, *first = [[r[2], *r[:2], *r[3:]] for r in [HEADER, *said_total]]
    parts = [lines(EN[n : n + 40]).split("\r\n", 1)[1] for n in (0, 40, 80)]
    subtotal = "Subtotal,,,,,20\r\n"
    between = lines([]) + "".join(part + subtotal for part in parts)
    split = lines().replace("replace hose 3", "replace\r\nhose 3", 1)
    loose = lines().replace("replace hose 3", "replace, hose 3", 1)
    names = ["No", "Date", "\ufeff Description ", "Crew\n", "Crew", "Cost"]
    wide = [[*row, *range(3000)] for row in EN]
    return [
        Odd("bars", lines(separator="|"), ["separated by bars"], EN),
        Odd("a year as a name", lines(header=["2024", *HEADER[1:]]), ["commas"], EN),
        Odd("tabs, named .xls", lines(separator="\t"), ["tabs"], EN, file="a.xls"),
        Odd("a first line sep=;", "sep=;\n" + lines(separator=";"), ["semicolons"], EN),
        Odd("a first line sep=:", "sep=:\n" + lines(separator=":"), ["by ':'"], EN),
        Odd('a first line sep="', 'sep="\n' + lines(), ["is one column"], None),
        Odd("every cell quoted", lines(quoting=csv.QUOTE_ALL), ["commas"], EN),
        Odd("line break, quotes, separators in a cell", lines(cell), ["commas"], five),
        Odd(
            "a quotation mark that is never closed",
            unclosed,
            ["read as letters"],
            unclosed_orders,
        ),
        Odd(
            "three kinds of line ends",
            "".join(pieces),
            ["repeat the header, dropped: 2"],
            EN,
        ),
        Odd("titles above", title + lines(), ["Skipped above the header: 'Plant"], EN),
        Odd("totals below", lines() + total, ["dropped: 2, such as 'Total"], EN),
        Odd("single quotation marks", lines(mark="'"), ["commas"], EN),
        Odd("quotation marks after a backslash", backslash, ["commas"], leak),
        Odd("marks and commas inside, semicolons outside", inside, ["semicolons"], ...),
        Odd(
            "totals in between",
            between,
            ["dropped: 3, such as 'Subtotal 20"],
            EN,
        ),
        Odd("a text that says Total", lines(first, header), ["commas"], said_total),
        Odd(
            "no header",
            lines().split("\r\n", 1)[1],
            ["No header found"],
            [[*row[:4], "", row[5]] for row in EN],
            "column 4",
            "column 3",
        ),
        Odd(
            "a name twice; blanks, marks and line breaks in names",
            lines(header=names),
            ["A second column 'Crew' is called 'Crew (5)'"],
            [[*row[:4], "", row[5]] for row in EN],
            "crew",
            "description",
        ),
        Odd("a separator inside a text", loose, ["1 of 120, such as"], rest),
        Odd("a line break without quotes", split, ["2 of 121, such as"], rest),
        Odd(
            "3,006 columns",
            lines(wide, HEADER + [f"x{n}" for n in range(3000)]),
            [],
            EN,
        ),
        Odd(
            "rows that end early",
            lines([row[: 6 - 2 * (n % 2)] for n, row in enumerate(EN)]),
            ["Rows that end early, filled up: 60"],
            [[*row[:4], row[4] if n % 2 == 0 else "", 0] for n, row in enumerate(EN)],
        ),
        Odd("each row quoted as a whole", whole, ["separated by commas"], EN),
        Odd(
            "... semicolons, a title", "Plant\n" + whole_semicolons, ["semicolons"], EN
        ),
        Odd(
            "decimal commas, semicolons inside texts",
            loose_de,
            [f"{len(hose)} of 120"],
            plain,
        ),
        Odd("a line of dashes, as databases print", dashes, ["bars"], EN),
        Odd(
            "one column of texts",
            "Note\n" + "\n".join(r[2] for r in EN),
            ["one column", "None of the 120 orders has a label"],
            [[0, None, r[2], None, "", 0] for r in EN],
        ),
    ]


def sheets() -> list[Odd]:
    excel = [HEADER, *with_time(EN)]
    start = date(1899, 12, 30)
    days = [HEADER, *[[r[0], (r[1] - start).days, *r[2:]] for r in EN]]
    total = ["Total", None, None, None, None, 7200]
    several = {"Info": [["Plant Dresden"]], "Data": [["Orders"], [], *excel, total]}
    old = Path(__file__).with_name("export.xls").read_bytes()
    indexed = parquet(TABLE.set_index("Description"))
    return [
        Odd("Excel", book({"Orders": excel}), ["Excel, sheet 'Orders'"], EN),
        Odd(
            "Excel: two sheets, a title, a total",
            book(several),
            ["sheet 'Data'; not read: 'Info'", "Skipped", "totals, dropped: 1"],
            EN,
            file="e.xlsx",
        ),
        Odd("Excel: dates as numbers", book({"A": days}), ["Excel's days"], EN),
        Odd("Excel before 2007 (made with xlwt)", old, ["Excel, sheet 'A'"], EN),
        Odd("Parquet", parquet(TABLE), ["Read as Parquet"], EN, file="e.parquet"),
        Odd("Parquet: the texts are its index", indexed, ["Read as Parquet"], EN),
    ]


def faults() -> list[Odd]:
    """Tables that can be read, with faults in what they hold."""
    few = orders(count=30)
    ids = changed(2, lambda n, c: f"WO-{70000 + n}")
    shouted = changed(3, lambda n, c: c.upper() if n % 9 == 0 else c)
    typing = changed(3, lambda n, c: c.replace("ici", "ic") if n % 3 == 0 else c)
    rare = changed(3, lambda n, c: "painter" if n in (5, 77) else c)
    unlabelled = changed(3, lambda n, c: None if n in (5, 77) else c)
    many = orders(count=8000)
    for n, row in enumerate(many):
        row[3] = f"{row[3]} team {n // 8 % 200}"
    leak = changed(2, lambda n, c: f"{c} for {EN[n][3]}")
    some = changed(2, lambda n, c: f"{c} for {EN[n][3]}" if n % 2 else c)
    sign = changed(2, lambda n, c: f"{'E1' if EN[n][3] == 'fitter' else 'E2'} {c}")
    empty = changed(2, lambda n, c: "" if n < 20 else c)
    people = changed(2, lambda n, c: f"{c}, seen by John Smith" if n % 60 == 0 else c)
    people[7][2] += " call 0351 4567890"
    people[8][2] += " mail j.smith@example.org"
    back = EN[60:] + EN[:60]
    days = [[r[0], date(2024, 1 + r[0] % 12, 1 + r[0] % 7), *r[2:]] for r in EN]
    days.sort(key=lambda row: row[1])
    mixed = lines(EN[:60], day="%d/%m/%Y") + lines(EN[60:], day="%m/%d/%Y")
    far = lines().replace("2024-01-13", "9999-12-31").replace("2024-01-14", "n/a")
    late = sorted(EN, key=lambda r: r[1] not in (EN[3][1], EN[4][1]))
    late = [[r[0], None if n < 2 else r[1], *r[2:]] for n, r in enumerate(late)]
    without = [[*r[:3], None, *r[4:]] for r in EN]
    undated = [[r[0], None, *r[2:]] for r in EN]
    return [
        Odd("30 orders", lines(few), ["Orders left: 30"], None),
        Odd(
            "one label",
            lines(changed(3, lambda n, c: "fitter")),
            ["one label"],
            None,
            "Crew",
        ),
        Odd("a label with 2 orders", lines(rare), ["'painter' (2)"], unlabelled),
        Odd(
            "400 labels", lines(many), ["There are 400 labels, 20 orders"], many, "Crew"
        ),
        Odd("a label for each order", lines(), ["has 120 values in 120"], None, "No"),
        Odd(
            "the text is an id",
            lines(ids),
            ["codes, no words"],
            None,
            text="Description",
        ),
        Odd(
            "the text is a number with a word",
            lines(changed(2, lambda n, c: f"Order {70000 + n}")),
            ["codes, no words"],
            None,
        ),
        Odd("the text is a number", lines(), ["codes, no words"], None, text="Cost"),
        Odd("no column of texts", lines(ids), ["No column holds texts"], None),
        Odd(
            "the label stands in the text",
            lines(leak),
            ["gives it away: 120 (100%)"],
            None,
        ),
        Odd("... in half of the texts", lines(some), ["gives it away: 60 (50%)"], some),
        Odd("a code in the text tells the label", lines(sign), ["'e2', 'e1'"], None),
        Odd("rows twice", lines(EN + EN[:30]), ["left out: 30"], EN),
        Odd(
            "empty texts", lines(empty), ["Rows without a text, left out: 20"], EN[20:]
        ),
        Odd("labels in capitals", lines(shouted), ["'FITTER' -> 'fitter'"], EN),
        Odd(
            "labels typed wrongly",
            lines(typing),
            ["'electrican' and 'electrician'"],
            typing,
        ),
        Odd(
            "names, phone, e-mail",
            lines(people),
            [
                "Texts that may hold personal data (name): 2, such as '",
                "by J*** S****",
                "(phone number): 1",
                "j.s****@e******.o**",
            ],
            people,
        ),
        Odd(
            "dates out of order", lines(back), ["older date than the row above: 1"], EN
        ),
        Odd("day or month first?", lines(days, day="%d/%m/%Y"), ["Ambiguous"], days),
        Odd(
            "month first",
            lines(day="%m/%d/%Y"),
            ["month first, as in '01/31/2024'"],
            EN,
        ),
        Odd(
            "times with a zone",
            lines(day="%Y-%m-%dT00:00:00+02:00"),
            ["year first"],
            EN,
        ),
        Odd("both day and month first", mixed, ["contradict each other"], undated),
        Odd(
            "dates that are placeholders",
            far,
            ["date that can be used: 2, such as '9999"],
            late,
        ),
        Odd("no labels", lines(without), ["None of the 120 orders has"], without),
        Odd(
            "a wrong name",
            lines(),
            ["no column 'Crews'. Did you mean 'Crew'?"],
            None,
            "Crews",
        ),
        Odd(
            "one name for two",
            lines(),
            ["named for two purposes"],
            None,
            "Crew",
            "Crew",
        ),
    ]


def no_tables() -> list[Odd]:
    """Files that cannot be read."""
    whole = book({"A": [HEADER, *with_time(EN)]})
    locked = b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le") * 9
    texts = changed(2, lambda n, c: f"{c}, urgent" if n % 2 else c)
    bare = lines(texts).replace('"', "")
    torn = lines().replace(" ", "\r\n")
    short = lines(header=HEADER[:5])
    cut = lines().encode("utf-16")[:-1]
    noise = bytes(n * 37 % 256 for n in range(5000))
    return [
        Odd(
            "no such file",
            None,
            ["No such file", "absent.csv"],
            None,
            file="absent.csv",
        ),
        Odd("a folder", None, ["Cannot read"], None, file="."),
        Odd("an empty file", "", ["is empty (0 bytes)"], None),
        Odd("blanks only", " \r\n \n", ["is empty"], None),
        Odd("only a header", lines([]), ["no rows stand below the header"], None),
        Odd(
            "a PDF named .csv",
            b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
            ["a PDF document"],
            None,
        ),
        Odd(
            "a web page named .xls", "<html><table>", ["a web page"], None, file="a.xls"
        ),
        Odd("JSON", '[{"text": "leak"}]', ["is JSON"], None),
        Odd("Excel with a password", locked, ["protected by a password"], None),
        Odd(
            "Excel cut in half",
            whole[: len(whole) // 2],
            ["no table can be read"],
            None,
        ),
        Odd(
            "Excel with a chart only",
            book({"chart": None}),
            ["no cell is filled"],
            None,
        ),
        Odd(
            "Excel without a filled sheet",
            book({"A": [], "B": []}),
            ["no cell is filled"],
            None,
        ),
        Odd(
            "a zip file of something else",
            b"PK\x03\x04" + noise,
            ["no table can be read"],
            None,
        ),
        Odd(
            "Parquet cut in half", parquet(TABLE)[:900], ["no table can be read"], None
        ),
        Odd("a line that does not end", "x" * 200_000, ["a cell has more than"], None),
        Odd("UTF-16 cut within a letter", cut, ["no encoding fits"], None),
        Odd("noise", noise, ["it is no text"], None),
        Odd("an unknown separator", lines(separator="~"), ["is one column"], None),
        Odd("line breaks inside all texts", torn, ["Rows with more or fewer"], None),
        Odd("a header one name short", short, ["more or fewer cells"], None),
        Odd(
            "separators inside half of the texts",
            bare,
            ["75 of 120, such as"],
            None,
        ),
        Odd("... and a title", "Plant\n" + bare, ["75 of 120, such as"], None),
    ]


def exports() -> list[Odd]:
    return [*encodings(), *layouts(), *sheets(), *faults(), *no_tables()]


def run(odd: Odd, folder: Path) -> tuple[pd.DataFrame | None, str]:
    """The orders (None where it stopped), and all that was said."""
    path, said = folder / odd.file, []
    if odd.content is not None:
        content = odd.content
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    named = plant.Settings(path, odd.text, odd.label, None, None)
    try:
        table, said = plant.read_export(path, [odd.text, odd.label])
        columns, more = plant.choose_columns(table, named)
        said = said + more
        clean, advice = plant.clean_orders(table, columns)
    except DataError as error:
        return None, "\n".join([*said, str(error)])
    return clean, "\n".join([*said, *map(str, advice)])


def main() -> None:
    """Print the table."""
    print("| export | verdict | what was said |\n|---|---|---|")
    for odd in exports():
        with tempfile.TemporaryDirectory() as folder:
            clean, said = run(odd, Path(folder))
            said = said.replace(folder, "...")
        verdict = "stops" if clean is None else f"{len(clean):,} orders"
        lines_said = [line for line in said.split("\n") if " column is" not in line]
        text = " / ".join(lines_said).replace("|", "\\|")
        print(f"| {odd.name} | {verdict} | {text} |")


if __name__ == "__main__":
    main()
