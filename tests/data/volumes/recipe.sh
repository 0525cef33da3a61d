#!/bin/bash
udevadm settle
fill() { mkfs.ext4 -q -F -E nodiscard -b 1024 -O ^has_journal -N 32 -U clear $1; mount $1 /mnt; mkdir -p /mnt/d; for i in $(seq 1 ${3:-5}); do seq $((i*1000)) $((i*1000+i*2500)) > /mnt/d/f$i; done; echo "$2" > /mnt/name; sync; (cd /mnt; find . -type f | sort | xargs sha256sum) > /oracle/$2.files; umount /mnt; sync; }
whole() { blockdev --flushbufs $1; sha256sum $1 | cut -d' ' -f1 > /oracle/$2.sha256; blockdev --getsize64 $1 >> /oracle/$2.sha256; }
pvcreate -y /dev/vdb /dev/vdc /dev/vdd
vgcreate -s 256k crane-vg /dev/vdb /dev/vdc /dev/vdd
lvcreate -y -Zn --type raid1 -m1 -L 2M -n mir crane-vg /dev/vdb /dev/vdc
lvcreate -y --type raid5 -i 2 -I 16k -L 2M -n r5 crane-vg
lvcreate -y -L 1M -n long crane-vg /dev/vdb
lvcreate -y -L 2M -i 2 -I 16k -n striped crane-vg /dev/vdb /dev/vdc
lvextend -y -L 2M crane-vg/long /dev/vdd
lvcreate -y --type mirror -m1 --mirrorlog core -L 1M -n oldmir crane-vg /dev/vdb /dev/vdc
lvcreate -y --type thin-pool -L 4M -n pool crane-vg
lvcreate -y -V 20M -n thin1 --thinpool pool crane-vg
lvcreate -y -L 1M -n orig crane-vg
udevadm settle
for v in mir r5 long striped oldmir thin1 orig; do fill /dev/crane-vg/$v $v 3; done
lvcreate -y -s -n thinsnap crane-vg/thin1
lvcreate -y -s -L 1M -n oldsnap crane-vg/orig
lvchange -y -ay -K crane-vg/thinsnap
for v in thin1 orig; do mount /dev/crane-vg/$v /mnt; echo later > /mnt/later; rm /mnt/d/f2; seq 77 3333 > /mnt/d/f3; sync; (cd /mnt; find . -type f | sort | xargs sha256sum) > /oracle/$v.files; umount /mnt; done
for v in thinsnap oldsnap; do mount -o ro,noload /dev/crane-vg/$v /mnt; (cd /mnt; find . -type f | sort | xargs sha256sum) > /oracle/$v.files; umount /mnt; done
sync; sleep 2
for v in mir r5 long striped oldmir thin1 thinsnap orig oldsnap; do whole /dev/crane-vg/$v $v; done
dmsetup table > /oracle/dmtable
vgcfgbackup -f /oracle/vg.txt crane-vg
vgchange -an crane-vg
# md
udevadm settle
mk() { # name part args
  n=$1; p=$2; shift 2; devs=""; for d in $DISKS; do devs="$devs /dev/vd$d$p"; done
  yes | mdadm --create /dev/md/$n --run --assume-clean --homehost=crane $* $devs; mdadm --wait /dev/md/$n; }
DISKS="e f" mk linear 1 -l linear -n 2
DISKS="e f g" mk raid0 2 -l 0 -n 3 -c 16
DISKS="e f" mk raid1 3 -l 1 -n 2 -e 0.90
DISKS="e f g h" mk raid10 4 -l 10 -n 4 -c 16
DISKS="e f g h" mk raid5 5 -l 5 -n 4 -c 16
DISKS="e f g h" mk raid6 6 -l 6 -n 4 -c 16 
DISKS="e f g" mk raid4 7 -l 4 -n 3 -c 16 -e 1.0
DISKS="e f g" mk far 8 -l 10 -n 3 -p f2 -c 16 -e 1.1
DISKS="e f g" mk offset 9 -l 10 -n 3 -p o2 -c 16
DISKS="e f g h" mk raid5ra 10 -l 5 -n 4 -c 16 -p right-asymmetric -e 0.90
udevadm settle
for n in linear raid0 raid1 raid10 raid5 raid6 raid4 far offset raid5ra; do fill /dev/md/$n md-$n; echo check > /sys/block/$(basename $(readlink -f /dev/md/$n))/md/sync_action; done
sync; sleep 3
for n in linear raid0 raid1 raid10 raid5 raid6 raid4 far offset raid5ra; do whole /dev/md/$n md-$n; mdadm --detail /dev/md/$n > /oracle/md-$n.detail; mdadm --stop /dev/md/$n; done
mdadm --examine /dev/vde? /dev/vdf? > /oracle/examine
