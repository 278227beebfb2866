"""Runs the panel's processes on a bare machine: starts, restarts, and leaves nothing behind.

Only for `./panel up`; in containers the engine does this. It loads no Django, so that watching
costs little memory.
"""
