from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.files.store import FileStore
from shared.nodes.base import NodeError
from shared.nodes.rag import _document_loader, _documents
from shared.store.table import TenantTable
from tests.shared.nodes import papers
from tests.shared.nodes.calls import Keyring, Outside, call, execute, run
from tests.shared.nodes.http_server import Reply, serving


@dataclass
class Disk:
    """Files in memory; those of the tenant are below, on moto."""

    held: dict[str, bytes] = field(default_factory=dict)

    def read(self, path: str) -> bytes:
        return self.held[path]


def parsed(body: bytes | str, name: str = "file", **config: Any) -> list[dict[str, Any]]:
    world = Outside(files=Disk({name: body if isinstance(body, bytes) else body.encode()}))
    found: list[dict[str, Any]] = execute("document_loader", config, {"source": name}, world=world)["documents"]
    return found


def failure(body: bytes | str, name: str = "file", **config: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        parsed(body, name, **config)
    return caught.value


def one(body: bytes | str, name: str = "file", **config: Any) -> tuple[str, dict[str, Any]]:
    [document] = parsed(body, name, **config)
    return document["content"], document["metadata"]


def test_text() -> None:
    assert one("Grüße\r\n", "a/b.txt") == ("Grüße\r\n", {"source": "a/b.txt", "type": "txt"})


def test_markdown_has_a_title() -> None:
    assert one("Intro\n\n# The  title #\n\ntext", "a.md")[1] == {"source": "a.md", "type": "md", "title": "The title"}
    assert one("## Only a second\n#no", "a.markdown")[1] == {"source": "a.markdown", "type": "md"}


def test_html_becomes_markdown() -> None:
    page = """<!doctype html><html><head><title> The
      page </title><style>p {}</style></head><body><script>bad()</script><h1>Head</h1><p>One <b>bold</b> &amp;
      <a href="https://x.example/y">link</a></p><ul><li>first<li>second</ul><table><tr><th>a<th>b<tr><td>1<td>2</table>
      <noscript>no</noscript></body></html>"""
    text, metadata = one(page, "x.html")
    assert metadata == {"source": "x.html", "type": "html", "title": "The page"}
    assert text.startswith("# Head\n\nOne **bold** &")
    for part in ("[link](https://x.example/y)", "- first\n- second", "| a | b |\n| --- | --- |\n| 1 | 2 |"):
        assert part in text
    for part in ("bad()", "p {}", "no\n", "The page"):
        assert part not in text


def test_csv_is_a_document_for_each_row() -> None:
    found = parsed('name;note\nAda;"one; two"\nBob;\n', "x.csv")
    assert [d["content"] for d in found] == ["name: Ada\nnote: one; two", "name: Bob\nnote: "]
    assert found[1]["metadata"] == {"source": "x.csv", "type": "csv", "row": 2}
    [named, _] = parsed("Full name,2nd\nAda,x\nBob,y\n", "x.csv", content_field="2nd")
    assert (named["content"], named["metadata"]["Full_name"]) == ("x", "Ada")
    assert [d["content"] for d in parsed("a\tb\n1\t2\n", "x.tsv")] == ["a: 1\nb: 2"]
    assert parsed("", "x.csv") == parsed("only,header\n", "x.csv") == []


def test_json_in_all_its_forms() -> None:
    assert one('{"a": 1}', "x.json") == ('{"a": 1}', {"source": "x.json", "type": "json"})
    assert one('"text"', "x.json")[0] == "text"
    rows = [{"body": "first", "lang": "en", "n": {"x": 1}}, {"body": "second", "lang": None}]
    for body, name in ((json.dumps(rows), "x.json"), ("\n".join(map(json.dumps, rows)), "x.jsonl")):
        found = parsed(body, name, content_field="body")
        assert [d["content"] for d in found] == ["first", "second"]
        assert found[0]["metadata"] == {"source": name, "type": "json", "lang": "en", "n": {"x": 1}, "row": 1}
        assert parsed(body, name)[1]["content"] == "body: second"
    assert [d["content"] for d in parsed('["a", 2, ["b"]]', "x.json")] == ["a", "2", '["b"]']
    assert one("[1]", "x.json", content_field="body")[0] == "1"
    assert one('{"body": "x", "lang": "en"}', "x.json", content_field="body")[1]["lang"] == "en"


def test_pdf_is_a_document_for_each_page_with_text() -> None:
    found = parsed(papers.pdf(["Page (one)", "", "Page three"], "The title"), "x.pdf")
    assert [d["content"].strip() for d in found] == ["Page (one)", "Page three"]
    about = {"source": "x.pdf", "type": "pdf", "title": "The title", "pages": 3}
    assert [d["metadata"] for d in found] == [{**about, "page": 1}, {**about, "page": 3}]


def test_word_becomes_markdown_in_order() -> None:
    text, metadata = one(papers.word("Handbook"), "x.docx")
    assert metadata == {"source": "x.docx", "type": "docx", "title": "Handbook"}
    assert text.split("\n\n") == [
        "# Leave",
        "Leave is asked for in writing.",
        "## How much",
        "- Thirty days",
        "| Years | Days |\n| --- | --- |\n| 5 \\| more | 31 |",
        "Ask your manager.",
    ]


@pytest.mark.parametrize(
    ("name", "body", "kind"),
    [
        ("x.txt", papers.pdf(["text"]), "pdf"),  # the first bytes are surer than the name
        ("no-ending", papers.word(), "docx"),
        ("x.HTM", b"plain", "html"),
        ("notes", b"  <!-- c -->\n<!DOCTYPE html><p>x", "html"),
        ("notes", b"<p>no page", "txt"),
        ("x.unknown", "# text".encode("utf-16"), "txt"),
        ("archive.md/readme", b"x", "txt"),
    ],
)
def test_the_type_is_found_out(name: str, body: bytes, kind: str) -> None:
    assert {d["metadata"]["type"] for d in parsed(body, name)} == {kind}


def test_a_type_that_is_given_holds() -> None:
    assert one("<b>x</b>", "x.txt", type="html")[0] == "**x**"
    assert one("<b>x</b>", "x.html", type="txt")[0] == "<b>x</b>"
    world = Outside(files=Disk({"x": b"a,b\n1,2\n"}))
    found = execute("document_loader", {"type": "txt"}, {"source": "x", "type": "csv"}, world=world)["documents"]
    assert found[0]["content"] == "a: 1\nb: 2"


@pytest.mark.parametrize(
    ("body", "config"),
    [
        ("Äpfel für 5 €", {}),
        ("\ufeffÄpfel für 5 €".encode(), {}),
        ("Äpfel für 5 €".encode("utf-16"), {}),
        ("Äpfel für 5 €".encode("utf-32"), {}),
        ("Äpfel für 5 €".encode("cp1252"), {"encoding": "cp1252"}),
    ],
)
def test_encodings(body: bytes | str, config: dict[str, Any]) -> None:
    assert one(body, "x.txt", **config)[0] == "Äpfel für 5 €"


def test_an_encoding_is_guessed() -> None:
    text = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 20
    assert one(text.encode("cp1251"), "x.txt")[0] == text
    page = "<html><head><meta charset=shift_jis><title>x</title></head><body>日本語の文章です</body></html>"
    assert "日本語の文章です" in one(page.encode("shift_jis"), "x.html")[0]


_ENCRYPTED = b"trailer\n<< /Encrypt << /Filter /Standard /V 5 /R 6 >> /ID [<00> <00>]"
AES = papers.pdf(["x"]).replace(b"trailer\n<<", _ENCRYPTED)
BAD: list[tuple[str, bytes | str, str, dict[str, Any], str]] = [
    ("x.pdf", b"%PDF-1.4 and nothing", "BrokenDocument", {}, "cannot be read"),
    ("x.pdf", papers.pdf(["text"])[:200], "BrokenDocument", {}, "cannot be read"),
    ("x.pdf", b"no PDF at all", "BrokenDocument", {}, "cannot be read"),
    ("x.pdf", papers.locked(papers.pdf(["x"]), "secret"), "EncryptedDocument", {}, "needs a password"),
    ("x.pdf", AES, "BrokenDocument", {}, "cannot be read"),
    ("x.pdf", papers.pdf(["x"] * 3), "TooLarge", {"max_pages": 2}, "3 pages; at most 2"),
    ("x.docx", b"PK\x03\x04 word/ and nothing", "BrokenDocument", {}, "archive is broken"),
    ("x.docx", papers.word()[:-500], "BrokenDocument", {}, "archive is broken"),
    ("x.docx", b"plain text", "BrokenDocument", {}, "archive is broken"),
    ("x.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "EncryptedDocument", {}, "encrypted"),
    ("x.docx", papers.bomb(21_000_000), "TooLarge", {}, "unpacks to 21,000,"),
    ("x.docx", papers.bomb(21_000_000, "word/picture.png"), "TooLarge", {}, "unpacks to 21,000,"),
    ("x.docx", papers.wide(2_000_000_000), "TooLarge", {}, "over 1,000 columns"),
    ("x.zip", b"PK\x03\x04 something else", "UnsupportedType", {}, "no Word document"),
    ("x.bin", b"\x00\x01\x02\x03", "UnsupportedType", {}, "neither text nor"),
    ("x.txt", b"text \x00 text", "BrokenDocument", {}, "zero bytes"),
    ("x.txt", b"\xff\xfe\xfa", "BrokenDocument", {"encoding": "utf-8"}, "no text in utf-8"),
    ("x.txt", "text", "InvalidInput", {"encoding": "klingon"}, "no encoding 'klingon'"),
    ("x.csv", 'a,b\n"open', "BrokenDocument", {}, "no CSV"),
    ("x.csv", "a,b\n1,2,3\n", "BrokenDocument", {}, "row 1 has 3 cells; there are 2"),
    ("x.csv", "a,b\n1,2\n", "InvalidInput", {"content_field": "c"}, "no field 'c'"),
    ("x.json", '{"a": ', "BrokenDocument", {}, "neither JSON nor JSON Lines"),
    ("x.json", "[" * 100_000, "BrokenDocument", {}, "neither JSON nor JSON Lines"),
    ("x.jsonl", '{"a": 1}\n{"a": \n', "BrokenDocument", {}, "neither JSON nor JSON Lines"),
    ("x.html", "<div>" * 20_000 + "x", "BrokenDocument", {}, "nested too deeply"),
]


@pytest.mark.parametrize(
    ("name", "body", "error", "config", "said"), BAD, ids=[f"{n}-{e}-{i}" for i, (n, _, e, *_) in enumerate(BAD)]
)
def test_what_cannot_be_read(name: str, body: bytes | str, error: str, config: dict[str, Any], said: str) -> None:
    found = failure(body, name, **config)
    assert (found.error, found.retryable) == (error, False)
    assert said in found.message
    assert "secret" not in found.message


def test_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_documents, "MAX_DOCUMENTS", 3)
    assert failure("a\n1\n2\n3\n4\n", "x.csv").error == "TooLarge"
    monkeypatch.setattr(_documents, "MAX_CHARACTERS", 5)
    assert failure("123456", "x.txt").error == "TooLarge"
    assert failure(b"<p>" * 4_000_000, "x.html").error == "TooLarge"
    monkeypatch.setattr(_document_loader, "_MOST_BYTES", 3)
    assert failure("1234", "x.txt").error == "TooLarge"


def test_the_time_is_up() -> None:
    world = Outside(files=Disk({"x.pdf": papers.pdf(["x"] * 5)}))
    with pytest.raises(NodeError) as caught:
        execute("document_loader", {}, {"source": "x.pdf"}, world=world, timeout_seconds=0)
    assert caught.value.error == "Timeout"


# --- files, addresses, text, queries ----------------------------------------------------------------------------------


@pytest.fixture
def world(tenant) -> Outside:
    files = FileStore(TenantTable(tenant))
    for path in ("handbook/a.md", "handbook/deep/b.md", "handbook/c.txt", "other/d.md"):
        files.write(path, f"text of {path}".encode(), "text/plain")
    files.write("handbook/broken.pdf", b"%PDF-1.4 no", "application/pdf")
    return Outside(files=files)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("handbook/a.md", ["handbook/a.md"]),
        ("handbook/deep/", ["handbook/deep/b.md"]),
        ("handbook/*.md", ["handbook/a.md"]),
        ("handbook/**/*.md", ["handbook/a.md", "handbook/deep/b.md"]),
        ("**/*.md", ["handbook/a.md", "handbook/deep/b.md", "other/d.md"]),
        ("handbook/?.*", ["handbook/a.md", "handbook/c.txt"]),
    ],
)
def test_files(world: Outside, source: str, found: list[str]) -> None:
    made = call("document_loader", {}, {"source": source}, world=world)
    documents = run(made, "document_loader")["documents"]
    assert [d["metadata"]["source"] for d in documents] == found
    assert [d["content"] for d in documents] == [f"text of {path}" for path in found]
    assert made.usage == {"bytes": sum(len(f"text of {path}") for path in found), "documents": len(found)}


