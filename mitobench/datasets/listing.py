"""Read lists of the files in a remote folder. A list is what a stranger wrote: names are checked, never trusted."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit
from xml.etree import ElementTree as ET

from mitobench.datasets.remote import Listing
from mitobench.errors import FetchError


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of a remote folder.

    Attributes:
        name: Its path below that folder, "/" between parts.
        url: Its address.
        n_bytes: Its length, where the list says it.
    """

    name: str
    url: str
    n_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class S3Page:
    """One answer of a bucket to `list-type=2`.

    Attributes:
        keys: {key: length}.
        folders: Common prefixes, where a delimiter was asked for.
        token: What to ask for the next page with; "" when there is none.
    """

    keys: dict[str, int]
    folders: tuple[str, ...]
    token: str


def entries(text: str, url: str, listing: Listing) -> Iterator[Entry]:
    """The files that a list names, as it names them; "s3" is read page by page by `s3_page` instead.

    Args:
        text: The list.
        url: Where it came from.
        listing: What kind of list it is.

    Raises:
        FetchError: It is no such list.
    """
    base = listing.base or urljoin(url, ".")
    if listing.kind == "html":
        yield from _of_index(text, base)
        return
    paths = _of_table(text, url, listing) if listing.kind == "tsv" else _of_json(text, url, listing)
    for path in paths:
        name = path.strip().removeprefix("./")
        if name:
            yield Entry(name=name, url=f"{base.rstrip('/')}/{quote(name)}")


def s3_page(text: str, url: str) -> S3Page:
    """One page of a bucket's list.

    Raises:
        FetchError: It is not that, or it declares entities, which a list has no use for.
    """
    try:
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError("it declares entities")
        root = ET.fromstring(text)  # noqa: S314 - no entities, see above
        if not root.tag.endswith("ListBucketResult"):
            raise ValueError(f"its root is {root.tag!r}")
        keys = {
            _child(item, "Key"): int(_child(item, "Size") or 0)
            for item in root.iter()
            if item.tag.endswith("}Contents") or item.tag == "Contents"
        }
        folders = tuple(
            _child(item, "Prefix")
            for item in root.iter()
            if item.tag.endswith("}CommonPrefixes") or item.tag == "CommonPrefixes"
        )
    except (ET.ParseError, ValueError) as error:
        raise FetchError(
            f"{url} did not answer with the list of a bucket ({error}). Try again later."
        ) from error
    more = _child(root, "IsTruncated") == "true"
    return S3Page(keys=keys, folders=folders, token=_child(root, "NextContinuationToken") if more else "")


def _child(item: ET.Element, name: str) -> str:
    for child in item:
        if child.tag.rsplit("}", 1)[-1] == name:
            return child.text or ""
    return ""


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _of_index(text: str, base: str) -> Iterator[Entry]:
    """Links that lead to files right below the folder: other hosts, queries and parent folders are not meant."""
    links = _Links()
    links.feed(text)
    top = urlsplit(base)
    for link in dict.fromkeys(links.found):
        there = urlsplit(urljoin(base, link))
        same = (there.scheme, there.netloc) == (top.scheme, top.netloc)
        if same and not there.query and there.path.startswith(top.path) and not there.path.endswith("/"):
            yield Entry(
                name=unquote(there.path.removeprefix(top.path)), url=there._replace(fragment="").geturl()
            )


def _of_table(text: str, url: str, listing: Listing) -> Iterator[str]:
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), dialect=csv.excel_tab)
    there = rows.fieldnames or []
    if missing := [column for column in listing.columns if column not in there]:
        raise FetchError(
            f"{url} has no column {missing[0]!r}; it has {', '.join(map(repr, there)) or 'none'}. "
            "The host changed its list; please report it."
        )
    for row in rows:
        yield from (row[column] or "" for column in listing.columns)


def _of_json(text: str, url: str, listing: Listing) -> Iterator[str]:
    try:
        found: Any = json.loads(text)
        items = found["files"] if isinstance(found, dict) else found
        for item in items:
            for column in listing.columns:
                value = item[column]
                if not isinstance(value, str):
                    raise TypeError(f"{column} is {type(value).__name__}")
                yield value
    except (ValueError, KeyError, TypeError) as error:
        raise FetchError(
            f"{url} is not the JSON list that was expected ({error!r}). The host changed its list; please report it."
        ) from error
