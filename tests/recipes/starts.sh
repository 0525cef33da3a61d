#!/usr/bin/env bash
# Plants one way of starting a program after the other into a root: each with a program of its own. Writes beside it
# what is to be found: who starts it, when, whether it is enabled, the program, the file that says so, tab by tab.
# usage: starts.sh ROOT EXPECTED
set -euo pipefail
root=$(realpath "$1"); expected=$(realpath -m "$2"); : >"$expected"; cd "$root"
umask 022; mkdir -p opt/plants

expect() { printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>"$expected"; } # BY WHEN ENABLED PROGRAM FILE
program() { printf '#!/bin/sh\n: %s\n' "$1" >"opt/plants/$1"; chmod 755 "opt/plants/$1"; }
# A file that holds a command (PROGRAM in the text stands for it): NAME BY WHEN ENABLED FILE TEXT
says() {
  program "$1"; mkdir -p "$(dirname "./$5")"
  printf '%s\n' "${6//PROGRAM//opt/plants/$1}" >>"./$5"
  expect "$2" "$3" "$4" "/opt/plants/$1" "$5"
}
# A file that is run as it stands: BY WHEN ENABLED FILE
hook() { mkdir -p "$(dirname "./$4")"; printf '#!/bin/sh\n: hook\n' >"./$4"; chmod 755 "./$4"; expect "$1" "$2" "$3" "$4" "$4"; }
# A library: NAME BY WHEN FILE TEXT
library() {
  mkdir -p "$(dirname "./$4")"; cp "$(realpath usr/lib/x86_64-linux-gnu/libdl.so.2)" "opt/plants/$1"
  printf '%s\n' "${5//PROGRAM//opt/plants/$1}" >>"./$4"; expect "$2" "$3" true "/opt/plants/$1" "$4"
}
# A tool that must be there for a way to count.
tool() { mkdir -p usr/local/sbin; printf '#!/bin/sh\n' >"usr/local/sbin/$1"; chmod 755 "usr/local/sbin/$1"; }
want() { mkdir -p "./$1"; ln -sf "$2" "./$1/"; }

printf 'crane:x:1000:1000::/home/crane:/bin/bash\n' >>etc/passwd; mkdir -p home/crane
for t in supervisord monit runsvdir s6-svscan dinit openrc mdev snmpd smbd smsd gammu-smsd dnsmasq openvpn wg-quick acpid \
  auditd logrotate cloud-init dockerd podman lxc-start inetd xinetd keepalived nginx smartd; do tool "$t"; done