def test_broken_files_may_be_left_out(world: Outside) -> None:
    documents = execute("document_loader", {"skip_broken": True}, {"source": "handbook/"}, world=world)["documents"]
    assert len(documents) == 3
    [(level, line)] = world.lines
    assert level == "warning"
    assert "handbook/broken.pdf" in line


@pytest.mark.parametrize(
    ("source", "config", "error"),
    [
        ("nothing/there.md", {}, "FileNotFound"),
        ("nothing/", {}, "FileNotFound"),
        ("*.exe", {}, "FileNotFound"),
        ("handbook/", {}, "BrokenDocument"),
        ("../other.md", {}, "InvalidInput"),
        ("", {}, "InvalidInput"),
        ("  ", {}, "InvalidInput"),
        (7, {}, "InvalidInput"),
        (None, {}, "InvalidInput"),
        ("select 1", {"from": "sql"}, "InvalidInput"),
    ],
)
def test_bad_sources(world: Outside, source: Any, config: dict[str, Any], error: str) -> None:
    with pytest.raises(NodeError) as caught:
        execute("document_loader", config, {"source": source}, world=world)
    assert (caught.value.error, caught.value.retryable) == (error, False)


def test_a_type_that_there_is_not(world: Outside) -> None:
    with pytest.raises(NodeError, match="type is one of"):
        execute("document_loader", {}, {"source": "x", "type": "xlsx"}, world=world)


