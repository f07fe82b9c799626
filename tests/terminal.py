"""bulla on a terminal of its own, with somebody who types."""

import os
import pty
import select
import time


def on_terminal(bulla, *args, lines, status=0, stdin=b""):
    """Runs bulla with a terminal of its own; types each line when one is asked for; returns what the terminal showed."""
    pid, master = pty.fork()
    if pid == 0:
        setting = bulla.setting()
        os.chdir(setting["cwd"])
        os.execve(bulla.program, bulla.command(args), setting["env"])
    shown, typed = b"", 0
    while True:
        if not select.select([master], [], [], 20)[0]:
            break
        try:
            got = os.read(master, 4096)
        except OSError:  # the end
            break
        shown += got
        while shown.count(b": ", shown.rfind(b"\n") + 1) and shown.endswith(b": ") and typed < len(lines):
            time.sleep(0.05)  # the echo goes off just after the question, and what was typed before is dropped
            os.write(master, lines[typed].encode())
            shown, typed = shown + b"\n", typed + 1
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status, shown
    bulla.check(shown)
    return shown


def asked(shown):
    return [line for line in shown.decode().replace("\r", "").split("\n") if line.endswith(": ")]
