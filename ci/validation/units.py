#!/usr/bin/env python3
"""units.py CRANESCOPE FOLDER [NAME...]: the state and preset of every unit file of the clean systems in FOLDER (NAME.root,
made by systems.sh) as the report has them, against `systemctl --root`, for the system's manager and for that of users.
Prints a row of a table for each system. Exit code 1 where one differs or is not listed."""
import json, pathlib, subprocess, sys, tempfile

LEFT_OUT = ("generator", "dbus", "system-sleep", "system-shutdown")


def theirs(root, scope):
    command = ["timeout", "60", "systemctl", f"--root={root}", scope, "list-unit-files", "--no-legend", "--no-pager", "--full", "--all"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name: (state, preset) for name, state, preset, *_ in (line.split() for line in lines if line)}


def main(tool, folder, *names):
    folder, bad = pathlib.Path(folder).resolve(), 0
    roots = [folder / f"{name}.root" for name in names] or sorted(folder.glob("*.root"))
    print("| system | unit files of the system | of users | that differ |\n|---|---|---|---|")
    for root in roots:
        if not any(os_init.exists() for os_init in (root / "usr/lib/systemd/systemd", root / "lib/systemd/systemd")):
            continue
        with tempfile.TemporaryDirectory() as work:
            report = pathlib.Path(work) / "r.json"
            subprocess.run([tool, "examine", root, "--case", f"{work}/c", "--json", report, "--quiet"], check=True, timeout=600)
            services = json.loads(report.read_text())["inventory"]["services"]
        counts, wrong = [], []
        for scope, manager in (("--system", "systemd"), ("--global", "systemd-user")):
            ours = {s["name"]: s for s in services if s["manager"] == manager and s["kind"] not in LEFT_OUT}
            units = theirs(root, scope)
            counts.append(len(units))
            for name, (state, preset) in units.items():
                own = ours.get(name)
                if own is None or own["state"] != state or (preset != "-" and own["preset"] and own["preset"] != preset):
                    wrong.append(f"{name}: {state} {preset}, {own and (own['state'], own['preset'])}")
        bad += len(wrong)
        print(f"| {root.stem} | {counts[0]} | {counts[1]} | {len(wrong)} {'; '.join(wrong[:5])} |", flush=True)
    sys.exit(bool(bad))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
