#!/usr/bin/env python3
"""Plants each change of plants/*.toml into each clean system, examines the result, and holds it against what has to be
found. Needs root (overlay mounts), a Debian mirror, debootstrap, go, cc.

usage: matrix.py CRANESCOPE FOLDER [--systems a,b] [--plants x,y] [--share N] [--held | --tune | --clean] [--record]
       matrix.py --report FOLDER FILE

FOLDER keeps the systems (systems.sh makes them), what is fetched and built, and with --record what each system gave, as
results/NAME.json; --report writes the tables of all that is kept there. A third of the plants, by a hash of their id, is
held out: its misses are counted, and never looked at when rules are made, so nothing that is printed names them, and what
is kept does so by a hash. --share N takes every Nth plant, --clean none. A plant with `needs` is planted only where one of those paths is
there.
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


def plant_one(name, root, plant, clean, a, work, kit):
    """What became of one plant: a row that can be kept."""
    row = {"key": hashlib.sha256(plant["id"].encode()).hexdigest()[:16], "held": is_held(plant["id"]), "category": plant["category"], "asked": "/".join(r or "none" for r in plant["rungs"])}
    say = lambda text: None if row["held"] and not a.held else print(f"{name:10} {plant['id']:22} {text}", flush=True)
    if not row["held"]:
        row |= {"id": plant["id"], "what": plant["what"]}
    with Merged(root, work) as at:
        if "needs" in plant and not any(os.path.lexists(at / path) for path in plant["needs"]):
            say(f"does not fit: no {' or '.join(plant['needs'])}")
            return row | {"state": "does not fit"}
        script = f'. "{HERE}/lib.sh"\n{plant["script"]}'
        done = subprocess.run(["bash", "-c", script], cwd=at, env={**os.environ, "KIT": str(kit)}, capture_output=True, text=True)
        if done.returncode:
            say(f"NOT PLANTED: {done.stderr.strip()[-200:]}")
            return row | {"state": "not planted"}
        hits, others, new = judge(plant, clean, examine(a.tool, at, work))
    word = "found" if len(hits) == 1 else "MISSED" if not hits else f"{len(hits)} TIMES"
    more = f"; also at high: {[f['rule'] + ' ' + f['subject'] for f in others]}" if others else ""
    seen = "" if len(hits) == 1 else f"; new: {[(f['rule'], f['severity'], f.get('rung'), f['subject']) for f in new]}"
    say(word + more + seen)
    state = "found" if len(hits) == 1 else "missed" if not hits else "more than once"
    return row | {"state": state, "rung": (hits[0].get("rung") or "none") if hits else "", "others": len(others)}


def main():
    if sys.argv[1:2] == ["--report"]:
        kept = sorted((pathlib.Path(sys.argv[2]) / "results").glob("*.json"))
        pathlib.Path(sys.argv[3]).write_text(table([json.loads(k.read_text()) for k in kept]))
        return
    a = argparse.ArgumentParser()
    a.add_argument("tool"), a.add_argument("folder")
    a.add_argument("--systems"), a.add_argument("--plants"), a.add_argument("--share", type=int, default=1)
    for flag in ("held", "tune", "clean", "record"):
        a.add_argument(f"--{flag}", action="store_true")
    a = a.parse_args()
    folder = pathlib.Path(a.folder).resolve()
    names = a.systems.split(",") if a.systems else sorted(p.name[:-5] for p in folder.glob("*.root"))
    chosen = [] if a.clean else [p for i, p in enumerate(plants()) if i % a.share == 0]
    chosen = [p for p in chosen if not a.plants or p["id"] in a.plants.split(",")]
    chosen = [p for p in chosen if not (a.held and not is_held(p["id"])) and not (a.tune and is_held(p["id"]))]
    kit = folder / "kit"
    kit.mkdir(exist_ok=True)
    results = []
    for name in names:
        root, work = (folder / f"{name}.root").resolve(), folder / "work" / name
        work.mkdir(parents=True, exist_ok=True)
        findings = examine(a.tool, root, work)["findings"]
        counts = collections.Counter(f["severity"] for f in findings)
        told = sorted(f"{f['rule']}: {f['subject']}" for f in findings if ORDER.index(f["severity"]) >= 2)
        print(f"{name:10} clean: {dict(counts)} {told}", flush=True)
        clean = {key(f) for f in findings}
        rows = [plant_one(name, root, p, clean, a, work, kit) for p in chosen]
        subprocess.run(["rm", "-rf", work])
        results.append({"system": name, "clean": counts, "told": told, "rows": rows})
        if a.record:
            keep(folder / "results" / f"{name}.json", results[-1])
    print(table(results))
    good = lambda r: r["state"] == "does not fit" or (r["state"] == "found" and not r["others"])
    bad = any(r["clean"]["high"] + r["clean"]["critical"] or not all(map(good, r["rows"])) for r in results)
    sys.exit(1 if bad else 0)


def keep(file, result):
    """Keeps what a system gave; plants that were not run again stay as they were, those that are no more go."""
    file.parent.mkdir(exist_ok=True)
    rows = {row["key"]: row for row in json.loads(file.read_text())["rows"]} if file.exists() else {}
    rows |= {row["key"]: row for row in result["rows"]}
    known = {hashlib.sha256(p["id"].encode()).hexdigest()[:16] for p in plants()}
    file.write_text(json.dumps({**result, "rows": [r for k, r in sorted(rows.items()) if k in known]}, indent=1))


RUNGS = ["installed", "altered", "configured", "enabled", "seen", "used", "none"]


def table(results):
    out = ["## Clean systems", "", "| system | high and above | medium | low | info | what stands at medium or above |", "|---|---|---|---|---|---|"]
    for r in results:
        c = collections.Counter(r["clean"])
        what = re.sub("[|]", "/", "; ".join(r["told"])) or "nothing"
        out.append(f"| {r['system']} | {c['high'] + c['critical']} | {c['medium']} | {c['low']} | {c['info']} | {what} |")
    out += ["", "## Plants", "", "| system | part | planted | found once | found more than once | missed | other findings at high | does not fit | not planted |",
            "|---|---|---|---|---|---|---|---|---|"]
    rows = [(r["system"], row) for r in results for row in r["rows"]]
    out += counted(rows, lambda system, row: (system, part(row)))
    out += ["", "By category, over all systems:", "", "| category | part | planted | found once | found more than once | missed | other findings at high | does not fit | not planted |",
            "|---|---|---|---|---|---|---|---|---|"]
    out += counted(rows, lambda _, row: (row["category"], part(row)))
    out += ["", "## Confusion", "", "Each plant on each system by the rungs at which it has to stand (any of those named) and the one at which it was found.", "",
            "| category | has to stand at | " + " | ".join(RUNGS) + " | missed |", "|---|---|" + "---|" * (len(RUNGS) + 1)]
    found = collections.defaultdict(collections.Counter)
    for _, row in rows:
        if row["state"] in ("found", "more than once", "missed"):
            found[(row["category"], row["asked"])][row["rung"] or "missed"] += 1
    out += [f"| {c} | {asked} | " + " | ".join(str(n[r] or "") for r in [*RUNGS, "missed"]) + " |" for (c, asked), n in sorted(found.items())]
    for title, state in (("Missed", "missed"), ("Found more than once", "more than once"), ("Do not fit", "does not fit"), ("Could not be planted", "not planted")):
        of = collections.defaultdict(set)
        for system, row in rows:
            if row["state"] == state and not row["held"]:
                of[(row["id"], row["what"])].add(system)
        out += ["", f"{title}, in use: " + ("; ".join(f"{i} ({w}): {', '.join(sorted(s))}" for (i, w), s in sorted(of.items())) or "none")]
    return "\n".join([*out, ""])


def part(row):
    return "held out" if row["held"] else "in use"


def counted(rows, group):
    """Lines of a table: how often each state came, by group."""
    groups = collections.defaultdict(list)
    for system, row in rows:
        groups[group(system, row)].append(row)
    for at, of in sorted(groups.items()):
        n = collections.Counter(row["state"] for row in of)
        planted, others = n["found"] + n["more than once"] + n["missed"], sum(row.get("others", 0) for row in of)
        yield "| " + " | ".join(map(str, [*at, planted, n["found"], n["more than once"], n["missed"], others, n["does not fit"], n["not planted"]])) + " |"


if __name__ == "__main__":
    main()
