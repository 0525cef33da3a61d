#!/usr/bin/env python3
"""corpus.py PROGRAM FOLDER...: every file below the folders through `examine`.

Prints each run that is out of bounds, then the figures: crashes of the parent, deaths of workers, runs over ten
seconds, the highest memory, and images that are known to be damaged and are reported without a gap that says where.
Exit code 1 if a figure is out of bounds."""
import os, subprocess, sys, tempfile
from measure import examine, mib, placed

PACKED = {".gz": ["gzip", "-dc"], ".xz": ["xz", "-dc"], ".zst": ["zstd", "-dcq"], ".bz2": ["bzip2", "-dc"]}
# Folders whose images are damaged on purpose.
DAMAGED = ("ext_e2fsprogs", "fuzz-tests", "fsck-tests")


def files(folder):
    for at, folders, names in sorted(os.walk(folder)):
        folders.sort()
        yield from (os.path.join(at, name) for name in sorted(names))


def unpacked(path, folder):
    """The file itself, unpacked where it is packed for storing only."""
    stem, suffix = os.path.splitext(path)
    if suffix not in PACKED:
        return path
    target = os.path.join(folder, os.path.basename(stem))
    with open(target, "wb") as out:
        done = subprocess.run([*PACKED[suffix], path], stdout=out, stderr=subprocess.DEVNULL)
    return target if done.returncode == 0 and os.path.getsize(target) else path


def main(program, *folders):
    count = crashes = deaths = slow = highest = bare = 0
    for path in (f for folder in folders for f in files(folder)):
        with tempfile.TemporaryDirectory(prefix="cranescope-") as folder:
            image = unpacked(path, folder)
            run, report = examine(program, [image], "--second-reader")
        count += 1
        highest = max(highest, run.peak)
        gaps = report["gaps"] if report else []
        notes = []
        if run.code not in (0, 3) or "panicked" in run.said() or len(run.said().splitlines()) > 1:
            crashes += 1
            notes.append(f"exit {run.code}: {run.said()[:200]!r}")
        died = [g["what"] for g in gaps if "worker died" in g["what"] or "workers died" in g["what"]]
        deaths += len(died)
        notes += died
        # Of the processor, where those are fewer: others may use it as well.
        seconds = run.seconds if run.hung else min(run.seconds, run.cpu)
        if seconds > 10:
            slow += 1
            notes.append(f"{seconds:.1f} s")
        if run.peak > 1 << 30:
            notes.append(mib(run.peak))
        if any(f"/{name}/" in path for name in DAMAGED) and not any(map(placed, gaps)):
            bare += 1
            notes.append(f"no gap with a place (exit {run.code}, {len(gaps)} gaps, {run.said().strip()[:120]})")
        for note in notes:
            print(f"{path}: {note}", flush=True)
    print(f"{count} files: {crashes} crashes of the parent, {deaths} deaths of workers, {slow} runs over 10 s, "
          f"at most {mib(highest)}, {bare} damaged images without a gap that says where")
    sys.exit(bool(crashes or deaths or slow or highest > 1 << 30))


if __name__ == "__main__":
    main(*sys.argv[1:])
