"""What a reader finds in a rendered report, read from its HTML, its PDF or the typst that its PDF is set from."""

import html
import re
from html.parser import HTMLParser

from stages.shared.drawing.numbers import NBSP

NUMBER = re.compile(r"[−+]?\d[\d,]*(?:\.\d+)?")
VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")


def spaced(text):
    """With ordinary spaces alone."""
    return text.replace(NBSP, " ")


class Page(HTMLParser):
    """What the page's <main> holds, or all of it where it has none. Works for pandoc's pages and for Quarto's.

    headings: (level, text). tables: rows of cells. alts: of the images. references: (id, text). text: no mathematics.
    """

    def __init__(self, page):
        super().__init__()
        self.headings, self.tables, self.alts, self.references, self.text = [], [], [], [], ""
        self._open, self._texts = [], []  # tags; [depth, tag, target, text] of the open ones whose text is wanted
        main = re.search(r"<main\b.*</main>", page, re.DOTALL)
        self.feed(main[0] if main else page)
        self.headings = [(level, words(text)) for level, text in self.headings]
        self.tables = [[[words(cell) for cell in row] for row in table] for table in self.tables]
        self.references = [(target, words(text)) for target, text in self.references]
        self.text = words(self.text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "img":
            self.alts.append(attributes.get("alt", ""))
        if tag in VOID:
            return
        self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th", "h2", "h3", "h4") or (tag == "a" and "quarto-xref" in (attributes.get("class") or "")):
            self._texts.append([len(self._open), tag, attributes.get("href", "")[1:], ""])

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if self._texts and self._texts[-1][0] == len(self._open):
            _, kind, target, text = self._texts.pop()
            if self._texts:
                self._texts[-1][3] += text
            if kind in ("td", "th"):
                self.tables[-1][-1].append(text)
            elif kind == "a":
                self.references.append((target, text))
            else:
                self.headings.append((int(kind[1]), text))
        assert self._open.pop() == tag

    def handle_data(self, data):
        if {"script", "style", "annotation"} & set(self._open):
            return
        self.text += "" if "math" in self._open else data
        if self._texts:
            self._texts[-1][3] += data


def plain_text(markup):
    """The text of HTML, each white space as one space."""
    # A parser would need a page that is whole; tests also give parts of one.
    bare = re.sub(r"<(script|style)\b.*?</\1>|<annotation\b.*?</annotation>|<[^>]*>", " ", markup, flags=re.DOTALL)
    return " ".join(html.unescape(bare).split())


def words(text):
    """With one kind of quotation mark and of space."""
    return " ".join(re.sub("[‘’]", "'", text).replace("“", '"').replace("”", '"').split())


def pressed(text):
    """Without spaces and hyphens: what a line's end in a PDF may have added or taken."""
    return re.sub(r"[\s\u00ad-]", "", words(text))


def printed_text(reader):
    """Of a pypdf.PdfReader."""
    return "\n".join(page.extract_text() for page in reader.pages)


def outline(reader):
    """Its headings as (depth, text), without their numbers."""

    def entries(items, depth):
        for item in items:
            if isinstance(item, list):
                yield from entries(item, depth + 1)
            else:
                yield depth, words(re.sub(r"^\d+(\.\d+)* ", "", item.title))

    return list(entries(reader.outline, 0))


def typst_references(source):
    return re.findall(r"#ref\(<([\w-]+)>", source)


def typst_alts(source):
    alts = re.findall(r'#box\(image\("[^"]*", alt: "((?:[^"\\]|\\.)*)"\)\)', source)
    return [re.sub(r"\\(.)", r"\1", alt) for alt in alts]
