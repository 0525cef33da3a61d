#!/usr/bin/env bash
# Makes clean systems of real packages, as folders NAME.root, for matrix.py. Needs root, mirrors of Debian and Ubuntu,
# debootstrap, mmdebstrap, rpm, cc. UBUNTU: the Ubuntu mirror, and UBUNTU_KEYRING its keyring, without which signatures are not checked.
# usage: systems.sh FOLDER [NAME]...    without names: all of them. What is there is kept.
set -euo pipefail
self=$(realpath "$0")
out=$(realpath -m "$1"); shift; mkdir -p "$out"; cd "$out"
base=linux-image-amd64,systemd-sysv,libpam-systemd,dbus,udev,openssh-server,network-manager,modemmanager,usb-modeswitch,ppp,rsyslog,cron,ifupdown,sudo,kmod,ca-certificates,locales,tzdata,unattended-upgrades,chrony,nftables,logrotate
server=$base,nginx,mosquitto,snmpd,samba,docker.io,openvpn,wireguard-tools,fail2ban,ufw,postfix,mariadb-server,nodejs,python3-pip,tmux,vim,git,avahi-daemon,bluez,wpasupplicant,smartmontools
desktop=$base,xserver-xorg-core,xfce4,lightdm,network-manager-gnome,firefox-esr,cups,pulseaudio,blueman,xterm
# What Ubuntu's server installs, and the modem's side of a crane's PC. Some names stand for packages that debootstrap does not see are needed.
ubuntu=ubuntu-minimal,ubuntu-standard,ubuntu-server,systemd-sysv,libpam-systemd,dbus,udev,openssh-server,network-manager,modemmanager,usb-modeswitch,ppp,rsyslog,cron,netplan.io,cloud-init,snapd,dbus-user-session,unattended-upgrades,ufw,landscape-common,apparmor,sudo,fwupd,open-iscsi,multipath-tools,mdadm,lvm2,udisks2,locales,tzdata,ca-certificates,chrony,logrotate,nftables,python3-cffi-backend
. "$(dirname "$self")/others.sh"

