"""The reading edition: what its pages will hold. .github/site/check.py opens them."""

import json
import re

import pytest
from strict_nbval import NOTEBOOKS, ROOT
from workshop_tools import site


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    site.prepare(folder)
    return folder


def test_contents_list_every_notebook_in_order(source):
    text = (source / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^(?:\d\d .+<)?((?:notebooks|data)/[^\s>]+)>?$", text, re.M)
    found = [path.relative_to(ROOT).with_suffix("").as_posix() for path in NOTEBOOKS]
    found.sort(key=lambda name: "solutions" in name)
    assert listed == [*found, "notebooks/instructor_guide", "data/README"]
    suffixes = (".md", ".ipynb")
    for name in listed:
        assert any((source / (name + suffix)).exists() for suffix in suffixes), name


def test_every_figure_is_a_file_with_its_alternative_text(source):
    count = 0
    for path in NOTEBOOKS:
        page = (source / path.relative_to(ROOT)).read_text(encoding="utf-8")
        outputs = [
            output.get("data", {})
            for cell in json.loads(page)["cells"]
            for output in cell.get("outputs", [])
        ]
        assert not any(kind.startswith("image/") for data in outputs for kind in data)
        texts = ["".join(data.get("text/markdown", "")) for data in outputs]
        images = [re.fullmatch(r"!\[(.+)\]\((figures/.+)\)", text) for text in texts]
        original = json.loads(path.read_text(encoding="utf-8"))["cells"]
        alts = [
            description["alt"]
            for cell in original
            for output in cell.get("outputs", [])
            for description in output.get("metadata", {}).values()
            if "alt" in description
        ]
        found = [image for image in images if image]
        assert [re.sub(r"\\(.)", r"\1", image[1]) for image in found] == alts
        for image in found:
            assert (source / path.relative_to(ROOT)).parent.joinpath(image[2]).exists()
        count += len(found)
    assert count > 30


def test_links_to_the_readme_lead_to_the_front_page(source):
    for path in source.rglob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((\.\.[^)#]+\.md)", text):
            assert (path.parent / target).exists(), (path.name, target)


def test_figure_without_alternative_text_is_refused(tmp_path):
    output = {"data": {"image/png": ""}, "metadata": {}}
    with pytest.raises(LookupError, match="alternative text"):
        site.show_figure(output, tmp_path / "figure")


def test_other_files_are_not_overwritten(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(SystemExit):
        site.main([str(tmp_path)])
    assert "holds other files" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("page", ["index.md", "notebooks/instructor_guide.md"])
def test_links_of_a_page_lead_somewhere(source, page):
    text = (source / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)", text)
    assert targets
    missing = [t for t in targets if not (source / page).parent.joinpath(t).exists()]
    assert not missing
