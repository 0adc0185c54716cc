"""matplotlib's SVG made fit to live among others in one page: small, themed, labelled, its ids its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree

METHOD = "method:"
"""What the gid of an artist begins with that shows one method; the method's name follows."""

_HREF = "{http://www.w3.org/1999/xlink}href"
_NAMESPACE = "http://www.w3.org/2000/svg"
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_COMMANDS = re.compile(r"\s*([A-Za-z])\s*")
_NO_TURN = re.compile(r"\s*rotate\(-?0 [^)]*\)")
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_NUMERIC = ("d", "x", "y", "width", "height", "transform", "points")
# What no XML may hold, and a name may.
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ROOT_STYLE = "stroke-linejoin:round;stroke-linecap:butt;font-family:'DejaVu Sans',system-ui,sans-serif"
# What the root says already.
_INHERITED = {"font-family", "font"}


def rewrite(text: str, prefix: str, title: str, description: str, colours: Mapping[str, str]) -> str:
    """Return an SVG element made from a file that matplotlib wrote with ``svg.fonttype`` none.

    ``colours``: what stands in for a colour ``#rrggbb``. Coordinates keep two decimals.
    """
    text, title, description = (_NO_XML.sub("\ufffd", part) for part in (text, title, description))
    root = ElementTree.fromstring(text)  # noqa: S314 -- our own drawing
    definitions = _take_definitions(root)
    children = [simple for child in root for simple in _simplified(child, colours)]
    for definition in definitions:
        _tidy(definition, colours)
    children = _joined(children)
    parts = [element for top in (*children, *definitions) for element in top.iter()]
    _rename_ids(parts, prefix)
    sheet = _share_classes(parts, prefix)
    made = ElementTree.Element(
        "svg",
        {
            "xmlns": _NAMESPACE,
            "viewBox": root.attrib["viewBox"],
            "role": "img",
            "aria-labelledby": f"{prefix}title {prefix}desc",
            "style": _ROOT_STYLE,
        },
    )
    for name, words in (("title", title), ("desc", description)):
        ElementTree.SubElement(made, name, {"id": f"{prefix}{name}"}).text = words
    if sheet:
        ElementTree.SubElement(made, "style").text = sheet
    if definitions:
        ElementTree.SubElement(made, "defs").extend(definitions)
    made.extend(children)
    return ElementTree.tostring(made, encoding="unicode")


def _take_definitions(root: ElementTree.Element) -> list[ElementTree.Element]:
    """Take every marker and clip path out of the drawing, each once: a hidden group must not hide what others use."""
    found: dict[str, ElementTree.Element] = {}
    for parent in list(root.iter()):
        for child in list(parent):
            name = _local(child)
            if name in ("defs", "metadata"):
                parent.remove(child)
            if name == "defs":
                found.update({part.attrib["id"]: part for part in child if "id" in part.attrib})
    for definition in found.values():
        for element in definition.iter():
            element.tag = _local(element)
    return list(found.values())


def _local(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _simplified(element: ElementTree.Element, colours: Mapping[str, str]) -> Iterable[ElementTree.Element]:
    """Yield an element in short form: groups that say nothing give way to what is in them."""
    element.tag = _local(element)
    _tidy(element, colours)
    if element.tag != "g":
        yield element
        return
    children = [simple for child in element for simple in _simplified(child, colours)]
    name = element.attrib.pop("id", "")
    if name.startswith(METHOD):
        element.attrib["data-method"] = name.removeprefix(METHOD)
    element[:] = _joined(children)
    element.text = element.tail = None
    _share_style(element)
    if element.attrib:
        yield element
    else:
        yield from list(element)


def _tidy(element: ElementTree.Element, colours: Mapping[str, str]) -> None:
    for part in element.iter() if element.tag == "clipPath" else (element,):
        part.tail = None
        if part.tag == "clipPath":
            part.text = None
        if _HREF in part.attrib:
            part.attrib["href"] = part.attrib.pop(_HREF)
        for name in _NUMERIC:
            if name in part.attrib:
                part.attrib[name] = _NUMBER.sub(_rounded, part.attrib[name])
        if "d" in part.attrib:
            part.attrib["d"] = _COMMANDS.sub(r"\1", part.attrib["d"]).strip()
        if "transform" in part.attrib and (turned := _NO_TURN.sub("", part.attrib.pop("transform")).strip()):
            part.attrib["transform"] = turned
        if "style" in part.attrib:
            part.attrib["style"] = _short_style(part.attrib["style"], colours)


def _rounded(match: re.Match[str]) -> str:
    text = f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _short_style(style: str, colours: Mapping[str, str]) -> str:
    pairs = [tuple(part.strip() for part in item.split(":", 1)) for item in style.split(";") if ":" in item]
    kept = [f"{name}:{value}" for name, value in pairs if name not in _INHERITED]
    return _COLOUR.sub(lambda match: colours.get(match[0], match[0]), ";".join(kept))


def _share_style(group: ElementTree.Element) -> None:
    """Say once on a group of markers what each of them says."""
    styles = {child.attrib.get("style") for child in group}
    if len(group) and len(styles) == 1 and {child.tag for child in group} == {"use"} and "style" not in group.attrib:
        if shared := styles.pop():
            group.attrib["style"] = shared
        for child in group:
            child.attrib.pop("style", None)


def _joined(elements: Iterable[ElementTree.Element]) -> list[ElementTree.Element]:
    """Join neighbours that belong to one method into one group."""
    joined: list[ElementTree.Element] = []
    for element in elements:
        method = element.attrib.get("data-method")
        last = joined[-1] if joined else None
        if method is not None and last is not None and last.attrib == element.attrib == {"data-method": method}:
            last.extend(list(element))
        else:
            joined.append(element)
    return joined


def _rename_ids(elements: Iterable[ElementTree.Element], prefix: str) -> None:
    """Number the ids, which are used many times over, behind the prefix."""
    names: dict[str, str] = {}
    for element in elements:
        for attribute, pattern in (("id", "{}"), ("href", "#{}"), ("clip-path", "url(#{})")):
            if attribute in element.attrib:
                old = element.attrib[attribute].removeprefix("url(").removeprefix("#").removesuffix(")")
                element.attrib[attribute] = pattern.format(names.setdefault(old, f"{prefix}{len(names)}"))


def _share_classes(elements: Sequence[ElementTree.Element], prefix: str) -> str:
    """Replace styles that are used again by classes, and return their rules."""
    uses = Counter(element.attrib["style"] for element in elements if "style" in element.attrib)
    classes = {style: f"{prefix}s{number}" for number, style in enumerate(uses) if uses[style] > 1 and style}
    for element in elements:
        if element.attrib.get("style") in classes:
            element.attrib["class"] = classes[element.attrib.pop("style")]
    return "".join(f".{name}{{{style}}}" for style, name in classes.items())