# systemd
unit=etc/systemd/system; wants=$unit/multi-user.target.wants
says unit systemd boot true "/$unit/p-unit.service" $'[Service]\nExecStart=PROGRAM -x "a b"'; want $wants /etc/systemd/system/p-unit.service
says dropin systemd boot true "/$unit/ssh.service.d/p.conf" $'[Service]\nExecStartPre=PROGRAM'
mkdir -p usr/local/lib/systemd/system
says local systemd boot true /usr/local/lib/systemd/system/p-local.service $'[Service]\nExecStart=/bin/sh -c "exec PROGRAM"'; want $wants /usr/local/lib/systemd/system/p-local.service
says timer systemd schedule true "/$unit/p-timer.service" $'[Service]\nExecStart=PROGRAM'
printf '[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n' >$unit/p-timer.timer; want $unit/timers.target.wants /etc/systemd/system/p-timer.timer
says path systemd event true "/$unit/p-path.service" $'[Service]\nExecStart=PROGRAM'
printf '[Path]\nPathExists=/tmp/x\n' >$unit/p-path.path; want $wants /etc/systemd/system/p-path.path
says socket systemd connection true "/$unit/p-socket.service" $'[Service]\nExecStart=PROGRAM'
printf '[Socket]\nListenStream=4711\n' >$unit/p-socket.socket; want $unit/sockets.target.wants /etc/systemd/system/p-socket.socket
says preload systemd boot true "/$unit/p-preload.service" $'[Service]\nEnvironment=LD_PRELOAD=PROGRAM\nExecStart=/bin/true'; want $wants /etc/systemd/system/p-preload.service
says users systemd-user login true /etc/systemd/user/p-users.service $'[Service]\nExecStart=PROGRAM'; want etc/systemd/user/default.target.wants /etc/systemd/user/p-users.service
own=home/crane/.config/systemd/user
says own systemd-user:crane boot true "/$own/p-own.service" $'[Service]\nExecStart=PROGRAM'; want $own/default.target.wants ../p-own.service
mkdir -p var/lib/systemd/linger; : >var/lib/systemd/linger/crane
hook systemd boot true /etc/systemd/system-generators/p-generator
hook systemd-user login true /etc/systemd/user-generators/p-generator
hook systemd boot true /etc/systemd/system-environment-generators/p-generator
hook systemd stop true /usr/lib/systemd/system-shutdown/p-shutdown
hook systemd sleep true /usr/lib/systemd/system-sleep/p-sleep
says bus dbus request true /usr/share/dbus-1/system-services/org.plant.Bus.service $'[D-BUS Service]\nName=org.plant.Bus\nExec=PROGRAM\nUser=root'
says busunit systemd request true "/$unit/p-bus.service" $'[Service]\nType=dbus\nExecStart=PROGRAM'
printf '[D-BUS Service]\nName=org.plant.Unit\nExec=/bin/false\nSystemdService=p-bus.service\n' >usr/share/dbus-1/system-services/org.plant.Unit.service
# Devices and kernel
says run udev device true /etc/udev/rules.d/99-p.rules 'ACTION=="add", SUBSYSTEM=="usb", RUN+="PROGRAM %k"'
says import udev device true /etc/udev/rules.d/99-q.rules 'SUBSYSTEM=="tty", IMPORT{program}="PROGRAM"'
says wants systemd device true "/$unit/p-device.service" $'[Service]\nExecStart=PROGRAM'
printf 'SUBSYSTEM=="net", TAG+="systemd", ENV{SYSTEMD_WANTS}="p-device.service"\n' >etc/udev/rules.d/98-p.rules
says module modprobe device true /etc/modprobe.d/p.conf 'install p_mod PROGRAM; /sbin/modprobe --ignore-install p_mod'
says crash kernel event true /etc/sysctl.d/p.conf 'kernel.core_pattern=|PROGRAM %p'
says format binfmt program true /etc/binfmt.d/p.conf ':plant:M::PLNT::PROGRAM:'
says grub kernel boot true /boot/grub/grub.cfg $'set default="0"\nmenuentry \'Debian\' {\n\tlinux /vmlinuz root=/dev/sda1 init=PROGRAM\n}'
says mdev mdev device true /etc/mdev.conf 'ttyUSB[0-9]* root:root 660 @PROGRAM'
hook hotplug device true /etc/hotplug.d/usb/20-p
hook initramfs boot true /etc/initramfs-tools/scripts/local-top/p
hook initramfs-tools build true /etc/initramfs-tools/hooks/p
hook "kernel package" package true /etc/kernel/postinst.d/zz-p
says key acpid event true /etc/acpi/events/p $'event=button.*\naction=PROGRAM'
hook pm-utils sleep true /etc/pm/sleep.d/p
hook modemmanager device true /etc/ModemManager/fcc-unlock.d/2c7c
says volume cryptsetup boot true /etc/crypttab 'data /dev/sda9 none luks,keyscript=PROGRAM'
says dkms dkms build true /usr/src/p-1/dkms.conf 'POST_INSTALL="PROGRAM"'
# Other inits
hook sysv boot true /etc/init.d/p-sysv; ln -s ../init.d/p-sysv etc/rc2.d/S99p-sysv
says rclocal rc.local boot true /etc/rc.local $'#!/bin/sh\nPROGRAM &\nexit 0'; chmod 755 etc/rc.local
says inittab inittab boot false /etc/inittab 'p:2345:respawn:PROGRAM'
hook uci-defaults boot true /etc/uci-defaults/99-p
mkdir -p etc/runlevels/default; hook sysv manual false /etc/init.d/p-openrc; ln -s /etc/init.d/p-openrc etc/runlevels/default/p-openrc; expect openrc boot true /etc/init.d/p-openrc /etc/init.d/p-openrc
hook runit boot true /etc/service/p/run
hook s6 boot true /etc/s6/p/run
says dinit dinit boot true /etc/dinit.d/p 'command = PROGRAM'
says upstart upstart boot false /etc/init/p.conf $'start on runlevel [2345]\nexec PROGRAM'
says supervisor supervisord boot true /etc/supervisor/conf.d/p.conf $'[program:p]\ncommand=PROGRAM'
says monit monit event true /etc/monit/conf.d/p $'check process p matching "p"\n  start program = "PROGRAM"'
says keepalived keepalived network true /etc/keepalived/keepalived.conf 'notify "PROGRAM"'
says inetd inetd connection true /etc/inetd.conf '4712 stream tcp nowait root PROGRAM p'
says xinetd xinetd connection true /etc/xinetd.d/p $'service p\n{\n port = 4713\n server = PROGRAM\n disable = no\n}'
# Time
says reboot cron boot true /etc/cron.d/p '@reboot root PROGRAM'
hook cron schedule true /etc/cron.daily/p
says crontab cron schedule true /var/spool/cron/crontabs/crane '*/5 * * * * PROGRAM'
says at at schedule false /var/spool/cron/atjobs/a0000a01c7a6c4 $'#!/bin/sh\n# atrun uid=0 gid=0\ncd / || {\n exit 1\n}\nPROGRAM'
says anacron anacron schedule false /etc/anacrontab '1 5 p PROGRAM'
says incron incron event false /etc/incron.d/p '/tmp IN_CREATE PROGRAM'
# Network
hook ifupdown network true /etc/network/if-up.d/p
says postup ifupdown network true /etc/network/interfaces.d/p $'auto p0\niface p0 inet manual\n  post-up PROGRAM'
hook networkmanager network true /etc/NetworkManager/dispatcher.d/99-p
hook networkd-dispatcher network true /etc/networkd-dispatcher/routable.d/p
hook pppd network true /etc/ppp/ip-up.d/p
says peer pppd network true /etc/ppp/peers/p $'pty "PROGRAM"\nnoauth'
hook dhclient network true /etc/dhcp/dhclient-exit-hooks.d/p
hook udhcpc network true /usr/share/udhcpc/default.script
says dns dnsmasq network true /etc/dnsmasq.d/p 'dhcp-script=PROGRAM'
says vpn openvpn network true /etc/openvpn/p.conf 'up PROGRAM'
says wg wg-quick network true /etc/wireguard/p.conf $'[Interface]\nPostUp = PROGRAM'
# Shells and logins
hook sh login true /etc/profile.d/p.sh
hook zsh shell true /etc/zsh/zshenv
hook fish shell true /home/crane/.config/fish/config.fish
hook bash shell true /home/crane/.bashrc
says prompt environment program true /home/crane/.profile 'export PROMPT_COMMAND=PROGRAM'
library p-env.so environment program /etc/environment 'LD_PRELOAD=PROGRAM'
library p-pre.so ld.so program /etc/ld.so.preload PROGRAM
says pamexec pam login true /etc/pam.d/sshd 'session optional pam_exec.so seteuid PROGRAM'
library p-pam.so pam login /etc/pam.d/login 'auth optional PROGRAM'
cp "$(realpath usr/lib/x86_64-linux-gnu/libdl.so.2)" usr/lib/x86_64-linux-gnu/libnss_plant.so.2
sed -i 's/^passwd:.*/passwd: files plant/' etc/nsswitch.conf; expect nss program true /usr/lib/x86_64-linux-gnu/libnss_plant.so.2 /etc/nsswitch.conf
hook pam_motd login true /etc/update-motd.d/99-p
hook sshd login true /etc/ssh/sshrc
hook sshd login true /home/crane/.ssh/rc
says force sshd login true /etc/ssh/sshd_config.d/p.conf $'Match User crane\n  ForceCommand PROGRAM'
says keys sshd login true /etc/ssh/sshd_config.d/q.conf $'AuthorizedKeysCommand PROGRAM\nAuthorizedKeysCommandUser nobody'
says key2 sshd login true /home/crane/.ssh/authorized_keys 'command="PROGRAM" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEUyRp0RM0Jz6ZXXVRGuyzNtZ2KUJvU5TyJvZyhsuK p'
says proxy ssh request true /home/crane/.ssh/config $'Host *\n  ProxyCommand PROGRAM'
hook polkitd request true /etc/polkit-1/rules.d/p.rules
# Graphical sessions
says xdg xdg-autostart login true /etc/xdg/autostart/p.desktop $'[Desktop Entry]\nType=Application\nExec=PROGRAM'
says xdgown xdg-autostart login true /home/crane/.config/autostart/p.desktop $'[Desktop Entry]\nExec=PROGRAM'
says greeter lightdm login true /etc/lightdm/lightdm.conf.d/p.conf $'[Seat:*]\ndisplay-setup-script=PROGRAM'
hook xsession login true /etc/X11/Xsession.d/99p
hook xsession login true /home/crane/.xsessionrc
hook gdm login true /etc/gdm3/PostLogin/Default
# Packages and logs
says apt apt package true /etc/apt/apt.conf.d/99p 'DPkg::Post-Invoke { "PROGRAM"; };'
says dpkg dpkg package true /etc/dpkg/dpkg.cfg.d/p 'post-invoke="PROGRAM"'
hook dpkg package true /var/lib/dpkg/info/plant.postinst
says rotate logrotate log true /etc/logrotate.d/p $'/var/log/p {\n  postrotate\n    PROGRAM\n  endscript\n}'
says omprog rsyslog log true /etc/rsyslog.d/p.conf 'action(type="omprog" binary="PROGRAM")'
says caret rsyslog log true /etc/rsyslog.d/q.conf 'auth.* ^PROGRAM'
says audit auditd log true /etc/audit/plugins.d/p.conf $'active = yes\npath = PROGRAM'
# Programs that run programs
says git git event true /srv/repo/.git/config $'[core]\n\tfsmonitor = PROGRAM'
hook git event true /srv/repo/.git/hooks/post-merge
hook python program true /usr/lib/python3/dist-packages/sitecustomize.py
printf 'import plant\n' >usr/lib/python3/dist-packages/p.pth; expect python program true /usr/lib/python3/dist-packages/p.pth /usr/lib/python3/dist-packages/p.pth
hook vim program true /home/crane/.vimrc
says snmp snmpd request true /etc/snmp/snmpd.conf 'extend p PROGRAM'
says smb samba request true /etc/samba/smb.conf $'[p]\n  root preexec = PROGRAM'
says alias mail request true /etc/aliases 'p: "|PROGRAM"'
says wrapper tcp-wrappers connection true /etc/hosts.allow 'ALL : ALL : spawn PROGRAM'
says sms smstools device true /etc/smsd.conf 'eventhandler = PROGRAM'
says gammu gammu device true /etc/gammu-smsdrc 'RunOnReceive = PROGRAM'
says smart smartd event true /etc/smartd.conf 'DEVICESCAN -m root -M exec PROGRAM'
hook "web server" request true /usr/lib/cgi-bin/p
hook "web server" request true /var/www/html/p.php
says cloud cloud-init boot true /etc/cloud/cloud.cfg.d/99_p.cfg $'runcmd:\n  - [ PROGRAM, a ]'
hook cloud-init boot true /var/lib/cloud/scripts/per-boot/p
# Containers and controllers
docker=var/lib/docker; mkdir -p $docker/{containers/p,image/overlay2/layerdb/mounts/p,overlay2/top/diff/bin}
printf '{"ID":"p","Name":"/p","Driver":"overlay2","Path":"/bin/agent","Args":[],"Config":{"Image":"p"}}' >$docker/containers/p/config.v2.json
printf '{"RestartPolicy":{"Name":"always"}}' >$docker/containers/p/hostconfig.json
printf top >$docker/image/overlay2/layerdb/mounts/p/mount-id; printf '#!/bin/sh\n' >$docker/overlay2/top/diff/bin/agent
expect docker container true /$docker/overlay2/top/diff/bin/agent /$docker/containers/p/config.v2.json
says quadlet quadlet boot true /etc/containers/systemd/p.container $'[Container]\nImage=p\n[Service]\nExecStartPre=PROGRAM\n[Install]\nWantedBy=multi-user.target'
mkdir -p var/lib/lxc/p/rootfs/sbin; printf '#!/bin/sh\n' >var/lib/lxc/p/rootfs/sbin/init
says lxchook lxc container true /var/lib/lxc/p/config $'lxc.start.auto = 1\nlxc.rootfs.path = dir:/var/lib/lxc/p/rootfs\nlxc.hook.start = PROGRAM'
expect lxc boot true /var/lib/lxc/p/rootfs/sbin/init /var/lib/lxc/p/config
says plc codesys request true /etc/CODESYSControl_User.cfg $'[SysProcess]\nCommand.0=PROGRAM'
says flow node-red event true /home/crane/.node-red/flows.json '[{"id":"a","type":"exec","command":"PROGRAM"}]'
