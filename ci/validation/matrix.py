#!/usr/bin/env python3
"""Plants each change of plants/*.toml into each clean system, examines the result, and holds it against what has to be
found. Needs root (overlay mounts), a Debian mirror, debootstrap, go, cc.

usage: matrix.py CRANESCOPE FOLDER [--systems a,b] [--plants x,y] [--share N] [--held | --tune] [--table FILE]

FOLDER keeps the systems (systems.sh makes them) and what is fetched and built. A third of the plants, by a hash of
their id, is held out: its misses are counted, and never looked at when rules are made. --share N takes every Nth plant.
Exit code 0: all found, nothing else at high; 1: not."""
import argparse, collections, hashlib, json, os, pathlib, re, subprocess, sys, tomllib

HERE = pathlib.Path(__file__).resolve().parent
ORDER = ["info", "low", "medium", "high", "critical"]


def is_held(name):
    return hashlib.sha256(name.encode()).digest()[0] % 3 == 0


def plants():
    found = []
    for file in sorted((HERE / "plants").glob("*.toml")):
        found += tomllib.loads(file.read_text())["plant"]
    return found


def examine(tool, root, work):
    report = work / "report.json"
    command = [tool, "examine", str(root), "--case", str(work / "case"), "--overwrite", "--json", str(report), "--quiet", "--as-of", "2027-01-01"]
    done = subprocess.run(["timeout", "300", *command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{root}: exit {done.returncode}: {done.stderr}")
    return json.loads(report.read_text())


def key(finding):
    return (finding["id"], finding["severity"], finding.get("rung") or "", finding["observed"])


class Merged:
    """An overlay over a clean system, unmounted whatever happens."""

    def __init__(self, lower, work):
        self.at, self.work, self.lower = work / "merged", work, lower

    def __enter__(self):
        # What a run that was stopped left behind.
        subprocess.run(["timeout", "60", "umount", "-l", self.at], capture_output=True)
        subprocess.run(["rm", "-rf", self.work / "upper", self.work / "inner"])
        for name in ("merged", "upper", "inner"):
            (self.work / name).mkdir(exist_ok=True)
        options = f"lowerdir={self.lower},upperdir={self.work}/upper,workdir={self.work}/inner"
        subprocess.run(["timeout", "60", "mount", "-t", "overlay", "overlay", "-o", options, self.at], check=True)
        return self.at

    def __exit__(self, *_):
        if subprocess.run(["timeout", "60", "umount", self.at]).returncode:
            subprocess.run(["timeout", "60", "umount", "-l", self.at])
        subprocess.run(["rm", "-rf", self.work / "upper", self.work / "inner"])


def judge(plant, clean, report):
    """(found, times, others at high): what is new beside the clean system."""
    new = [f for f in report["findings"] if key(f) not in clean]
    least = ORDER.index(plant["severity"])

    def fits(f):
        text = json.dumps(f, ensure_ascii=False)
        return (f["rule"] in plant["rules"] and (f.get("rung") or "") in plant["rungs"]
                and ORDER.index(f["severity"]) >= least and all(word in text for word in plant["holds"]))

    hits = [f for f in new if fits(f)]
    others = [f for f in new if not fits(f) and ORDER.index(f["severity"]) >= 3]
    return hits, others, new


def main():
    a = argparse.ArgumentParser()
    a.add_argument("tool"), a.add_argument("folder")
    a.add_argument("--systems"), a.add_argument("--plants"), a.add_argument("--share", type=int, default=1)
    a.add_argument("--held", action="store_true"), a.add_argument("--tune", action="store_true"), a.add_argument("--table")
    a = a.parse_args()
    folder = pathlib.Path(a.folder).resolve()
    names = a.systems.split(",") if a.systems else sorted(p.name[:-5] for p in folder.glob("*.root"))
    chosen = [p for i, p in enumerate(plants()) if i % a.share == 0]
    chosen = [p for p in chosen if not a.plants or p["id"] in a.plants.split(",")]
    chosen = [p for p in chosen if not (a.held and not is_held(p["id"])) and not (a.tune and is_held(p["id"]))]
    work, kit = folder / "work", folder / "kit"
    work.mkdir(exist_ok=True), kit.mkdir(exist_ok=True)
    rows, alarms = [], []
    for name in names:
        root = folder / f"{name}.root"
        report = examine(a.tool, root, work)
        counts = collections.Counter(f["severity"] for f in report["findings"])
        alarms.append((name, counts, [f for f in report["findings"] if ORDER.index(f["severity"]) >= 2]))
        clean = {key(f) for f in report["findings"]}
        for plant in chosen:
            with Merged(root, work) as at:
                script = f'. "{HERE}/lib.sh"\n{plant["script"]}'
                done = subprocess.run(["bash", "-c", script], cwd=at, env={**os.environ, "KIT": str(kit)}, capture_output=True, text=True)
                if done.returncode:
                    print(f"{name:10} {plant['id']:22} NOT PLANTED: {done.stderr.strip()[-200:]}", flush=True)
                    rows.append((name, plant, None, [], []))
                    continue
                hits, others, new = judge(plant, clean, examine(a.tool, at, work))
            rows.append((name, plant, hits, others, new))
            word = "found" if len(hits) == 1 else "MISSED" if not hits else f"{len(hits)} TIMES"
            more = f"; also at high: {[f['rule'] + ' ' + f['subject'] for f in others]}" if others else ""
            seen = "" if len(hits) == 1 else f"; new: {[(f['rule'], f['severity'], f.get('rung'), f['subject']) for f in new]}"
            print(f"{name:10} {plant['id']:22} {word}{more}{'' if is_held(plant['id']) and not a.held else seen}", flush=True)
    text = table(rows, alarms)
    print(text)
    if a.table:
        pathlib.Path(a.table).write_text(text)
    bad = any(h is None or len(h) != 1 or o for _, _, h, o, _ in rows) or any(c["high"] + c["critical"] for _, c, _ in alarms)
    sys.exit(1 if bad else 0)


def table(rows, alarms):
    out = ["## Clean systems", "", "| system | high and above | medium | low | info | what stands at medium or above |", "|---|---|---|---|---|---|"]
    for name, counts, told in alarms:
        what = "; ".join(sorted(f"{f['rule']}: {f['subject']}" for f in told)) or "nothing"
        out.append(f"| {name} | {counts['high'] + counts['critical']} | {counts['medium']} | {counts['low']} | {counts['info']} | {re.sub('[|]', '/', what)} |")
    out += ["", "## Plants", "", "| part | category | planted | found once | found more than once | missed | other findings at high |", "|---|---|---|---|---|---|---|"]
    groups = collections.defaultdict(list)
    for row in rows:
        groups[("held out" if is_held(row[1]["id"]) else "in use", row[1]["category"])].append(row)
    for (part, category), of in sorted(groups.items()):
        planted = [r for r in of if r[2] is not None]
        once, many = sum(len(r[2]) == 1 for r in planted), sum(len(r[2]) > 1 for r in planted)
        out.append(f"| {part} | {category} | {len(planted)} | {once} | {many} | {len(planted) - once - many} | {sum(len(r[3]) for r in planted)} |")
    out += ["", "By rung, of what was found:", "", "| category | rung | plants |", "|---|---|---|"]
    rungs = collections.Counter((r[1]["category"], r[2][0].get("rung") or "none") for r in rows if r[2])
    out += [f"| {category} | {rung} | {n} |" for (category, rung), n in sorted(rungs.items())]
    missed = sorted({(r[1]["id"], r[1]["what"]) for r in rows if r[2] is not None and not r[2] and not is_held(r[1]["id"])})
    out += ["", "Missed, in use: " + ("none" if not missed else "; ".join(f"{i} ({w})" for i, w in missed)), ""]
    return "\n".join(out)


if __name__ == "__main__":
    main()
