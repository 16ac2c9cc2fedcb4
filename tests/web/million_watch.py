#!/usr/bin/env python3
"""`trialmill watch` of a large study in tmux: `million_watch.py TRIALMILL STUDY`. Prints seconds to the first screen,
to the answer to each key, and the processor time while nothing happens, for docs/dashboard.md. Not a test."""
import os
import subprocess
import sys
import tempfile
import time
program, study = sys.argv[1:3]
sock = os.path.join(tempfile.mkdtemp(), "tmux")
tmux = lambda *a: subprocess.run(["tmux", "-f", "/dev/null", "-S", sock, *a], capture_output=True, text=True).stdout
began = time.monotonic()
tmux("new-session", "-d", "-x", "160", "-y", "45", f"exec {program} watch {study}")
def until(test):
    while not test(tmux("capture-pane", "-p")): time.sleep(0.005)
until(lambda s: "success" in s)
print(f"first screen after {time.monotonic() - began:.2f} s")
pid = tmux("list-panes", "-F", "#{pane_pid}").strip()
took = []
for key in ["Down", "Down", "PageDown", "e", "c", "l", "Up", "Home", "PageDown", "Down"]:
    before = tmux("capture-pane", "-p")
    began = time.monotonic()
    tmux("send-keys", key)
    while tmux("capture-pane", "-p") == before and time.monotonic() - began < 5: time.sleep(0.002)
    took.append((time.monotonic() - began) * 1000)
print("keys:", " ".join(f"{x:.0f}" for x in took), "ms; the slowest", f"{max(took):.0f}")
ticks = lambda: sum(map(int, open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")
a = ticks(); time.sleep(10); print(f"idle: {(ticks() - a) * 10:.1f} % of one core; memory", [l.split()[1] for l in open(f"/proc/{pid}/status") if "VmRSS" in l][0], "kB")
for size in [("60", "12"), ("200", "60")]:
    began = time.monotonic()
    tmux("resize-window", "-x", size[0], "-y", size[1])
    until(lambda s: "newest" in s and max(map(len, s.splitlines())) <= int(size[0]))
    print("resized to", size, f"{(time.monotonic()-began)*1000:.0f} ms")
tmux("kill-server")