from_packages() { # NAME SUITE PACKAGES
  mkdir -p "debs-$2"
  debootstrap --cache-dir="$PWD/debs-$2" --variant=minbase --include="$3" "$2" "$1.new" >"$1.log" 2>&1
  rm -rf "$1.new"/var/cache/apt/archives/*.deb "$1.new"/var/lib/apt/lists/* "$1.new"/dev/*
  echo crane-pc-7 >"$1.new/etc/hostname"; rm -f "$1.new/etc/resolv.conf"
}
from_ubuntu() { # NAME SUITE PACKAGES
  local keys=--no-check-gpg; [ -z "${UBUNTU_KEYRING:-}" ] || keys=--keyring=$UBUNTU_KEYRING
  # The script of all of Ubuntu's releases, whether or not debootstrap knows this one by name.
  debootstrap "$keys" --components=main,universe --variant=minbase --include="$3" "$2" "$1.new" "${UBUNTU:-http://archive.ubuntu.com/ubuntu}" gutsy >"$1.log" 2>&1
  rm -rf "$1.new"/var/cache/apt/archives/*.deb "$1.new"/var/lib/apt/lists/* "$1.new"/dev/*
  echo crane-pc-7 >"$1.new/etc/hostname"; rm -f "$1.new/etc/resolv.conf"
}
from_apt() { # NAME SUITE PACKAGES: by apt's own resolver, where debootstrap's does not see through alternatives
  mmdebstrap --mode=root --variant=minbase --include="$3" "$2" "$1.new" >"$1.log" 2>&1
  rm -rf "$1.new"/var/cache/apt/archives/*.deb "$1.new"/var/lib/apt/lists/* "$1.new"/dev/*
  echo crane-pc-7 >"$1.new/etc/hostname"; rm -f "$1.new/etc/resolv.conf"
}
of_debian12() { bash "$self" "$out" debian12; mkdir -p "$1.new"; cp -a debian12.root/. "$1.new/"; }
log() { # NAME: a plain log of the days on standard input
  while read -r day; do
    printf '%sT06:00:01.000001+00:00 crane-pc-7 systemd[1]: Started Daily apt download activities.\n%sT06:00:02.000001+00:00 crane-pc-7 kernel: [    1.000001] Linux version 6.1.0-37-amd64\n' "$day" "$day"
  done >>"$1.new/var/log/syslog"
}
make() {
  case $1 in
    debian11) from_packages debian11 bullseye "$base" ;;
    debian12) from_packages debian12 bookworm "$base" ;;
    debian13) from_packages debian13 trixie "$base" ;;
    server12) from_packages server12 bookworm "$server" ;;
    desktop12) from_apt desktop12 bookworm "$desktop" ;;
    ubuntu2204) from_ubuntu ubuntu2204 jammy "$ubuntu,linux-image-5.15.0-25-generic,linux-modules-extra-5.15.0-25-generic,ubuntu-advantage-tools" ;;
    ubuntu2404) from_ubuntu ubuntu2404 noble "$ubuntu,linux-image-6.8.0-31-generic,linux-modules-extra-6.8.0-31-generic,ubuntu-pro-client" ;;
    yocto | openwrt | openrc | rpm) [ "$1" = rpm ] || bash "$self" "$out" debian12; "make_$1" ;;
    off) # A PC without power for eight weeks.
      of_debian12 off; printf '%s\n' 2026-01-0{1..9} 2026-03-1{0..9} | log off ;;
    reset) # Its clock fell back to the first day of the firmware.
      of_debian12 reset; printf '%s\n' 2026-01-0{1..9} 2019-01-01 2019-01-02 2026-01-1{1..5} | log reset ;;
    clone) # Made from another machine's disk: journal and keys of that one.
      of_debian12 clone; echo 0123456789abcdef0123456789abcdef >clone.new/etc/machine-id
      mkdir -p clone.new/var/log/journal/fedcba9876543210fedcba9876543210 ;;
    gateway) # BusyBox alone: no package database, the distribution's own kernel modules, a server for keys.
      bash "$self" "$out" debian12; mkdir -p gateway.new/{bin,sbin,usr/bin,usr/sbin,etc/init.d,lib,var/log,root,tmp,proc,sys,dev}
      for p in busybox-static dropbear-bin libtomcrypt1 libtommath1; do
        (cd "$out" && apt-get download -qq "$p" >/dev/null 2>&1 && dpkg-deb -x "$p"_*.deb gateway.new && rm -f "$p"_*.deb)
      done
      for a in sh ash init ls cat mount udhcpc ifconfig syslogd telnet wget vi grep crond; do ln -sf busybox "gateway.new/bin/$a"; done
      ln -sf ../bin/busybox gateway.new/sbin/init; cp -a debian12.root/lib/modules gateway.new/lib/ 2>/dev/null || cp -a debian12.root/usr/lib/modules gateway.new/lib/
      rm -rf gateway.new/usr/share/doc
      printf 'root:x:0:0:root:/root:/bin/sh\n' >gateway.new/etc/passwd; printf 'root:*:19000::::::\n' >gateway.new/etc/shadow
      printf 'root:x:0:\n' >gateway.new/etc/group; echo gateway-3 >gateway.new/etc/hostname
      printf 'NAME="Poky (Yocto Project Reference Distro)"\nID=poky\nVERSION_ID=4.0\n' >gateway.new/etc/os-release
      printf '::sysinit:/etc/init.d/rcS\n::respawn:/sbin/getty 115200 ttyS0\n::ctrlaltdel:/sbin/reboot\n' >gateway.new/etc/inittab
      printf '#!/bin/sh\nmount -a\nifconfig eth0 192.168.1.3 up\nsyslogd\n' >gateway.new/etc/init.d/rcS; chmod 755 gateway.new/etc/init.d/rcS ;;
    *) echo "no system is called $1" >&2; exit 2 ;;
  esac
  mv "$1.new" "$1.root"; echo "$1"
}
[ $# -gt 0 ] || set -- debian11 debian12 debian13 server12 desktop12 ubuntu2204 ubuntu2404 off reset clone gateway yocto openwrt openrc rpm
for name; do [ -e "$name.root" ] || { rm -rf "$name.new"; make "$name"; }; done