def test_too_many_files(world: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_document_loader, "_MOST_FILES", 2)
    with pytest.raises(NodeError, match="TooLarge"):
        execute("document_loader", {}, {"source": "**"}, world=world)


def test_another_tenants_files_are_not_found(world: Outside, other_tenant) -> None:
    theirs = Outside(files=FileStore(TenantTable(other_tenant)))
    for source in ("handbook/a.md", "handbook/", "**"):
        with pytest.raises(NodeError, match="FileNotFound"):
            execute("document_loader", {}, {"source": source}, world=theirs)


def test_inline_text() -> None:
    config = {"from": "text"}
    [found] = execute("document_loader", config, {"source": "https://no.address"})["documents"]
    assert found == {"content": "https://no.address", "metadata": {"source": "text", "type": "txt"}}
    [found] = execute("document_loader", config, {"source": "# T\nx", "type": "md"})["documents"]
    assert found["metadata"]["title"] == "T"


def test_an_address() -> None:
    page = Reply(b"<title>T</title><p>text", 200, {"Content-Type": "text/html; charset=utf-8"})
    with serving([page]) as server:
        world = Outside(allowed_hosts=frozenset({server.host}))
        url = f"{server.url}/page.txt?q=1"
        [found] = execute("document_loader", {}, {"source": url}, world=world)["documents"]
    assert found == {"content": "text", "metadata": {"source": url, "type": "html", "title": "T"}}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(b"", 404), "HttpError"),
        (Reply(b"", 500), "HttpError"),
        (Reply(b"x" * 9, 200, {"Content-Length": "99999999"}), "ResponseTooLarge"),
        (Reply(b"%PDF-1.4", 200), "BrokenDocument"),
    ],
)
def test_an_address_that_is_no_good(reply: Reply, error: str) -> None:
    with serving([reply]) as server:
        world = Outside(allowed_hosts=frozenset({server.host}))
        with pytest.raises(NodeError) as caught:
            execute("document_loader", {}, {"source": f"{server.url}/?key=hush"}, world=world)
    assert caught.value.error == error
    assert "hush" not in caught.value.message


