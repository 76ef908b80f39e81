"""Which versions of libraries are installed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def installed_versions(libraries: Iterable[str]) -> dict[str, str]:
    """Version of each library by name; those that are absent are left out."""
    found = {}
    for library in libraries:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
