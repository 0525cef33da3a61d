"""Runs the program and measures what a run costs: what the scripts beside this share."""
import json, os, re, subprocess, tempfile, threading, time

TICKS = os.sysconf("SC_CLK_TCK")


class Run:
    """One run: exit code, output, seconds, processor seconds of all its processes, and the sum of their resident
    memory at its highest."""

    def __init__(self, command, timeout=120, **more):
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        self.peak, self.used = 0, {}
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(child.pid, over))
        watcher.start()
        try:
            self.out, self.err = child.communicate(timeout=timeout)
            self.hung = False
        except subprocess.TimeoutExpired:
            child.kill()
            self.out, self.err = child.communicate()
            self.hung = True
        over.set()
        watcher.join()
        self.code = child.returncode
        self.seconds = time.monotonic() - start
        self.cpu = sum(self.used.values()) / TICKS

    def _watch(self, pid, over):
        while not over.wait(0.005):
            all_of_it = tree(pid)
            self.peak = max(self.peak, sum(map(resident, all_of_it)))
            self.used.update({one: ticks(one) or self.used.get(one, 0) for one in all_of_it})

    def said(self):
        return self.err.decode(errors="replace")


def tree(pid):
    """A process and all below it."""
    found = [pid]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children") as f:
                    found += map(int, f.read().split())
        except OSError:
            pass
    return found


def resident(pid):
    try:
        with open(f"/proc/{pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) << 10
    except (OSError, TypeError):
        return 0


def ticks(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
    except (OSError, ValueError):
        return 0


def examine(program, images, *more, timeout=120, env=None):
    """An examination into a case that is not kept: the run, and the report or None."""
    with tempfile.TemporaryDirectory(prefix="cranescope-") as folder:
        report = os.path.join(folder, "r.json")
        case = os.path.join(folder, "c.cranecase")
        command = [program, "examine", *images, "--case", case, "--json", report, "--quiet", "--as-of", "2026-01-01"]
        run = Run([*command, *more], timeout=timeout, env=env)
        try:
            with open(report) as f:
                return run, json.load(f)
        except (OSError, ValueError):
            return run, None


def placed(gap):
    """Whether a gap says where: more than the image alone."""
    return any(key in gap["where"] for key in ("volume", "filesystem", "path", "inode", "offset"))


def mib(n):
    return f"{n / (1 << 20):.0f} MiB"
