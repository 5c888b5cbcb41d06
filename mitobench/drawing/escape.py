"""The one place where free text becomes safe for Markdown, HTML, titles, links and CSV. No page is laid out here.

Everything that a stranger wrote (names, notes, links) goes through one of these functions exactly once.
"""

import json
import re
import unicodedata
from urllib.parse import urlsplit

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "|", "%")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")
_ENTITIES = {code: f"&#{code};" for code in range(127) if not chr(code).isalnum() and chr(code) != " "}
_LINK_REL = "noopener nofollow ugc"


def text(value: object) -> str:
    """Free text as entities that mean the same in Markdown, in HTML text and in HTML attributes.

    Every ASCII punctuation mark becomes a numeric entity, so nothing can open a tag, a link, a code span, a table
    cell, an emoji or an attribute. Control and direction-changing characters become spaces; runs of white space,
    line ends included, become one space.

    Args:
        value: Anything; `str(value)` is shown.

    Returns:
        One line. Not for use inside code fences, where entities would be shown as written: use `code_block`.
    """
    return plain(value).translate(_ENTITIES)


def plain(value: object) -> str:
    """`str(value)` on one line without control or direction-changing characters; not yet safe for a page."""
    shown = str(value)
    if not shown.isprintable():  # a faster way to say that some category begins with C or Z
        shown = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in shown)
    return " ".join(shown.split())


def code_block(value: object) -> str:
    """Text of several lines as a block that Markdown leaves alone and HTML shows as it is."""
    lines = [_keep_indent(line) for line in str(value).expandtabs(4).splitlines()]
    # a blank line would end the raw block in some Markdown engines, so line ends are entities too
    return f"<pre><code>{'&#10;'.join(lines)}</code></pre>"


def title(value: object, *, fallback: str) -> str:
    """A page title made of letters, digits, spaces and `.,-+()` only.

    Themes print titles in places that undo entities, so markup characters are dropped instead of escaped.

    Args:
        value: Free text.
        fallback: Used when nothing readable is left; must be made of the same characters.
    """
    kept = "".join(char if char.isalnum() or char in " .,-+()" else " " for char in plain(value))
    return " ".join(kept.split())[:120] or fallback


def link(url: object, label: object) -> str:
    """An outgoing HTML link, or only the escaped label when the address is not a plain https one."""
    address = str(url)
    if not is_https(address):
        return text(label)
    return f'<a href="{text(address)}" rel="{_LINK_REL}">{text(label)}</a>'


def is_https(url: str) -> bool:
    """Whether an address is https with a host, without user names, white space or control characters."""
    if any(unicodedata.category(char)[0] in "CZ" for char in url):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme == "https" and bool(host) and "@" not in parts.netloc


def csv_cell(value: object) -> str:
    """One CSV field, quoted where needed; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    if value is None:
        return ""
    shown = str(value) if isinstance(value, int | float) else plain(value)
    if shown.startswith(_FORMULA_STARTS) and not _NUMBER.match(shown):
        shown = f"'{shown}"
    if any(char in shown for char in ',";\n'):
        shown = '"' + shown.replace('"', '""') + '"'
    return shown


def json_text(value: object) -> str:
    """JSON that stays data even when a page holds it: no `<`, `>` or `&` outside escapes, no NaN."""
    shown = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return shown.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def yaml_text(value: str) -> str:
    """A quoted YAML scalar for the front matter of a page."""
    return json.dumps(value, ensure_ascii=False)


def _keep_indent(line: str) -> str:
    shown = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in line)
    body = shown.lstrip(" ")
    return "&#32;" * (len(shown) - len(body)) + body.translate(_ENTITIES)
