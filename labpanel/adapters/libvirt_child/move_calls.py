"""Calls of one use: move."""

from collections.abc import Callable
from typing import Any

CALLS: dict[str, Callable[..., Any]] = {}
