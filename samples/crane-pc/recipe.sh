#!/usr/bin/env bash
# Makes disk.img: a small crane PC with a modem link that was used and a tunnel client under another name.
# Needs mke2fs, sfdisk, go, fls. The image is stored; this is how it was made.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; r=$work/root
mkdir -p "$r"/{etc/{ppp/peers,chatscripts,network,systemd/system/multi-user.target.wants,NetworkManager/system-connections},usr/{bin,sbin,lib/systemd/system},var/{log,lib/dpkg/info},root/.ssh,opt/岸桥,proc,sys,tmp}
cd "$r"; ln -s usr/bin bin; ln -s usr/sbin sbin; ln -s usr/lib lib
printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n' >etc/os-release
echo crane-pc-3 >etc/hostname; echo 3d1f0c52a7be4d0c9a2fd8f5a1c0b7e4 >etc/machine-id; echo Etc/UTC >etc/timezone
printf 'root:x:0:0:root:/root:/bin/sh\noperator:x:1000:1000::/home/operator:/bin/sh\n' >etc/passwd
printf 'root:*:19700:0:99999:7:::\noperator:$y$j9T$x$y:19700:0:99999:7:::\n' >etc/shadow
echo '/dev/sda1 / ext4 errors=remount-ro 0 1' >etc/fstab
printf '#!/bin/true\n' >usr/bin/sh; chmod 755 usr/bin/sh
printf 'Package: dash\nStatus: install ok installed\nPriority: required\nSection: shells\nMaintainer: Nobody <nobody@example.org>\nArchitecture: amd64\nVersion: 0.5.12-2\nDescription: shell\n\n' >var/lib/dpkg/status
printf '/.\n/usr\n/usr/bin\n/usr/bin/sh\n' >var/lib/dpkg/info/dash.list
echo "$(md5sum <usr/bin/sh | cut -d' ' -f1)  usr/bin/sh" >var/lib/dpkg/info/dash.md5sums
# The link: peer, chat script, brought up by ifupdown, and the log of its use.
printf '/dev/ttyUSB3\n115200\nconnect "/usr/sbin/chat -v -f /etc/chatscripts/wan"\nnoauth\ndefaultroute\npersist\n' >etc/ppp/peers/wan
printf "ABORT BUSY\n'' ATZ\nOK 'AT+CGDCONT=1,\"IP\",\"m2m.example\"'\nOK ATD*99***1#\nCONNECT ''\n" >etc/chatscripts/wan
printf 'auto lo\niface lo inet loopback\nauto wan\niface wan inet ppp\n    provider wan\n' >etc/network/interfaces
cat >var/log/syslog <<'L'
2026-03-02T06:11:40.120001+00:00 crane-pc-3 kernel: [   12.100001] usb 1-2: New USB device found, idVendor=2c7c, idProduct=0125, bcdDevice= 3.18
2026-03-02T06:11:40.120002+00:00 crane-pc-3 kernel: [   12.100002] usb 1-2: Product: EC25-EUX
2026-03-02T06:11:41.000002+00:00 crane-pc-3 kernel: [   13.000002] usb 1-2: GSM modem (1-port) converter now attached to ttyUSB3
2026-03-02T06:12:01.500001+00:00 crane-pc-3 pppd[611]: Connect: ppp0 <--> /dev/ttyUSB3
2026-03-02T06:12:03.500001+00:00 crane-pc-3 pppd[611]: local  IP address 10.64.12.9
L
# The tunnel: the stand-in of tests/recipes/tunnel, with the module path of a known client.
(cd "$here/../../tests/recipes/tunnel" && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$r/usr/lib/systemd/systemd-netwatchd" ./cmd/frpc)
printf 'serverAddr = "203.0.113.77"\nserverPort = 7000\n[[proxies]]\nname = "plc"\ntype = "tcp"\nlocalIP = "192.168.1.10"\nlocalPort = 102\nremotePort = 60102\n' >etc/netwatch.toml
printf '[Unit]\nDescription=Network Watch Daemon\n[Service]\nExecStart=/usr/lib/systemd/systemd-netwatchd -c /etc/netwatch.toml\n[Install]\nWantedBy=multi-user.target\n' >usr/lib/systemd/system/systemd-netwatchd.service
ln -s /usr/lib/systemd/system/systemd-netwatchd.service etc/systemd/system/multi-user.target.wants/
printf '[Unit]\nDescription=Multi-User System\nAllowIsolate=yes\n' >usr/lib/systemd/system/multi-user.target
ln -s /usr/lib/systemd/system/multi-user.target etc/systemd/system/default.target
printf '#!/bin/true\n' >usr/lib/systemd/systemd; chmod 755 usr/lib/systemd/systemd; ln -s /usr/lib/systemd/systemd usr/sbin/init
echo 'manual' >opt/岸桥/说明书.txt
find "$r" -exec touch -h -d 2026-03-01T00:00:00Z {} +
cd "$here"; rm -f disk.img; truncate -s 9M disk.img
printf 'label: dos\nlabel-id: 0x43524e45\nstart=2048, type=83\n' | sfdisk -q disk.img
mke2fs -q -F -t ext4 -b 1024 -O ^has_journal -U 6a1ee7a0-7b1c-4f8e-9f43-0d1c5c8f1f00 -E offset=1048576,hash_seed=6a1ee7a0-7b1c-4f8e-9f43-0d1c5c8f1f00 -d "$r" disk.img 8191
fls -r -p -o 2048 disk.img | LC_ALL=C sort >oracle.txt
