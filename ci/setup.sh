#!/usr/bin/env bash
# What the tests need beyond Rust, on Debian 12: file-system tools and independent readers as oracles,
# debootstrap for a real system, libraries for the window. Installs only what is missing.
set -euo pipefail
packages="build-essential fuse3 rsync debootstrap dosfstools mtools exfatprogs exfat-fuse squashfs-tools xfsprogs btrfs-progs attr e2fsprogs ewf-tools fdisk gdisk parted
  sleuthkit dislocker openssh-client golang-go qemu-utils ntfs-3g wimtools strace
  systemd-journal-remote mtd-utils u-boot-tools libubootenv-tool device-tree-compiler xorriso genisoimage 7zip erofs-utils f2fs-tools
  cpio minisign hashdeep mtree-netbsd aide libarchive-tools rpm pacman-package-manager zip lzop lz4 zstd bzip2 xz-utils binutils python3
  nftables iptables sudo openssh-server kmod initramfs-tools-core libhivex-bin
  fonts-droid-fallback libgl1 libegl1 libxkbcommon0 libxkbcommon-x11-0 libwayland-client0 xvfb"
missing=""
for p in $packages; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q "ok installed" || missing="$missing $p"
done
[ -z "$missing" ] && exit 0
sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q
# shellcheck disable=SC2086
$sudo apt-get install -y -q --no-install-recommends $missing
