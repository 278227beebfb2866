"""The child process that alone imports libvirt.

A libvirt call can block for ever (facts: the monitor wait has no time-out), and a thread in a C
call cannot be killed, so libvirt lives in a process of its own that can be. It speaks JSON lines:
`{"id", "call", "args"}` on standard input, `{"id", "ok"}` or `{"id", "error": {…}}` on standard
output. It imports no Django: it starts fast and stays small.

One module holds the calls of one use; each lists its functions in CALLS.
"""
