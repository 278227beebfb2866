"""The child process that alone imports libvirt.

A libvirt call can block for ever, since libvirt waits for QEMU's monitor without a time-out. A
thread in a C call cannot be killed; a process can. So libvirt runs in a separate process. It
speaks JSON lines: `{"id", "call", "args"}` on standard input, `{"id", "ok"}` or
`{"id", "error": {…}}` on standard output. It imports no Django: it starts fast and stays small.

One module holds the calls of one use; each lists its functions in CALLS.
"""
