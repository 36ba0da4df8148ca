# SPDX-License-Identifier: Apache-2.0
"""Reading is strict: what is wrong with a file is one line that names it, and nothing is written."""
import json
from types import SimpleNamespace

import pytest
from conftest import loaded, run_report

import load
import report


def one_line(run):
    """The single line of a refused run."""
    assert run.returncode == 2, run.stdout + run.stderr
    assert run.stdout == ""
    lines = run.stderr.splitlines()
    assert len(lines) == 1, run.stderr
    assert lines[0].startswith("report: ")
    return lines[0]


@pytest.fixture
def refused(results, tmp_path, capsys):
    """Calls the program's main, which must refuse in one line and write nothing; gives that line."""
    def run(*extra):
        capsys.readouterr()
        code = report.main([str(results[0]), "--output", str(tmp_path / "out"), *map(str, extra)])
        written = capsys.readouterr()
        assert not (tmp_path / "out").exists()
        return one_line(SimpleNamespace(returncode=code, stdout=written.out, stderr=written.err))
    return run


def change(path, edit):
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def test_all_kinds_of_documents_are_read(results):
    found = loaded(*results)
    assert {document.schema for document in found.documents} == set(load.READABLE)
    assert {row["kind"] for row in found.rows} == {"measured", "simulated", "analytic", "published"}
    assert len(found.machines) == 1 and len(found.verdicts) == 7
    assert found.rows[0].source.endswith("rows[0]")
    assert "scaling-series-throughput" in found.published


def test_other_ringscale_documents_are_listed_not_read(results):
    (results[0] / "old").mkdir()
    (results[0] / "old" / "report.json").write_text('{"schema":"ringscale.report","schema_version":9}')
    assert loaded(results[0]).skipped == [("old/report.json", "ringscale.report")]


def test_missing_directory_is_one_line(tmp_path):
    line = one_line(run_report(tmp_path / "nowhere", "--output", tmp_path / "out"))
    assert "nowhere: no such directory" in line


def test_empty_directory_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no ringscale document" in one_line(run_report(tmp_path / "empty", "--output", tmp_path / "out"))


def test_torn_file_is_one_line(results, refused):
    path = results[0] / "quick.json"
    path.write_text(path.read_text()[:-700])
    assert "quick.json: line" in refused()


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_unknown_schema_version_is_one_line(results, refused, version):
    change(results[0] / "quick.json", lambda document: document.update(schema_version=version))
    line = refused()
    assert "quick.json: $.schema_version" in line and "reads version 1" in line


@pytest.mark.parametrize("text,expected", [
    ("[1, 2]", "$.schema is missing"), ('{"rows": []}', "$.schema is missing"),
    ('{"schema": "other.results"}', '"other.results"'), ("", "line 1"), ('{"schema": "a", "schema": "b"}', "stands twice"),
    ('{"schema": "ringscale.results", "schema_version": 1, "rows": [{"kind": "measured", "time_s": NaN}]}', "NaN"),
    ('{"schema": "ringscale.results", "schema_version": 1, "rows": [{"kind": "measured", "time_s": 1e999}]}', "1e999"),
    ('{"schema": "ringscale.results", "schema_version": 1, "rows": {}}', "$.rows is not a list"),
    ('{"schema": "ringscale.results", "schema_version": 1, "rows": [7]}', "$.rows[0] is not an object"),
    ('{"schema": "ringscale.results", "schema_version": 1, "rows": [{"kind": "guessed"}]}', "$.rows[0].kind is 'guessed'"),
    ('{"schema": "ringscale.results", "schema_version": 1, "rows": [{"kind": "measured", "time_s": "1"}]}',
     "$.rows[0].time_s is '1'"),
    ('{"schema": "ringscale.results", "schema_version": 1, "rows": [{"kind": "measured", "ring_size": true}]}',
     "$.rows[0].ring_size is True"),
    ('{"schema": "ringscale.results", "schema_version": 1, "rows": [{"kind": "measured", "time_s": 1, '
     '"time_s_interval": {"low": null, "high": 1}}]}', "time_s_interval needs finite"),
    ('{"schema": "ringscale.verdicts", "schema_version": 1, "verdicts": [{"id": "a"}]}', "$.verdicts[0].verdict"),
])
def test_bad_document_is_one_line(results, refused, text, expected):
    (results[0] / "bad.json").write_text(text)
    line = refused()
    assert "bad.json" in line and expected in line


def test_null_means_that_a_row_has_no_such_number(results, tmp_path):
    row = {"kind": "measured", "verb": "ring", "schedule": "ring", "tokens": 8, "chunk_tokens": 8, "ring_size": 1,
           "time_s": None, "time_s_interval": {"low": None, "high": None, "confidence": None}, "samples_s": [],
           "max_error": None, "error_bound": None, "verdict": "invalid", "reasons": ["no run"]}
    (results[0] / "null.json").write_text(json.dumps({"schema": "ringscale.results", "schema_version": 1, "rows": [row]}))
    found = next(row for row in loaded(results[0]).rows if row.source.startswith("null.json"))
    assert not {"time_s", "time_s_interval", "max_error", "error_bound"} & set(found)
    assert run_report(results[0], "--output", tmp_path / "out").returncode == 0


def test_deep_nesting_and_bad_bytes_are_one_line(results, refused):
    (results[0] / "bad.json").write_text("[" * 100_000)
    assert "bad.json: nested too deeply" in refused()
    (results[0] / "bad.json").write_bytes(b'{"schema": "\xff"}')
    assert "bad.json: byte 12 is not UTF-8" in refused()


def test_bad_ledger_is_one_line(results, refused):
    results[1].write_text('{"schema": "ringscale.claims"}')
    assert "ledger.json: $.claims is missing" in refused("--claims", results[1])


def test_missing_ledger_is_one_line(tmp_path, refused):
    assert "none.json: cannot be read" in refused("--claims", tmp_path / "none.json")


def test_a_report_is_never_replaced_without_force(results, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("mine")
    line = one_line(run_report(results[0], "--output", out))
    assert "report is already there" in line and "--force" in line
    assert (out / "report.html").read_text() == "mine" and list(out.iterdir()) == [out / "report.html"]
    assert run_report(results[0], "--output", out, "--force").returncode == 0
    assert (out / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_output_that_is_a_file_is_one_line(results, tmp_path):
    (tmp_path / "file").write_text("")
    assert "is a file" in one_line(run_report(results[0], "--output", tmp_path / "file"))


def test_output_that_cannot_be_made_is_one_line(results, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in one_line(run_report(results[0], "--output", tmp_path / "file" / "below"))


def test_no_temporary_file_stays_when_writing_fails(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(report.os, "replace", broken)
    with pytest.raises(OSError):
        report.write_whole(tmp_path / "page.html", b"text")
    assert list(tmp_path.iterdir()) == []
