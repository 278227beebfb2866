"""Calls of one use: backup."""

from collections.abc import Callable
from typing import Any

CALLS: dict[str, Callable[..., Any]] = {}
