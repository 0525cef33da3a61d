#!/usr/bin/env python3
"""fuzz.py FOLDER [TARGET...]: every fuzz target under libFuzzer until its coverage stands still.

FOLDER is outside of the repository and keeps, for each target, `corpus/TARGET` (it grows from run to run), `found/TARGET`
(inputs that brought it down) and `state/TARGET.json` (its figures, from which `fuzz.py FOLDER --table` writes the table
of docs/fuzzing.md). Without names all targets are run, the riskiest first; with `--again` also those that stood still.

A target stands still when no edge was new for QUIET seconds (60), for at least as many executions as it took to reach
the last new one, and for LEAST (10,000) at least. One that does not within CAP seconds (300) is cut off, and the table says so: run again, it goes
on from its corpus. Afterwards its corpus is reduced to what its coverage needs. One process runs at a time, at `nice 10`.

The binary is built as docs/fuzzing.md says; BINARY names another. Exit code 1 where anything was found."""
import json, os, re, shutil, signal, subprocess, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BINARY = os.environ.get("BINARY", f"{ROOT}/fuzz/target/x86_64-unknown-linux-gnu/release/any")
QUIET = float(os.environ.get("QUIET", "60"))
LEAST = int(os.environ.get("LEAST", "10000"))
CAP = float(os.environ.get("CAP", "300"))
# What brings a target down ends its process; after so many the rest of its time is not worth it.
DOWN = 5
RISKIEST = ["ext", "ntfs", "lvm2", "e01", "elf", "journal", "report", "order"]
OPTIONS = ["-rss_limit_mb=2048", "-malloc_limit_mb=1024", "-timeout=20", "-print_final_stats=1",
           "-use_value_profile=0", "-entropic_scale_per_exec_time=1", "-detect_leaks=0", "-close_fd_mask=0"]
LINE = re.compile(r"^#(\d+)\s+(\w+)\s+cov: (\d+) ft: (\d+) corp: (\d+)/\S+.*?exec/s: (\d+)")
TOTAL = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
STOPPED = re.compile(r"ERROR: libFuzzer: (.*)|panicked at (.*)|==\d+== (ERROR.*)")


def targets():
    with open(f"{ROOT}/fuzz/src/targets/mod.rs") as f:
        names = re.findall(r'^    (?:files|container|volume|packed|bytes)\("([\w-]+)"', f.read(), re.M)
    return RISKIEST + [n for n in names if n not in RISKIEST]


def longest(corpus):
    """Inputs are as long as 64 KiB, or as at least half of the corpus needs: what is cut is no seed."""
    sizes = sorted(os.path.getsize(f"{corpus}/{name}") for name in os.listdir(corpus))
    return f"-max_len={max(65536, sizes[len(sizes) // 2] if sizes else 0)}"


class Life:
    """One process of the fuzzer, watched while it writes."""

    def __init__(self, target, folder, corpus, found, seed):
        env = dict(os.environ, CRANESCOPE_TARGET=target, RUST_BACKTRACE="0")
        command = ["nice", "-n", "10", BINARY, corpus, f"-artifact_prefix={found}/", f"-seed={seed}", longest(corpus), *OPTIONS]
        self.start = time.monotonic()
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env,
                                        cwd=folder, errors="replace")
        self.first = self.cov = self.features = self.executions = self.rate = 0
        self.ready = self.new_at = None
        self.new_after = self.new_time = 0
        self.total, self.said, self.grown = None, [], []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            m = LINE.match(line)
            if m:
                now = time.monotonic()
                count, event, cov, ft, _, rate = m.groups()
                self.executions, self.rate, self.features = int(count), int(rate), int(ft)
                if event == "INITED":
                    self.ready, self.first, self.cov = now, int(cov), int(cov)
                    self.new_at, self.new_after = now, self.executions
                    self.grown.append((self.executions, self.cov))
                elif int(cov) > self.cov:
                    self.cov, self.new_at, self.new_after = int(cov), now, self.executions
                    self.grown.append((self.executions, self.cov))
                self.seen_at = now
            elif m := TOTAL.search(line):
                self.total = int(m[1])
            elif m := STOPPED.search(line):
                self.said.append(next(filter(None, m.groups())).strip()[:200])

    def count(self):
        """Executions so far: those that were told last, and what the time since then is worth."""
        if self.total is not None:
            return self.total
        return self.executions + int(self.rate * (time.monotonic() - self.seen_at)) if self.ready else self.executions

    def is_still(self, before, earlier):
        """`before` executions were made by earlier processes, `earlier` of them before their last new edge."""
        if not self.ready or time.monotonic() - self.new_at < QUIET:
            return False
        reached = before + self.new_after if self.cov > self.first else max(earlier, self.new_after)
        return before + self.count() - reached >= max(reached, LEAST)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()


