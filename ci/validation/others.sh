# Systems of other families, as far as Debian's packages carry them; sourced by systems.sh. What is real in each is said
# in docs/validation.md: programs, drivers and settings are those of Debian's packages, the databases of rpm are written by
# rpm, those of opkg and apk by the functions here.

# unpacked NAME PACKAGE...: unpacks packages without their scripts, and keeps what each brought as lists/PACKAGE beside it.
unpacked() {
  local name=$1 p; shift; rm -rf "$name.lists"; mkdir -p "$name.lists" "$name.new"
  mkdir -p "$name".new/{usr/bin,usr/sbin,usr/lib,etc,proc,sys,dev,run,tmp,root,var/log,var/lib,mnt,home}
  for p; do
    (cd "$name.lists" && apt-get download -qq "$p" >/dev/null 2>&1 && dpkg-deb -x "$p"_*.deb "../$name.new" &&
      dpkg-deb -f "$p"_*.deb Package Version Architecture >"$p.control" && dpkg-deb --fsys-tarfile "$p"_*.deb | tar -t | grep -v '/$' | sed 's#^\.##' >"$p.files" && rm -f "$p"_*.deb)
  done
  rm -rf "$name".new/usr/share/{doc,man,locale,lintian,bug}
}
# own NAME PACKAGE VERSION PATH...: a package of the maker's, of files that are there.
own() { local name=$1 p=$2; printf 'Package: %s\nVersion: %s\nArchitecture: amd64\n' "$p" "$3" >"$name.lists/$p.control"; printf '%s\n' "${@:4}" >"$name.lists/$p.files"; }
# applets NAME: BusyBox under its names.
applets() {
  local a bb=bin/busybox; [ -e "$1.new/$bb" ] || bb=usr/bin/busybox; mkdir -p "$1".new/{bin,sbin}
  for a in sh ash ls cat mount umount grep sed vi ps kill mkdir rm cp mv ln date dmesg login ping; do [ -e "$1.new/bin/$a" ] || ln -s "/$bb" "$1.new/bin/$a"; done
  for a in getty ifconfig route udhcpc syslogd klogd reboot halt; do [ -e "$1.new/sbin/$a" ] || ln -s "/$bb" "$1.new/sbin/$a"; done
}
accounts() { # NAME SHELL
  printf 'root:x:0:0:root:/root:%s\ndaemon:*:1:1:daemon:/var:/bin/false\nnobody:*:65534:65534:nobody:/var:/bin/false\n' "$2" >"$1.new/etc/passwd"
  printf 'root:*:19000:0:99999:7:::\ndaemon:*:0:0:99999:7:::\nnobody:*:0:0:99999:7:::\n' >"$1.new/etc/shadow"
  printf 'root:x:0:\ndaemon:x:1:\ndialout:x:20:\n' >"$1.new/etc/group"; chmod 640 "$1.new/etc/shadow"
}
listed_files() { while read -r f; do [ ! -e "$1.new$f" ] && [ ! -L "$1.new$f" ] || printf '%s\n' "$f"; done <"$1.lists/$2.files"; }
opkg_database() { # NAME HOME
  local c p; mkdir -p "$1.new$2/info"
  for c in "$1".lists/*.control; do
    p=$(basename "$c" .control); { cat "$c"; printf 'Status: install user installed\nInstalled-Time: 1700000000\n\n'; } >>"$1.new$2/status"
    cp "$c" "$1.new$2/info/$p.control"; listed_files "$1" "$p" >"$1.new$2/info/$p.list"
  done
  rm -rf "$1.lists"
}
apk_database() { # NAME
  mkdir -p "$1.new/lib/apk/db" "$1.new/etc/apk"; : >"$1.new/lib/apk/db/triggers"
  python3 - "$1.new" "$1.lists" <<'P'
import base64, hashlib, os, pathlib, sys
root, lists = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
out, world = [], []
for control in sorted(lists.glob("*.control")):
    fields = dict(line.split(": ", 1) for line in control.read_text().splitlines())
    world.append(fields["Package"])
    out += ["C:Q1" + base64.b64encode(hashlib.sha1(control.read_bytes()).digest()).decode(), "P:" + fields["Package"], "V:" + fields["Version"] + "-r0", "A:x86_64"]
    folders = {}
    for path in control.with_suffix(".files").read_text().splitlines():
        at = root / path.lstrip("/")
        if os.path.lexists(at):
            folders.setdefault(os.path.dirname(path).lstrip("/"), []).append(at)
    for folder, files in sorted(folders.items()):
        out.append("F:" + folder)
        for at in sorted(files):
            data = os.readlink(at).encode() if at.is_symlink() else at.read_bytes()
            mode = oct(os.lstat(at).st_mode & 0o7777)[2:]
            out += ["R:" + at.name] + ([] if at.is_symlink() or mode == "644" else [f"a:0:0:{mode}"]) + ["Z:Q1" + base64.b64encode(hashlib.sha1(data).digest()).decode()]
    out.append("")
(root / "lib/apk/db/installed").write_text("\n".join(out) + "\n")
(root / "etc/apk/world").write_text("\n".join(world) + "\n")
P
  rm -rf "$1.lists"
}
# maker_driver FROM TO NAME: a driver of a maker, out of tree and unsigned, from one of the kernel's own.
maker_driver() {
  mkdir -p "$(dirname "$2")"
  python3 - "$1" "$2" "$3" <<'P'
import lzma, pathlib, sys
data = pathlib.Path(sys.argv[1]).read_bytes()
data = lzma.decompress(data) if sys.argv[1].endswith(".xz") else data
mark = data.rfind(b"~Module signature appended~\n")
if mark > 0:
    data = data[:mark - 12 - int.from_bytes(data[mark - 4:mark], "big")]
old = pathlib.Path(sys.argv[1]).name.split(".")[0].replace("-", "_").encode()
new = sys.argv[3].encode().ljust(len(old), b"x")[:len(old)]
pathlib.Path(sys.argv[2]).write_bytes(data.replace(b"intree=Y\0", b"vendor=C\0").replace(b"\0name=" + old + b"\0", b"\0name=" + new + b"\0"))
P
}
modules_of() { local m; m=$(echo debian12.root/lib/modules/*); echo "$m"; }

# A reference distribution of Yocto: System V init, udev, opkg's database, a maker's own driver and its operating panel.
make_yocto() {
  local m k; unpacked yocto busybox-static sysvinit-core sysvinit-utils initscripts insserv kmod udev libudev1 libkmod2 ppp usb-modeswitch usb-modeswitch-data dropbear-bin libtomcrypt1 libtommath1 libc6 mosquitto iptables
  m=$(modules_of); k=$(basename "$m"); mkdir -p yocto.new/lib/modules; cp -a "$m" yocto.new/lib/modules/
  maker_driver "$(find "$m/" -name 'uio_pci_generic.ko*' -print -quit)" "yocto.new/lib/modules/$k/extra/crane_io.ko" crane_io
  applets yocto; accounts yocto /bin/sh; echo crane-panel >yocto.new/etc/hostname
  printf 'ID=poky\nNAME="Poky (Yocto Project Reference Distro)"\nVERSION="4.0.15 (kirkstone)"\nVERSION_ID=4.0.15\nPRETTY_NAME="Poky (Yocto Project Reference Distro) 4.0.15 (kirkstone)"\n' >yocto.new/etc/os-release
  printf 'id:5:initdefault:\nsi::sysinit:/etc/init.d/rcS\nl5:5:wait:/etc/init.d/rc 5\nS0:12345:respawn:/sbin/getty -L 115200 ttyS0 vt102\nca:12345:ctrlaltdel:/sbin/shutdown -t1 -a -r now\n' >yocto.new/etc/inittab
  printf '# /etc/modules: kernel modules to load at boot time.\ncrane_io\n' >yocto.new/etc/modules
  mkdir -p yocto.new/opt/crane/bin yocto.new/etc/rc5.d
  printf '#include <sys/socket.h>\n#include <netinet/in.h>\n#include <unistd.h>\n#include <fcntl.h>\n#include <string.h>\nint main(void) { int f = open("/dev/crane_io0", O_RDWR), s = socket(AF_INET, SOCK_STREAM, 0); struct sockaddr_in a; memset(&a, 0, sizeof a); a.sin_family = AF_INET; a.sin_port = htons(502); bind(s, (struct sockaddr *)&a, sizeof a); listen(s, 4); for (;;) { char b[260]; int c = accept(s, 0, 0); long n = read(c, b, sizeof b); if (n > 0 && write(f, b, n) == n) write(c, b, n); close(c); } }\n' | cc -x c -O1 -s -w -o yocto.new/opt/crane/bin/panel -
  printf '#!/bin/sh\n### BEGIN INIT INFO\n# Provides: panel\n# Required-Start: $network\n# Required-Stop:\n# Default-Start: 5\n# Default-Stop:\n### END INIT INFO\n[ "$1" = start ] && start-stop-daemon -S -b -x /opt/crane/bin/panel\n' >yocto.new/etc/init.d/panel; chmod 755 yocto.new/etc/init.d/panel
  ln -s ../init.d/panel yocto.new/etc/rc5.d/S90panel
  own yocto kernel-modules "$k" $(cd yocto.new && find "lib/modules/$k/kernel" -type f | sed 's#^#/#')
  own yocto kernel-module-crane-io 1.4 "/lib/modules/$k/extra/crane_io.ko"
  own yocto crane-panel 2.1 /opt/crane/bin/panel /etc/init.d/panel /etc/rc5.d/S90panel
  own yocto base-files 3.0.14 /etc/os-release /etc/hostname /etc/inittab /etc/modules /etc/passwd /etc/shadow /etc/group
  opkg_database yocto /var/lib/opkg
}
# A router of the kind of OpenWrt: procd's start scripts, UCI's settings, opkg's database, cellular drivers but no such link.
make_openwrt() {
  local m k s; unpacked openwrt busybox-static dropbear-bin libtomcrypt1 libtommath1 libc6 ppp usb-modeswitch usb-modeswitch-data nftables dnsmasq-base wpasupplicant iw
  m=$(modules_of); k=$(basename "$m"); mkdir -p "openwrt.new/lib/modules/$k" openwrt.new/etc/{config,init.d,rc.d,dropbear,hotplug.d/usb,modules.d,opkg}
  for s in option usb_wwan usbserial qmi_wwan cdc-wdm cdc_mbim cdc_ncm cdc_ether usbnet rndis_host ppp_generic ppp_async nf_nat nf_tables mac80211 cfg80211 ath9k ehci-hcd xhci-hcd; do
    find "$m/kernel" -name "$s.ko*" -exec cp {} "openwrt.new/lib/modules/$k/" \;
  done
  printf 'option\n' >openwrt.new/etc/modules.d/usb-serial-option; printf 'qmi_wwan\n' >openwrt.new/etc/modules.d/usb-net-qmi-wwan
  applets openwrt; accounts openwrt /bin/ash; echo OpenWrt >openwrt.new/etc/hostname
  printf 'NAME="OpenWrt"\nVERSION="22.03.5"\nID="openwrt"\nID_LIKE="lede openwrt"\nPRETTY_NAME="OpenWrt 22.03.5"\nVERSION_ID="22.03.5"\n' >openwrt.new/etc/os-release
  printf "DISTRIB_ID='OpenWrt'\nDISTRIB_RELEASE='22.03.5'\nDISTRIB_TARGET='x86/64'\n" >openwrt.new/etc/openwrt_release
  printf '::sysinit:/etc/init.d/rcS S boot\n::shutdown:/etc/init.d/rcS K shutdown\n::askconsole:/usr/libexec/login.sh\n' >openwrt.new/etc/inittab
  printf '#!/bin/sh\n. /lib/functions.sh\ninitscript=$1\naction=${2:-help}\nshift 2\nSTART=100\nSTOP=100\n. "$initscript"\n$action "$@"\n' >openwrt.new/etc/rc.common
  for s in 10boot:/sbin/kmodloader 19dnsmasq:/usr/sbin/dnsmasq 19dropbear:/usr/sbin/dropbear 20network:/sbin/netifd; do
    printf '#!/bin/sh /etc/rc.common\nSTART=%s\nUSE_PROCD=1\nstart_service() {\n\tprocd_open_instance\n\tprocd_set_param command %s\n\tprocd_set_param respawn\n\tprocd_close_instance\n}\n' "${s:0:2}" "${s#*:}" >"openwrt.new/etc/init.d/$(n=${s:2}; echo "${n%%:*}")"
    n=${s:2}; ln -s "../init.d/${n%%:*}" "openwrt.new/etc/rc.d/S${s:0:2}${n%%:*}"
  done
  chmod 755 openwrt.new/etc/init.d/* openwrt.new/etc/rc.common
  printf "config interface 'loopback'\n\toption device 'lo'\n\toption proto 'static'\n\toption ipaddr '127.0.0.1'\n\toption netmask '255.0.0.0'\n\nconfig interface 'lan'\n\toption device 'br-lan'\n\toption proto 'static'\n\toption ipaddr '192.168.1.1'\n\toption netmask '255.255.255.0'\n\nconfig interface 'wan'\n\toption device 'eth1'\n\toption proto 'dhcp'\n" >openwrt.new/etc/config/network
  printf "config defaults\n\toption input 'ACCEPT'\n\toption output 'ACCEPT'\n\toption forward 'REJECT'\n\nconfig zone\n\toption name 'lan'\n\tlist network 'lan'\n\toption input 'ACCEPT'\n\toption output 'ACCEPT'\n\toption forward 'ACCEPT'\n\nconfig zone\n\toption name 'wan'\n\tlist network 'wan'\n\toption input 'REJECT'\n\toption output 'ACCEPT'\n\toption forward 'REJECT'\n\toption masq '1'\n\toption mtu_fix '1'\n\nconfig forwarding\n\toption src 'lan'\n\toption dest 'wan'\n" >openwrt.new/etc/config/firewall
  printf "config dropbear\n\toption PasswordAuth 'on'\n\toption RootPasswordAuth 'on'\n\toption Port '22'\n" >openwrt.new/etc/config/dropbear
  printf "config system\n\toption hostname 'OpenWrt'\n\toption timezone 'UTC'\n\nconfig timeserver 'ntp'\n\tlist server '0.openwrt.pool.ntp.org'\n\tlist server '1.openwrt.pool.ntp.org'\n" >openwrt.new/etc/config/system
  own openwrt base-files 1494 $(cd openwrt.new && find etc -type f -o -type l | grep -v '^etc/\(ppp\|opkg\|usb_modeswitch\|dbus\)' | sed 's#^#/#')
  own openwrt kmods "$k" $(cd openwrt.new && find lib/modules -type f | sed 's#^#/#')
  opkg_database openwrt /usr/lib/opkg
}
# OpenRC, musl and BusyBox with a database of apk.
make_openrc() {
  local m k s; unpacked openrc busybox-static openrc librc1 libeinfo1 musl kmod libkmod2 libc6 dropbear-bin libtomcrypt1 libtommath1 ppp usb-modeswitch usb-modeswitch-data chrony nftables
  m=$(modules_of); k=$(basename "$m"); mkdir -p openrc.new/lib/modules; cp -a "$m" openrc.new/lib/modules/
  applets openrc; accounts openrc /bin/ash; echo crane-3 >openrc.new/etc/hostname
  printf 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.18.4\nPRETTY_NAME="Alpine Linux v3.18"\n' >openrc.new/etc/os-release
  printf '::sysinit:/sbin/openrc sysinit\n::sysinit:/sbin/openrc boot\n::wait:/sbin/openrc default\ntty1::respawn:/sbin/getty 38400 tty1\n::ctrlaltdel:/sbin/reboot\n::shutdown:/sbin/openrc shutdown\n' >openrc.new/etc/inittab
  mkdir -p openrc.new/etc/runlevels/{sysinit,boot,default,shutdown} openrc.new/etc/crontabs openrc.new/etc/periodic/daily
  printf '#!/sbin/openrc-run\ncommand=/usr/sbin/dropbear\ncommand_args="-p 22"\ndepend() { use net; }\n' >openrc.new/etc/init.d/dropbear; chmod 755 openrc.new/etc/init.d/dropbear
  for s in dropbear local; do [ ! -e "openrc.new/etc/init.d/$s" ] || ln -s "/etc/init.d/$s" "openrc.new/etc/runlevels/default/$s"; done
  for s in hostname modules sysctl localmount; do [ ! -e "openrc.new/etc/init.d/$s" ] || ln -s "/etc/init.d/$s" "openrc.new/etc/runlevels/boot/$s"; done
  own openrc linux-lts "$k" $(cd openrc.new && find "lib/modules/$k" -type f | sed 's#^#/#')
  own openrc dropbear-openrc 2022.83 /etc/init.d/dropbear
  own openrc alpine-baselayout 3.4.3 /etc/os-release /etc/hostname /etc/inittab /etc/passwd /etc/shadow /etc/group
  apk_database openrc
}
# Debian 12's files under a database that rpm wrote, package by package; no trace of dpkg is left.
make_rpm() {
  of_debian12 rpm; rm -rf rpm.build; mkdir -p rpm.build
  python3 - rpm.new rpm.build/all.spec <<'P'
import os, pathlib, re, sys
root, info = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1]) / "var/lib/dpkg/info"
merged = re.compile(r"^/(bin|sbin|lib|lib64|lib32|libx32)/")
spec = ["Name: all", "Version: 1", "Release: 1", "Summary: all", "License: various", "AutoReqProv: no", "%description", "All.", "%install"]
taken = set()
for block in (root / "var/lib/dpkg/status").read_text().split("\n\n"):
    field = dict(re.findall(r"(?m)^(Package|Version|Architecture|Status): (.*)$", block))
    if "installed" not in field.get("Status", ""):
        continue
    name = field["Package"]
    listed = next((f for f in (info / f"{name}.list", info / f"{name}:{field['Architecture']}.list") if f.exists()), None)
    if not listed:
        continue
    conf = {merged.sub(r"/usr/\1/", p) for p in re.findall(r"(?m)^ (/\S+) [0-9a-f]{32}$", block)}
    version, _, release = field["Version"].split(":")[-1].partition("-")
    spec += [f"%package -n {name}", f"Version: {re.sub('[^A-Za-z0-9.+~_]', '.', version)}", f"Release: {re.sub('[^A-Za-z0-9.+~_]', '.', release) or 1}", f"Summary: {name}", "AutoReqProv: no", f"%description -n {name}", name, f"%files -n {name}"]
    for path in listed.read_text().splitlines():
        path = merged.sub(r"/usr/\1/", path)
        at = root / path.lstrip("/")
        if path in taken or path == "/." or not os.path.lexists(at) or (at.is_dir() and not at.is_symlink()):
            continue
        taken.add(path)
        shown = "".join({"%": "%%", "[": "[[]", "]": "?", "\\": "?", " ": "?", '"': "?", "*": "[*]", "{": "?", "}": "?"}.get(c, c) for c in path)
        spec.append(("%config(noreplace) " if path in conf else "") + shown)
pathlib.Path(sys.argv[2]).write_text("\n".join(spec) + "\n")
P
  # rpmbuild takes its root away when it is done: it gets one of links.
  local top=$PWD/rpm.build; cp -al rpm.new "$top/root"
  rpmbuild -bb --target x86_64 --buildroot "$top/root" --define "_topdir $top" --define '__spec_install_pre %{___build_pre}' --define '__os_install_post %{nil}' \
    --define '__arch_install_post %{nil}' --define '_build_id_links none' --define 'debug_package %{nil}' --define '_binary_payload w.ufdio' --define '_unpackaged_files_terminate_build 0' \
    --define '__check_files %{nil}' "$top/all.spec" >rpm.log 2>&1
  rm -rf rpm.new/var/lib/{dpkg,apt} rpm.new/var/cache/apt rpm.new/etc/{dpkg,apt}; mkdir -p rpm.new/usr/lib/sysimage/rpm
  find "$top/RPMS" -name '*.rpm' -print0 | sort -z | xargs -0 rpm --root "$PWD/rpm.new" --dbpath /usr/lib/sysimage/rpm --define '_db_backend sqlite' --nosignature --justdb --nodeps --noscripts --notriggers --ignoreos --ignorearch --replacefiles -i >>rpm.log 2>&1
  printf 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=38\nPRETTY_NAME="Debian 12 under a database of rpm"\n' >rpm.new/etc/os-release
  rm -rf rpm.build
}
