"""PDF and Word files, made for tests."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import docx
import pypdf


def pdf(pages: Sequence[str], title: str = "") -> bytes:
    """A PDF with a line of text on each page; an empty text is an empty page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for text in pages:
        shown = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        stream = f"BT /F1 12 Tf 72 720 Td ({shown}) Tj ET" if text else ""
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        font = "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {font} /Contents {len(objects)} 0 R >>"
        objects.append(page)
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    objects.append(f"<< /Title ({title}) >>")
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    trailer = f"trailer\n<< /Size {size} /Root 1 0 R /Info {len(objects)} 0 R >>\nstartxref\n{len(body)}\n%%EOF"
    return body + f"xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode()


def locked(body: bytes, user: str, owner: str = "owner") -> bytes:
    """The PDF, encrypted: `user` opens it for reading."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(body))
    writer.encrypt(user_password=user, owner_password=owner, algorithm="RC4-128")
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


def word(title: str = "") -> bytes:
    """A Word document with headings, paragraphs, a list and a table."""
    document = docx.Document()
    document.core_properties.title = title
    document.add_heading("Leave", 1)
    document.add_paragraph("Leave is asked for in writing.")
    document.add_heading("How much", 2)
    document.add_paragraph("Thirty days", style="List Bullet")
    table = document.add_table(rows=0, cols=2)
    for left, right in (("Years", "Days"), ("5 | more", "31")):
        cells = table.add_row().cells
        cells[0].text, cells[1].text = left, right
    document.add_paragraph("Ask your manager.")
    made = io.BytesIO()
    document.save(made)
    return made.getvalue()


def wide(columns: int) -> bytes:
    """A Word document with a table whose only cell says that it is so many columns wide."""
    document = docx.Document()
    document.add_table(1, 1).rows[0].cells[0]._tc.grid_span = columns
    made = io.BytesIO()
    document.save(made)
    return made.getvalue()


def bomb(unpacked: int, name: str = "word/document.xml") -> bytes:
    """A Word document in name, with a part of XML that unpacks to so many bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open(name, "w", force_zip64=True) as entry:
            for _ in range(unpacked // 1_000_000):
                entry.write(b"<p/>" * 250_000)
    return made.getvalue()
