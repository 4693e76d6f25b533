"""Three simulated exports of other kinds than the course's, for chapter 14.

python tests/plant/other_plants.py FOLDER [COUNT] writes them. A text names a part and a
fault; the label follows from the part, and one order in twelve has another label.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

GERMAN = {
    "Elektrik": "Motorschütz|Schaltschrank|Lichtschranke|Not-Aus|Sensor|Kabelbaum",
    "Mechanik": "Förderband|Lager|Getriebe|Kupplung|Kette|Führungsschiene",
    "Hydraulik": "Zylinder|Druckspeicher|Ölkühler|Schlauchleitung|Proportionalventil",
    "Pneumatik": "Druckluftleitung|Wartungseinheit|Sauger|Drossel|Greifer",
    "Werkzeugbau": "Stempel|Matrize|Abstreifer|Werkzeugaufnahme|Schneidkante",
}
GERMAN_FAULTS = "defekt|undicht|klemmt|läuft heiß|prüfen bitte|getauscht|ohne Funktion"
CHINESE = {
    "电工班": "控制柜|电池|传感器|接触器|变频器|照明灯",
    "机修班": "轴承|皮带|齿轮箱|联轴器|导轨|链条",
    "液压班": "液压泵|油管|油缸|电磁阀|冷却器",
}
CHINESE_FAULTS = "报警|漏油|异响|更换|温度高需检查|不动作|需要调整|松动"
ENGLISH = {
    "scrap": "crack through the rib|porosity in the core|cold shut|wrong alloy",
    "rework": "flash on the edge|burr in the bore|missing label|scratch on the surface",
}
ENGLISH_TALK = (
    "customer says that on arrival the part showed|found at the final check:"
    "|the lot was stopped because of|second complaint of this week, again|we have seen"
)
ENDS = "please answer by Friday|photo is attached|same as last month|qty 40|shift B"


def drawn(parts: dict[str, str], count: int, seed: int):
    """Random labels, and for each a part that belongs to it in 11 of 12 cases."""
    rng, names = np.random.default_rng(seed), list(parts)
    share = rng.dirichlet(np.full(len(names), 6.0))
    labels = rng.choice(names, count, p=share)
    shown = np.where(rng.random(count) < 1 / 12, rng.choice(names, count), labels)
    return rng, labels, [rng.choice(parts[name].split("|")) for name in shown]


def german(count: int) -> pd.DataFrame:
    """A press shop: short German texts, five trades, dates and places."""
    rng, labels, parts = drawn(GERMAN, count, 1)
    faults = rng.choice(GERMAN_FAULTS.split("|"), count)
    places = [f"PR-{n:02}" for n in rng.integers(1, 9, count)]
    days = pd.Timestamp("2023-01-02") + pd.to_timedelta(
        np.sort(rng.integers(0, 900, count)), unit="D"
    )
    texts = [
        f"{p} {f} {n}" for p, f, n in zip(parts, faults, rng.integers(1, 40, count))
    ]
    return pd.DataFrame({
        "Meldung": np.arange(count) + 10_000_000,
        "Meldungsdatum": days.strftime("%d.%m.%Y"),
        "Technischer Platz": places,
        "Kurztext": texts,
        "Gewerk": labels,
    })  # fmt: skip


def chinese(count: int) -> pd.DataFrame:
    """An assembly line: Chinese texts without spaces, three crews."""
    rng, labels, parts = drawn(CHINESE, count, 2)
    faults = rng.choice(CHINESE_FAULTS.split("|"), count)
    lines = rng.integers(1, 6, count)
    texts = [f"{n}号线{p}{f}" for n, p, f in zip(lines, parts, faults)]
    days = pd.Timestamp("2024-03-01") + pd.to_timedelta(np.arange(count) // 4, unit="D")
    return pd.DataFrame({
        "单号": np.arange(count), "日期": days, "设备": [f"线{n}" for n in lines],
        "故障描述": texts, "班组": labels,
    })  # fmt: skip


def english(count: int) -> pd.DataFrame:
    """Complaints about castings: long texts, two labels, neither date nor machine."""
    rng, labels, parts = drawn(ENGLISH, count, 3)
    talk = rng.choice(ENGLISH_TALK.split("|"), (2, count))
    ends = rng.choice(ENDS.split("|"), (2, count))
    rows = zip(*talk, parts, *ends, rng.integers(100, 999, count))
    texts = [
        f"{a} {part}; {b} nothing else. {c}, {d}, no. {n}"
        for a, b, part, c, d, n in rows
    ]
    return pd.DataFrame({"complaint": texts, "decision": labels})


def write(folder: Path, count: int) -> dict[str, dict[str, str]]:
    """All three as files; for each the settings that the chapter needs."""
    folder.mkdir(parents=True, exist_ok=True)
    german(count).to_excel(folder / "press-shop.xlsx", index=False)
    chinese(count).to_csv(folder / "line.csv", index=False, encoding="gb18030")
    english(count).to_csv(
        folder / "complaints.txt", index=False, sep="\t", encoding="utf-16"
    )
    return {
        "press-shop.xlsx": {},
        "line.csv": {},
        "complaints.txt": {
            "PLANT_TEXT_COLUMN": "complaint",
            "PLANT_LABEL_COLUMN": "decision",
        },
    }


if __name__ == "__main__":
    write(Path(sys.argv[1]), int((sys.argv[2:] or ["2000"])[0]))
