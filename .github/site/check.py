"""Open the reading edition in a real browser: python .github/site/check.py FOLDER

Each page, light and dark, from the disk with the network off: no console error, no
request to a host, no missing picture, everything reached with the Tab key, and no
finding of axe-core for WCAG 2.1 A and AA (contrast among them). Needs
.github/site/check_requirements.txt, a Chromium and axe-core (npm ci in this folder).
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).resolve().parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
WINDOW = {"width": 1400, "height": 2400}  # so high that no contents are cut off
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
NO_PICTURE = """() => [...document.images].filter(
    i => getComputedStyle(i).display != 'none'
        && (!i.complete || !i.naturalWidth || !i.alt.trim())
).map(i => i.src)"""
NO_FORMULA = """() => [...document.querySelectorAll('math')].filter(
    m => !m.getBoundingClientRect().width
).map(m => m.textContent)"""
# What a reader may want to reach: visible links, buttons, fields, folded hints.
WANTED = """() => [...document.querySelectorAll(
    'a[href], button, input, select, summary, [tabindex="0"]'
)].filter(e => !e.disabled && e.tabIndex >= 0
    && e.checkVisibility({visibilityProperty: true}))
.map((e, n) => { e.dataset.reach = n; return e.outerHTML.slice(0, 120) })"""
FOCUSED = """() => {
    const e = document.activeElement, s = getComputedStyle(e), r = e.dataset.reach;
    const ring = s.outlineStyle != 'none' || s.boxShadow != 'none';
    return [r === undefined ? -1 : +r, ring]
}"""


class Report:
    """Faults by page, and counts over all pages."""

    def __init__(self) -> None:
        """Nothing found yet."""
        self.faults: list[str] = []
        self.counts: Counter[str] = Counter()

    def add(self, page: str, kind: str, found: list) -> None:
        """Note each thing found, and how many of its kind there are."""
        self.counts[kind] += len(found)
        self.faults += [f"{page}: {kind}: {str(one)[:300]}" for one in found]


def examine(page: Page, path: Path, name: str, report: Report, scheme: str) -> None:
    """Open one page in one colour scheme and note what is wrong with it."""
    page.emulate_media(color_scheme=scheme)
    page.goto(path.as_uri(), wait_until="load")
    # A slow machine would show colours half-way from light to dark.
    page.add_style_tag(content="* { transition: none !important }")
    page.add_script_tag(path=AXE)
    name = f"{name} ({scheme})"
    report.counts["pages opened"] += 1
    report.counts["pictures"] += page.evaluate("document.images.length")
    report.counts["formulas"] += page.locator("math").count()
    report.add(name, "missing pictures", page.evaluate(NO_PICTURE))
    report.add(name, "empty formulas", page.evaluate(NO_FORMULA))
    result = page.evaluate("rules => axe.run({runOnly: rules, preload: false})", RULES)
    report.counts["axe rules passed"] += len(result["passes"])
    for kind, name_of_kind in (("passes", "measured"), ("incomplete", "not judged")):
        nodes = [r["nodes"] for r in result[kind] if r["id"] == "color-contrast"]
        report.counts[f"contrasts {name_of_kind}"] += sum(map(len, nodes))
    found = [
        f"{rule['id']}: {node['target']} {node['html'][:120]} {node['failureSummary']}"
        for rule in result["violations"]
        for node in rule["nodes"]
    ]
    report.add(name, "axe findings", found)
    if scheme == "light":
        report.add(name, "not reached with Tab", unreached(page, report))


def unreached(page: Page, report: Report) -> list[str]:
    """What the Tab key does not reach, or reaches without a mark that shows it."""
    wanted = page.evaluate(WANTED)
    reached, unmarked = set(), set()
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    for _ in range(len(wanted) + 10):
        page.keyboard.press("Tab")
        number, ring = page.evaluate(FOCUSED)
        reached.add(number)
        if not ring:
            unmarked.add(number)
    missed = set(range(len(wanted))) - reached
    report.counts["reached with Tab"] += len(wanted) - len(missed)
    unseen = [f"no focus mark: {wanted[n]}" for n in unmarked - {-1}]
    return [wanted[n] for n in missed] + unseen


def walk(page: Page, site: Path, report: Report) -> None:
    """Next leads from the front page through every page of the contents."""
    page.goto((site / "index.html").as_uri())
    links = page.locator("nav.bd-links a.reference.internal")
    wanted = set(links.evaluate_all("all => all.map(a => a.href.split('#')[0])"))
    seen = [page.url]
    while page.locator("a.right-next").count() and len(seen) < 200:
        follow(page, "a.right-next")
        seen.append(page.url.split("#")[0])
    report.counts["pages along Next"] = len(seen)
    report.add("contents", "not along Next", sorted(wanted - set(seen)))
    follow(page, "a.left-prev")
    if page.url != seen[-2]:
        report.add(seen[-1], "Previous leads elsewhere", [page.url])


def follow(page: Page, link: str) -> None:
    """Press Enter on a link and wait for its page."""
    page.locator(link).focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")


def look_up(page: Page, site: Path, report: Report) -> None:
    """The search, by keyboard only, finds pages; the switch makes the page dark."""
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("Control+k")
    page.keyboard.type("attention")
    page.keyboard.press("Enter")
    page.locator("#search-results li a").first.wait_for(timeout=10_000)
    report.counts["pages found for attention"] = page.locator(
        "#search-results ul.search > li"
    ).count()
    for theme in ("light", "dark"):
        page.locator("button.theme-switch-button:visible").first.press("Enter")
        page.locator(f"button[data-mode={theme}]:visible").first.press("Enter")
        found = page.locator("html").get_attribute("data-theme")
        if found != theme:
            report.add("search.html", "theme that was not chosen", [found])


def main() -> int:
    """Examine all pages; print counts and faults; return 0 if there is no fault."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="what build.py wrote")
    parser.add_argument("--only", default="", help="pages with this in their name")
    parser.add_argument("--browser", help="path of a Chromium; else Playwright's own")
    options = parser.parse_args()
    site = options.folder.resolve()
    pages = sorted(p for p in site.rglob("*.html") if "_static" not in p.parts)
    pages = [page for page in pages if options.only in page.as_posix()]
    if not pages:
        parser.error(f"{site} holds no page. Build it: python .github/site/build.py")
    if not AXE.exists():
        parser.error(f"axe-core is missing. Run: npm ci --prefix {HERE}")
    report = Report()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser)
        context = browser.new_context(offline=True, viewport=WINDOW)
        page = context.new_page()
        # Listeners name the page that is open when something happens.
        report.add("", "requests to a host", [])
        page.on("request", lambda r: outside(r.url, page, report))
        page.on("requestfailed", lambda r: report.add(page.url, "failed", [r.url]))
        page.on("pageerror", lambda e: report.add(page.url, "script errors", [e]))
        page.on("console", lambda m: console(m, page, report))
        for path in pages:
            name = path.relative_to(site).as_posix()
            for scheme in ("light", "dark"):
                examine(page, path, name, report, scheme)
            print(".", end="", flush=True)
        walk(page, site, report)
        look_up(page, site, report)
        browser.close()
    print("\n" + json.dumps(report.counts, indent=1))
    print("\n".join(report.faults) or "No fault found.")
    return int(bool(report.faults))


def outside(url: str, page: Page, report: Report) -> None:
    """Note a request that does not stay on the disk."""
    report.counts["requests"] += 1
    if not url.startswith(("file:", "data:", "blob:")):
        report.add(page.url, "requests to a host", [url])


def console(message, page: Page, report: Report) -> None:
    """Note an error or a warning on the browser's console."""
    if message.type in ("error", "warning"):
        report.add(page.url, f"console: {message.type}", [message.text])


if __name__ == "__main__":
    sys.exit(main())
