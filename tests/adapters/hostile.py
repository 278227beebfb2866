"""A machine that answers the panel's scripts as an attacker would. Run by test_hostile_session.

Arguments: what it does. The first line of standard input holds the mark of the session, as the
real boot gets it (script_session._BOOT).
"""

import json
import sys

MARK = json.loads(sys.stdin.readline())[0]
PIECE = b"A" * 65536
CONDUCT = sys.argv[1]


def write(data: bytes) -> None:
    sys.stdout.buffer.write(data)


def message(value: object) -> bytes:
    return MARK.encode() + json.dumps(value).encode() + b"\n"


if CONDUCT == "endless line":
    write(MARK.encode())
    while True:
        write(PIECE)
elif CONDUCT == "endless noise":
    while True:
        write(PIECE + b"\n")
elif CONDUCT == "endless short noise":
    while True:
        write(b"\n" * 65536)
elif CONDUCT == "endless events":
    while True:
        write(message({"event": "progress", "done_bytes": 1, "total_bytes": 2}) * 100)
elif CONDUCT == "endless errors":
    while True:
        sys.stderr.buffer.write(PIECE)
elif CONDUCT == "many values":
    write(MARK.encode() + b'{"ok": [' + b"[]," * 1_500_000 + b"0]}\n")
elif CONDUCT == "wide text":
    write(MARK.encode() + b'{"ok": "\\ud83d\\ude00' + b"a" * 6_000_000 + b'"}\n')
elif CONDUCT == "deep":
    write(MARK.encode() + b"[" * 200_000 + b"\n")
elif CONDUCT == "number":
    write(MARK.encode() + b"9" * 100_000 + b"\n")
elif CONDUCT == "list":
    write(message(["ok"]))
elif CONDUCT == "odd error":
    write(message({"error": "no"}) + message({"error": {}}))
elif CONDUCT == "without mark":
    write(b'{"ok": "believed"}\n')
elif CONDUCT == "no more":
    pass
elif CONDUCT == "polite":
    write(b'Welcome! {"ok": "banner"}\nLast login: today' + message({"ok": "answer"}) + b"bye\n")
sys.stdout.flush()
sys.stdin.read()
