"""A CycloneDX bill of materials, read: which component has which version and which licence."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATED_ELSEWHERE = {"dp-accounting": "Apache-2.0"}
"""Components whose metadata name their licence in a way that the bill does not take, with that licence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """One distribution of the runtime environment."""

    name: str
    version: str
    licences: tuple[str, ...]


def read_bill(path: Path) -> tuple[Component, ...]:
    """The components, by name."""
    found = [_component(entry) for entry in json.loads(path.read_text())["components"]]
    return tuple(sorted(found, key=lambda component: component.name.lower()))


def _component(entry: Mapping[str, Any]) -> Component:
    """A component of the document."""
    name = entry["name"]
    stated = tuple(_stated(entry.get("licenses", [])))
    elsewhere = (STATED_ELSEWHERE[name],) if name in STATED_ELSEWHERE else ()
    return Component(name=name, version=entry["version"], licences=stated or elsewhere)


def _stated(choices: list[Mapping[str, Any]]) -> Iterator[str]:
    """The licences, as SPDX has them or else as the package does."""
    for choice in choices:
        licence = choice.get("license", {})
        stated = choice.get("expression") or licence.get("id") or licence["name"]
        yield stated.removeprefix("License :: OSI Approved :: ")