def test_a_private_address_is_refused() -> None:
    for url in ("http://127.0.0.1:9/x", "http://169.254.169.254/latest/meta-data", "http://[::1]/"):
        with pytest.raises(NodeError, match="BlockedAddress"):
            execute("document_loader", {}, {"source": url})


def test_a_query_needs_the_right_credential() -> None:
    world = Outside(credentials=Keyring({"crm": ("bearer", {"token": "hush"})}))
    for name, error in (("crm", "WrongCredential"), ("nobody", "CredentialNotFound")):
        with pytest.raises(NodeError, match=error) as caught:
            execute("document_loader", {"from": "sql", "credential": name}, {"source": "select 1"}, world=world)
        assert "hush" not in caught.value.message


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_query_gives_a_document_for_each_row(request: pytest.FixtureRequest, kind: str) -> None:
    server = request.getfixturevalue({"postgres": "postgres_server", "mysql": "mariadb_server"}[kind])
    world = Outside(allowed_hosts=server.allowed, credentials=Keyring({"db": (kind, server.values)}))
    query = "SELECT 'first text' AS body, 7 AS n, 'en' AS lang UNION SELECT 'second', 8, NULL ORDER BY n"

    def rows(query: str, **config: Any) -> list[dict[str, Any]]:
        config = {"from": "sql", "credential": "db", **config}
        found: list[dict[str, Any]] = execute("document_loader", config, {"source": query}, world=world)["documents"]
        return found

    about = {"source": "db", "type": "sql"}
    assert rows(query, content_field="body") == [
        {"content": "first text", "metadata": {**about, "n": 7, "lang": "en", "row": 1}},
        {"content": "second", "metadata": {**about, "n": 8, "lang": None, "row": 2}},
    ]
    assert rows(query)[0] == {"content": "body: first text\nn: 7\nlang: en", "metadata": {**about, "row": 1}}
    for bad, error in (
        ("SELECT * FROM nothing_there", "QueryFailed"),
        ("CREATE TABLE loaded (id integer)", "ReadOnly"),
        (query, "InvalidInput"),
    ):
        with pytest.raises(NodeError) as caught:
            rows(bad, **({"content_field": "none"} if bad == query else {}))
        assert caught.value.error == error