def minimise(folder, target, corpus):
    small = f"{corpus}.small"
    shutil.rmtree(small, ignore_errors=True)
    os.makedirs(small)
    env = dict(os.environ, CRANESCOPE_TARGET=target)
    try:
        done = subprocess.run(["nice", "-n", "10", BINARY, "-merge=1", longest(corpus), "-rss_limit_mb=2048", "-timeout=20", small, corpus], env=env,
                              cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=180)
        is_done = done.returncode == 0 and os.listdir(small)
    except subprocess.TimeoutExpired:
        is_done = False
    if is_done:
        shutil.rmtree(corpus)
        os.rename(small, corpus)
    else:
        shutil.rmtree(small)


def run(folder, target):
    corpus, found = f"{folder}/corpus/{target}", f"{folder}/found/{target}"
    for at in (corpus, found, f"{folder}/state"):
        os.makedirs(at, exist_ok=True)
    kept = f"{ROOT}/tests/seeds/{target}"
    for name in os.listdir(kept) if os.path.isdir(kept) else []:
        shutil.copy(f"{kept}/{name}", f"{corpus}/kept-{name}")
    state = {"executions": 0, "seconds": 0.0, "first": None, "cov": 0, "features": 0, "last_new": 0.0, "reached": 0,
             "found": [], "still": False, "grown": []}
    if os.path.exists(f"{folder}/state/{target}.json"):
        with open(f"{folder}/state/{target}.json") as f:
            state.update(json.load(f))
    state["still"] = False
    begun, downs, spent = time.monotonic(), 0, 0.0
    while not state["still"] and spent < CAP and downs < DOWN:
        life = Life(target, folder, corpus, found, 1 + downs + state["executions"] % 1000)
        while life.process.poll() is None and time.monotonic() - begun < CAP:
            time.sleep(0.5)
            if life.is_still(state["executions"], state["reached"]):
                break
        was_down = life.process.poll() is not None
        life.stop()
        spent = time.monotonic() - begun
        ran = time.monotonic() - (life.ready or life.start)
        if state["first"] is None and life.ready:
            state["first"] = life.first
        # What the seeds and the corpus reach is no news; a smaller corpus may have lost a flickering edge.
        if life.cov > state["cov"]:
            if state["cov"] and life.cov == life.first:
                state["last_new"] = max(state["last_new"], 0.0)
            else:
                state["last_new"] = state["seconds"] + (life.new_at or life.start) - (life.ready or life.start)
                state["reached"] = state["executions"] + life.new_after
        state["grown"] += [(state["executions"] + n, cov) for n, cov in life.grown if cov > state["cov"]]
        state["cov"] = max(state["cov"], life.cov)
        state["features"] = max(state["features"], life.features)
        if not was_down and life.ready:
            quiet = state["seconds"] + ran - state["last_new"]
            made = state["executions"] + life.count()
            state["still"] = quiet >= QUIET and made - state["reached"] >= max(state["reached"], LEAST)
        state["executions"] += life.count()
        state["seconds"] += ran
        if was_down:
            downs += 1
            state["found"].append(life.said[0] if life.said else f"exit {life.process.returncode}")
        with open(f"{folder}/state/{target}.json", "w") as f:
            json.dump(state, f)
    minimise(folder, target, corpus)
    print(row(target, state), flush=True)
    for what in sorted(set(state["found"])):
        print(f"    {target}: {what}", flush=True)
    return bool(state["found"])


def row(target, state):
    seconds = state["seconds"]
    rate = state["executions"] / seconds if seconds else 0
    # What the second half of the executions brought; figures of runs that did not keep it have none.
    half = [cov for n, cov in state.get("grown", []) if n <= state["executions"] / 2]
    late = f"{state['cov'] - half[-1]:,}" if half else ""
    end = "still" if state["still"] else "down" if len(state["found"]) >= DOWN else "cut off"
    return (f"| {target} | {state['executions']:,} | {rate:,.0f} | {state['first'] or 0:,} | {state['cov']:,} | "
            f"{late} | {state['features']:,} | {state['last_new']:.0f} of {seconds:.0f} s | {end} | {len(state['found'])} |")


def main(folder, *names):
    folder = os.path.abspath(folder)
    again = "--again" in names
    head = ("| target | executions | a second | edges at the seeds | at the end | of these in the second half | features | "
            "last new edge | end | found |\n|---|---|---|---|---|---|---|---|---|---|")
    if "--table" in names:
        print(head)
        for target in targets():
            if os.path.exists(f"{folder}/state/{target}.json"):
                with open(f"{folder}/state/{target}.json") as f:
                    print(row(target, json.load(f)))
        return
    names = [n for n in names if not n.startswith("--")]
    unknown = [n for n in names if n not in targets()]
    if unknown:
        sys.exit(f"no targets: {unknown}")
    print(head, flush=True)
    bad = 0
    for target in names or targets():
        state = f"{folder}/state/{target}.json"
        if not names and not again and os.path.exists(state):
            with open(state) as f:
                if json.load(f)["still"]:
                    continue
        bad += run(folder, target)
    sys.exit(bool(bad))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
