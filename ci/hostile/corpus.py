#!/usr/bin/env python3
"""corpus.py PROGRAM FOLDER...: every file below the folders through `examine`.

Prints each run that is out of bounds, then the figures: crashes of the parent, deaths of workers, runs over ten
seconds, the highest memory, and images that are known to be damaged and are reported without a gap that says where.
Of these the format's own checker is asked: one that it finds whole is not damaged (what it was kept for is another
thing than damage). What it finds and no reader could tell, or need not, is listed here with the reason. What then
remains is without an explanation. Exit code 1 if a figure is out of bounds."""
import os, subprocess, sys, tempfile
from measure import examine, mib, placed

PACKED = {".gz": ["gzip", "-dc"], ".xz": ["xz", "-dc"], ".zst": ["zstd", "-dcq"], ".bz2": ["bzip2", "-dc"]}
# Folders whose images are damaged on purpose.
DAMAGED = ("ext_e2fsprogs", "fuzz-tests", "fsck-tests")
# Images in which the checker finds something, and the reader must not.
KNOWN = {
    "f_clear_orphan_file": "a mark of orphans with none in the file of orphans: how every mounted file system is found",
    "f_h_reindex": "hashes of names in directory indexes were made by another function; names are read without them",
    "f_detect_xfs": "a whole XFS: for the test of its checker it is no ext",
}
CHECKERS = (["e2fsck", "-fn"], ["btrfs", "check", "--readonly"])


def is_whole(image):
    """Whether the checker of the image's format finds nothing; a file system within an archive is not asked for."""
    for checker in CHECKERS:
        try:
            done = subprocess.run(["timeout", "120", *checker, image], capture_output=True)
        except OSError:
            continue
        if done.returncode == 0:
            return True
    return False


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
    count = crashes = deaths = slow = highest = damaged = explained = bare = 0
    for path in (f for folder in folders for f in files(folder)):
        with tempfile.TemporaryDirectory(prefix="cranescope-") as folder:
            image = unpacked(path, folder)
            run, report = examine(program, [image], "--second-reader")
            gaps = report["gaps"] if report else []
            is_damaged = any(f"/{name}/" in path for name in DAMAGED)
            is_bare = is_damaged and not any(map(placed, gaps))
            why = next((why for name, why in KNOWN.items() if f"/{name}/" in path), None)
            why = why or ("whole, says the checker of its format" if is_bare and is_whole(image) else None)
        count += 1
        highest = max(highest, run.peak)
        damaged += is_damaged
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
        if is_bare and why:
            explained += 1
            notes.append(f"no gap with a place: {why}")
        elif is_bare:
            bare += 1
            notes.append(f"no gap with a place (exit {run.code}, {len(gaps)} gaps, {run.said().strip()[:120]})")
        for note in notes:
            print(f"{path}: {note}", flush=True)
    print(f"{count} files: {crashes} crashes of the parent, {deaths} deaths of workers, {slow} runs over 10 s, "
          f"at most {mib(highest)}; of {damaged} images kept as damaged {damaged - explained - bare} have a gap that says "
          f"where, {explained} have none for a reason, {bare} have none")
    sys.exit(bool(crashes or deaths or slow or bare or highest > 1 << 30))


if __name__ == "__main__":
    main(*sys.argv[1:])
