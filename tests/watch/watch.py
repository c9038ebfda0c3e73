#!/usr/bin/python3
"""normlab watch beside real training processes: one that goes on, also when it has not written for
long, one that was killed, one that ends, and one that is taken up again; on a terminal and in a
script. Silence means pass.

    watch.py PATH/OF/normlab
"""
import glob
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time

program = os.path.abspath(sys.argv[1])
RUN = "train data=circles:train=200:test=100 model=mlp:hidden=8 batch=20 norm=batch".split()
LONG, SHORT = "steps=50000000", "steps=40"
HIDE = b"\033[?"  # modes of the terminal that would have to be put back
failed = []


def start(folder, budget):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([program, *RUN, budget, f"out={folder}"], **quiet)


def wait_for(what, seconds=60):
    for _ in range(10 * seconds):
        if what():
            return True
        time.sleep(0.1)
    return False


def once(folder):
    said = subprocess.run([program, "watch", folder], capture_output=True, text=True, check=False)
    if said.returncode or said.stderr:
        failed.append(f"status {said.returncode}: {said.stderr}")
    return said.stdout


def expect(folder, *words):
    said = once(folder)
    failed.extend(f"no '{word}' in:\n{said}" for word in words if word not in said)


def wrote(folder, seconds_ago):
    for path in glob.glob(f"{folder}/*/run.h5.part"):
        os.utime(path, (time.time() - seconds_ago, time.time() - seconds_ago))


def on_terminal(folder, interrupt_after=None):
    """What watch writes to a terminal, and its exit status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(program, [program, "watch", folder])
    written, began = b"", time.time()
    while True:
        if interrupt_after and time.time() - began > interrupt_after:
            os.write(fd, b"\x03")
            interrupt_after = None
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        written += part
    os.close(fd)
    return written, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test(folder):
    alive = f"{folder}/alive"
    run = start(alive, LONG)
    if not wait_for(lambda: "running" in once(alive) if glob.glob(f"{alive}/*/run.h5.part") else False):
        failed.append("a live run is not called running")
    expect(alive, "/ 50,000,000", "1 run: 1 running")
    os.kill(run.pid, signal.SIGSTOP)
    wrote(alive, seconds_ago=120)
    expect(alive, "1 running")  # a process holds it, however quiet
    written, status = on_terminal(alive, interrupt_after=2.5)
    if status != 130:
        failed.append(f"after Ctrl-C the status is {status}")
    if written.count(b"1 running") < 2 or b"\033[3A" not in written:
        failed.append(f"lines are not written over each other: {written!r}")
    if HIDE in written:  # how it ends is not ours: Ctrl-C drops what the terminal has not shown yet
        failed.append(f"Ctrl-C leaves the terminal changed: {written[-80:]!r}")
    run.kill()
    run.wait()
    wrote(alive, seconds_ago=0)
    expect(alive, "1 running")  # nobody of this machine holds it, perhaps of another
    wrote(alive, seconds_ago=120)
    expect(alive, "dead", "1 run: 1 dead")

    ended = f"{folder}/ended"
    start(ended, SHORT).wait()
    expect(ended, "finished", "40 / 40", "1 run: 1 finished")
    written, status = on_terminal(ended)
    if status != 0 or b"1 finished" not in written:
        failed.append(f"watch of what has ended: status {status}, {written!r}")


with tempfile.TemporaryDirectory() as top:
    test(top)
print(*failed, sep="\n", end="\n" if failed else "")
sys.exit(bool(failed))
