"""Runbook pages are HTML of ours, whatever the Markdown holds."""

from __future__ import annotations

import pytest

from watchroom.monitor.console.runbooks import distinct, names, read, render, section


def test_html_in_markdown_is_escaped():
    html = render("# T <script>alert(1)</script>\n\n<img src=x onerror=y>\n\n`a<b`")
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "vbscript:x"]
)
def test_links_to_scripts_are_no_links(url):
    assert "href" not in render(f"[x]({url})")


def test_pages_never_leave_their_folder(tmp_path):
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "High.md").write_text("# Too high\n")
    (tmp_path / "secret.md").write_text("# s\n")
    assert names(tmp_path) == {"High"}
    assert read(tmp_path, "High").title == "Too high"
    for name in ("../secret", "..%2fsecret", ".", "", "Missing"):
        assert read(tmp_path, name) is None


def test_alerts_of_one_fault_show_each_step_once(tmp_path):
    (tmp_path / "runbooks").mkdir()
    for name, steps in {
        "Burn": "- Roll it back.\n- Switch the feature off,\n  or fix it.",
        "BurnSlow": "- Roll it back.\n- Switch the feature off,\n  or fix it.",
        "Outage": "- Roll it back.\n- Put up a maintenance page.",
        "Local": "Call Ann.",
    }.items():
        text = f"# {name}\n\n## Mitigation\n\n{steps}\n\n## Rule\n\n- Roll it back."
        (tmp_path / "runbooks" / f"{name}.md").write_text(text)
    names_ = ("Burn", "BurnSlow", "Outage", "Local", "Missing")
    texts = {name: section(tmp_path, name, "Mitigation") for name in names_}
    assert texts["Missing"] == ""
    assert distinct(texts) == {
        "Burn": "- Roll it back.\n- Switch the feature off,\n  or fix it.",
        "Outage": "- Put up a maintenance page.",
        "Local": "Call Ann.",
    }
