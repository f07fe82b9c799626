"""bulla on a terminal of its own, with somebody who types."""

import os
import pty
import select
import sys
import time

# A shell for one command: tells whether the terminal shows what is typed when that stops, and goes on, and when it ends.
SHELL = """
import os, signal, sys, termios
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    for number in (signal.SIGTTOU, signal.SIGTSTP):
        signal.signal(number, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
status = None
while status is None or os.WIFSTOPPED(status):
    if status is not None:
        os.kill(pid, signal.SIGCONT)
    status = os.waitpid(pid, os.WUNTRACED)[1]
    print("stopped" if os.WIFSTOPPED(status) else "ended", bool(termios.tcgetattr(0)[3] & termios.ECHO), flush=True)
sys.exit(os.waitstatus_to_exitcode(status))
"""
IN_SHELL = [sys.executable, "-ISc", SHELL]


def on_terminal(bulla, *args, lines, status=0, stdin=b"", under=()):
    """Runs bulla with a terminal of its own; types each line when one is asked for; returns what the terminal showed."""
    pid, master = pty.fork()
    if pid == 0:
        setting = bulla.setting()
        os.chdir(setting["cwd"])
        command = [*under, *bulla.command(args)]
        os.execve(command[0], command, setting["env"])
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
