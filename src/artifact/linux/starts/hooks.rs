//! Folders and files whose content is run as it stands, when something happens: network up and down, leases, packages,
//! kernels, sleep, keys and buttons, images of the initial system, logins.
//!
//! One table: where, who starts it, when, and which names and modes count. Sources: run-parts(8), interfaces(5),
//! NetworkManager-dispatcher(8), networkd-dispatcher(8), pppd(8), dhclient-script(8), dhcpcd-run-hooks(8),
//! initramfs-tools(7), dracut.modules(7), kernel-install(8), pm-action(8), update-motd(5), OpenWrt's hotplug and preinit.
use super::{Way, glob, is_executable};
use crate::artifact::{Artifact, Os, Out};
use crate::evidence::{Entry, System};
use std::collections::BTreeSet;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.hooks",
    about: "Scripts in folders whose content is run on events of network, packages, kernels, power, logins and devices",
    os: Os::Linux,
    reads: READS,
    references: &[
        "run-parts(8)",
        "interfaces(5)",
        "NetworkManager-dispatcher(8)",
        "networkd-dispatcher(8)",
        "pppd(8)",
        "dhclient-script(8)",
        "initramfs-tools(7)",
        "kernel-install(8)",
    ],
    extract,
};

/// What must hold for a file of the folder to be run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Executable, and a name of letters, digits, `_` and `-`, as run-parts has it.
    Parts,
    /// Executable.
    Executable,
    /// Read by a shell: any mode.
    Sourced,
}
use Takes::{Executable, Parts, Sourced};

struct Hook {
    at: &'static str,
    by: &'static str,
    when: &'static str,
    trigger: &'static str,
    takes: Takes,
}

macro_rules! hooks {
    ($($at:literal $by:literal $when:literal $trigger:literal $takes:ident,)*) => {
        const HOOKS: &[Hook] = &[$(Hook { at: $at, by: $by, when: $when, trigger: $trigger, takes: $takes }),*];
        const READS: &[&str] = &[$($at),*];
    };
}

#[rustfmt::skip] // one line a place
hooks! {
    // Network
    "/etc/network/if-{pre-up,up,down,post-down}.d/*" "ifupdown" "network" "an interface goes up or down" Parts,
    "/etc/NetworkManager/dispatcher.d/*" "networkmanager" "network" "a connection changes" Executable,
    "/etc/NetworkManager/dispatcher.d/{pre-up,pre-down,no-wait}.d/*" "networkmanager" "network" "a connection changes" Executable,
    "/usr/lib/NetworkManager/dispatcher.d/**" "networkmanager" "network" "a connection changes" Executable,
    "/etc/NetworkManager/VPN/*" "networkmanager" "network" "names the program of a VPN" Sourced,
    "/etc/networkd-dispatcher/*.d/*" "networkd-dispatcher" "network" "a link changes its state" Executable,
    "/usr/lib/networkd-dispatcher/*.d/*" "networkd-dispatcher" "network" "a link changes its state" Executable,
    "/etc/ppp/ip{,v6}-{pre-up,up,down}.d/*" "pppd" "network" "a ppp link goes up or down" Parts,
    "/etc/ppp/ip{,v6}-{pre-up,up,down}" "pppd" "network" "a ppp link goes up or down" Executable,
    "/etc/ppp/ip{,v6}-{up,down}.local" "pppd" "network" "a ppp link goes up or down" Executable,
    "/etc/ppp/auth-{up,down}" "pppd" "network" "a ppp peer is authenticated" Executable,
    "/etc/dhcp/dhclient-{enter,exit}-hooks" "dhclient" "network" "a lease changes" Sourced,
    "/etc/dhcp/dhclient-{enter,exit}-hooks.d/*" "dhclient" "network" "a lease changes" Sourced,
    "/etc/dhcp/dhclient.d/*.sh" "dhclient" "network" "a lease changes" Sourced,
    "/etc/dhclient-{enter,exit}-hooks" "dhclient" "network" "a lease changes" Sourced,
    "/{usr/lib,lib,usr/libexec}/dhcpcd/dhcpcd-hooks/*" "dhcpcd" "network" "a lease changes" Sourced,
    "/{etc,usr/lib,lib,usr/libexec}/dhcpcd.{enter,exit}-hook" "dhcpcd" "network" "a lease changes" Sourced,
    "/{etc,usr/share}/udhcpc/*.script" "udhcpc" "network" "a lease changes" Executable,
    "/etc/udhcpc/*.d/*" "udhcpc" "network" "a lease changes" Executable,
    "/etc/udhcpc.user" "udhcpc" "network" "a lease changes" Sourced,
    "/etc/udhcpc.user.d/*" "udhcpc" "network" "a lease changes" Sourced,
    "/etc/resolvconf/update.d/*" "resolvconf" "network" "name servers change" Parts,
    "/etc/resolvconf/update-libc.d/*" "resolvconf" "network" "name servers change" Parts,
    "/etc/ifplugd/action.d/*" "ifplugd" "network" "a cable is plugged" Parts,
    "/etc/ifplugd/ifplugd.action" "ifplugd" "network" "a cable is plugged" Executable,
    "/etc/wpa_supplicant/*.sh" "wpa_cli" "network" "a wireless link changes" Executable,
    "/etc/sysconfig/network-scripts/if{up,down}-*" "initscripts" "network" "an interface goes up or down" Executable,
    "/sbin/if{up,down}-{local,pre-local}" "initscripts" "network" "an interface goes up or down" Executable,
    "/etc/sysconfig/network/{scripts,if-up.d,if-down.d}/*" "wicked" "network" "an interface goes up or down" Executable,
    "/etc/wicked/{scripts,extensions}/*" "wicked" "network" "an interface goes up or down" Executable,
    "/etc/netctl/{hooks,interfaces}/*" "netctl" "network" "a profile starts" Executable,
    "/etc/openvpn/{up,down,update-resolv-conf,update-systemd-resolved}*" "openvpn" "network" "a tunnel goes up or down" Executable,
    "/etc/tinc/*/tinc-{up,down}" "tinc" "network" "a tunnel goes up or down" Executable,
    "/etc/tinc/*/{host,subnet}-{up,down}" "tinc" "network" "a peer appears" Executable,
    "/etc/ModemManager/{connection.d,fcc-unlock.d,modem-setup.d}/*" "modemmanager" "device" "a modem appears or connects" Executable,
    "/{usr/lib,usr/lib/*-linux-*,usr/share,lib}/ModemManager/{connection.d,fcc-unlock.d,modem-setup.d}/*" "modemmanager" "device" "a modem appears or connects" Executable,
    "/etc/gcom/*" "comgt" "network" "a script of comgt" Sourced,
    "/etc/umtsd*/*" "umtsd" "network" "a script of umtsd" Executable,
    // OpenWrt and BusyBox
    "/etc/hotplug.d/*/*" "hotplug" "device" "an event of the kernel or of a service" Sourced,
    "/etc/hotplug/**.{agent,rc}" "hotplug" "device" "an event of the kernel" Executable,
    "/etc/rc.button/*" "procd" "device" "a button" Executable,
    "/etc/uci-defaults/*" "uci-defaults" "boot" "first boot after an upgrade; removed once it has run" Sourced,
    "/rom/etc/uci-defaults/*" "uci-defaults" "boot" "first boot after a reset" Sourced,
    "/etc/preinit" "preinit" "boot" "before init" Executable,
    "/lib/preinit/*" "preinit" "boot" "before init" Sourced,
    "/lib/functions/preinit.sh" "preinit" "boot" "before init" Sourced,
    "/lib/netifd/**.{sh,script}" "netifd" "network" "a protocol of an interface" Sourced,
    "/etc/{rcS,init.d/rcS,init.d/rcK}" "busybox init" "boot" "system start or stop" Executable,
    // Packages and kernels
    "/var/lib/dpkg/info/*.{preinst,postinst,prerm,postrm,config}" "dpkg" "package" "its package is installed, upgraded or removed" Executable,
    "/usr/lib/opkg/info/*.{preinst,postinst,prerm,postrm}{,-pkg}" "opkg" "package" "its package is installed, upgraded or removed" Sourced,
    "/var/lib/opkg/info/*.{preinst,postinst,prerm,postrm}" "opkg" "package" "its package is installed, upgraded or removed" Sourced,
    "/etc/opkg-{intercept,postinsts}/*" "opkg" "package" "packages are installed" Executable,
    "/{etc,usr/lib}/{ipkg,rpm,deb}-postinsts/*" "postinsts" "boot" "first boot" Executable,
    "/etc/kernel/{preinst,postinst,prerm,postrm}.d/*" "kernel package" "package" "a kernel is installed or removed" Parts,
    "/etc/kernel/header_postinst.d/*" "kernel package" "package" "headers of a kernel are installed" Parts,
    "/{etc,usr/lib}/kernel/install.d/*" "kernel-install" "package" "a kernel is installed or removed" Executable,
    "/etc/{dnf,yum}/{plugins,post-transaction-actions.d}/*.py" "dnf" "package" "each run of dnf or yum" Sourced,
    "/usr/lib/yum-plugins/*.py" "yum" "package" "each run of yum" Sourced,
    "/usr/lib/python*/site-packages/{dnf-plugins,libdnf5/plugins}/*" "dnf" "package" "each run of dnf" Sourced,
    "/{etc,usr/lib}/dkms/{post,pre}-*" "dkms" "package" "a module is built" Executable,
    "/etc/grub.d/*" "update-grub" "package" "the boot menu is made anew" Executable,
    "/etc/needrestart/{hook.d,notify.d,restart.d}/*" "needrestart" "package" "packages were upgraded" Executable,
    "/etc/apt-listchanges/**.py" "apt" "package" "packages are installed" Sourced,
    "/etc/ca-certificates/update.d/*" "update-ca-certificates" "package" "trusted roots change" Executable,
    // The initial system
    "/etc/initramfs-tools/hooks/*" "initramfs-tools" "build" "the initial system is made" Executable,
    "/usr/share/initramfs-tools/hooks/*" "initramfs-tools" "build" "the initial system is made" Executable,
    "/etc/initramfs-tools/scripts/**" "initramfs" "boot" "in the initial system, once it is made anew" Executable,
    "/usr/share/initramfs-tools/scripts/**" "initramfs" "boot" "in the initial system, once it is made anew" Executable,
    "/etc/initramfs/post-update.d/*" "initramfs-tools" "build" "the initial system was made" Parts,
    "/usr/lib/dracut/modules.d/*/*.sh" "dracut" "boot" "in the initial system, once it is made anew" Sourced,
    "/{etc,usr/lib}/initcpio/{hooks,install,post}/*" "mkinitcpio" "boot" "in the initial system, once it is made anew" Sourced,
    // Power, keys, sound
    "/{etc,usr/lib}/pm/{sleep,power,config}.d/*" "pm-utils" "sleep" "sleep, or change of power" Executable,
    "/usr/lib/pm-utils/{sleep,power}.d/*" "pm-utils" "sleep" "sleep, or change of power" Executable,
    "/etc/apm/{event,suspend,resume}.d/*" "apmd" "sleep" "sleep, or change of power" Executable,
    "/etc/acpi/*.sh" "acpid" "event" "actions of keys and power" Executable,
    "/etc/acpi/actions/*" "acpid" "event" "actions of keys and power" Executable,
    "/etc/laptop-mode/**/*.sh" "laptop-mode" "event" "change of power" Executable,
    "/{etc,usr/lib}/tuned/**.sh" "tuned" "boot" "its profile is active" Executable,
    "/etc/upsmon/*" "upsmon" "event" "change of power" Executable,
    "/etc/apcupsd/*" "apcupsd" "event" "change of power" Executable,
    // Logins and sessions
    "/etc/update-motd.d/*" "pam_motd" "login" "the greeting is made" Executable,
    "/etc/X11/Xsession.d/*" "xsession" "login" "a graphical session starts" Sourced,
    "/etc/X11/xinit/xinitrc.d/*" "xinit" "login" "a graphical session starts" Executable,
    "/etc/X11/xinit/{xinitrc,xserverrc}" "xinit" "login" "a graphical session starts" Sourced,
    "/etc/X11/{Xsession,Xreset,xdm/X*}" "xdm" "login" "a graphical session starts" Executable,
    "/etc/{gdm,gdm3}/{Init,PostLogin,PostSession,PreSession,Xsession}{,/*}" "gdm" "login" "around a graphical session" Executable,
    "/etc/{sddm,plasmalogin}/{Xsession,Xsetup,Xstop,wayland-session,scripts/*}" "sddm" "login" "around a graphical session" Executable,
    "/usr/share/sddm/scripts/*" "sddm" "login" "around a graphical session" Executable,
    "/etc/{xdg/plasma-workspace,plasma-workspace}/{env,shutdown}/*" "plasma" "login" "a graphical session starts or ends" Sourced,
    "/etc/xdg/{openbox,lxsession,labwc}/**autostart*" "window manager" "login" "a graphical session starts" Sourced,
    "/etc/{i3,sway}/config.d/*" "window manager" "login" "a graphical session starts" Sourced,
    "/etc/ssh/sshrc" "sshd" "login" "every login over ssh" Sourced,
    "/etc/qubes-rpc/*" "qrexec" "request" "a call of another machine" Executable,
    // Programs that run what lies beside them
    "/etc/logcheck/*.sh" "logcheck" "schedule" "each run of logcheck" Executable,
    "/usr/lib/cups/{filter,backend,cgi-bin,daemon,driver,monitor,notifier}/*" "cups" "request" "a job, a page or a device of the printing system" Executable,
    "/etc/cups/{interfaces,ppd}/*.sh" "cups" "request" "a job of the printing system" Executable,
    "/etc/qemu/{hooks,qemu-ifup,qemu-ifdown}*" "qemu" "network" "a virtual machine starts" Executable,
    "/etc/qemu-if{up,down}" "qemu" "network" "a virtual machine starts" Executable,
    "/etc/libvirt/hooks/**" "libvirt" "event" "a virtual machine or network starts or ends" Executable,
    "/etc/{lxc,lxd}/hooks/*" "lxc" "container" "a container starts or ends" Executable,
    "/usr/share/lxc/hooks/*" "lxc" "container" "a container that names it starts or ends" Executable,
    "/etc/containers/oci/hooks.d/*" "podman" "container" "a container starts or ends" Sourced,
    "/usr/share/containers/oci/hooks.d/*" "podman" "container" "a container starts or ends" Sourced,
    "/etc/smartmontools/run.d/*" "smartd" "event" "a disk reports a fault" Executable,
    "/etc/smartmontools/smartd_warning.d/*" "smartd" "event" "a disk reports a fault" Executable,
    "/etc/smartmontools/smartd_warning.sh" "smartd" "event" "a disk reports a fault" Executable,
    "/etc/mdadm/*.sh" "mdadm" "event" "an array changes" Executable,
    "/etc/chrony/*.sh" "chrony" "network" "a lease names time servers" Executable,
    "/etc/letsencrypt/renewal-hooks/*/*" "certbot" "schedule" "a certificate is renewed" Executable,
    "/etc/nagios-plugins/**.sh" "nrpe" "request" "a check" Executable,
    "/usr/lib/{nagios,monitoring-plugins}/plugins/*" "nrpe" "request" "a check that names it" Executable,
    "/etc/zabbix/{externalscripts,alertscripts}/*" "zabbix" "request" "a check that names it" Executable,
    "/usr/lib/zabbix/{externalscripts,alertscripts}/*" "zabbix" "request" "a check that names it" Executable,
    "/etc/auto.*" "autofs" "event" "a folder is entered; a map that is a program" Executable,
    "/{etc/pam-script.d,usr/share/libpam-script}/*" "pam_script" "login" "a login" Executable,
    "/{etc,usr/share,usr/local/share}/polkit-1/rules.d/*.rules" "polkitd" "request" "a right is asked for" Sourced,
    "/etc/autofs/*.sh" "autofs" "event" "a folder is entered" Executable,
    "/etc/request-key.d/*" "request-key" "request" "the kernel wants a key" Sourced,
    "/usr/lib/cnf-update-db" "apt" "package" "package lists are updated" Executable,
    "/etc/bash_completion.d/*" "bash" "shell" "completion is loaded" Sourced,
    // Whole systems that run what they were given once
    "/var/lib/cloud/scripts/{per-boot,per-instance,per-once}/*" "cloud-init" "boot" "by the folder's name" Executable,
    "/var/lib/cloud/scripts/vendor/*" "cloud-init" "boot" "as the provider says" Executable,
    "/var/lib/cloud/instances/*/scripts/**" "cloud-init" "boot" "first boot of an instance" Executable,
    "/etc/firstboot.d/*" "firstboot" "boot" "first boot" Executable,
    "/etc/rc.{firsttime,securelevel,local_shutdown,shutdown}" "rc" "boot" "system start or stop" Sourced,
    "/etc/rc.local.d/*" "rc" "boot" "last of the boot" Executable,
    "/etc/boot.d/*" "rc" "boot" "system start" Executable,
    "/etc/local.d/*.{start,stop}" "openrc" "boot" "last of the boot, or first of the stop" Executable,
    "/etc/runit/{1,2,3,ctrlaltdel}" "runit" "boot" "a stage of the boot" Executable,
    "/etc/runit/core-services/*.sh" "runit" "boot" "first stage of the boot" Sourced,
    "/etc/sysstat/*.sh" "sysstat" "schedule" "each run" Executable,
}

/// A folder with more entries than this is no folder of hooks.
const MAX_FILES: usize = 20_000;

fn extract(system: &System, out: &Out) {
    let plain_names = system.resolve("/var/lib/dpkg/status").is_some();
    let mut seen = BTreeSet::new();
    for hook in HOOKS {
        let entries: Vec<&Entry> = glob(system, hook.at).into_iter().filter(|e| !e.is_dir()).collect();
        if let Some(first) = entries.get(MAX_FILES) {
            out.gap(first, "budget: scripts of one folder; the rest was not listed");
        }
        for entry in entries.into_iter().take(MAX_FILES) {
            if is_note(entry.path.file_name()) || !seen.insert(entry.path.clone()) {
                continue;
            }
            out.extend(row(system, hook, entry, plain_names));
        }
    }
}

fn row(system: &System, hook: &Hook, entry: &Entry, plain_names: bool) -> Option<crate::inventory::Start> {
    let name = entry.path.file_name();
    let plain = name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let runs = hook.takes == Sourced || is_executable(system, entry);
    let way = Way::root(hook.by, hook.when)
        .user(if hook.when == "login" || hook.when == "shell" { "" } else { "root" })
        .only(runs, "not executable")
        .only(hook.takes != Parts || plain || !plain_names, "a name that run-parts leaves out");
    way.file(system, entry, hook.trigger)
}

/// Where files lie that a shell reads, whatever their mode.
pub(super) fn sourced() -> impl Iterator<Item = &'static str> {
    HOOKS.iter().filter(|h| h.takes == Sourced).map(|h| h.at)
}

/// What stands in such folders and is never run.
pub(super) fn is_note(name: &[u8]) -> bool {
    let ends = [".dpkg-dist", ".dpkg-old", ".dpkg-new", ".rpmsave", ".rpmnew", ".rpmorig", ".md", ".txt", "~", ".swp"];
    name == b".placeholder" || name.starts_with(b"README") || ends.iter().any(|e| name.ends_with(e.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{line, starts};
    use super::*;

    #[test]
    fn names_modes_and_links_decide() {
        let tree = "/var/lib/dpkg/status
    x

/etc/network/if-up.d/route mode=755
    #!/bin/sh

/etc/network/if-up.d/route.sh mode=755
    #!/bin/sh

/etc/network/if-up.d/off
    #!/bin/sh

/etc/network/if-up.d/README
    text

/usr/lib/x/hook mode=755
    #!/bin/sh

/etc/NetworkManager/dispatcher.d/50-x -> /usr/lib/x/hook

/etc/NetworkManager/dispatcher.d/gone -> /nowhere

/etc/dhcp/dhclient-exit-hooks.d/z
    echo

/etc/hotplug.d/usb/20-modem
    echo

/etc/X11/Xsession.d/90x
    echo
";
        let (rows, gaps) = starts(tree, &ARTIFACT);
        let told: Vec<String> = rows.iter().map(line).collect();
        assert_eq!(
            told,
            [
                "ifupdown network root /etc/network/if-up.d/off - not executable",
                "ifupdown network root /etc/network/if-up.d/route",
                "ifupdown network root /etc/network/if-up.d/route.sh - a name that run-parts leaves out",
                "networkmanager network root /usr/lib/x/hook",
                "dhclient network root /etc/dhcp/dhclient-exit-hooks.d/z",
                "hotplug device root /etc/hotplug.d/usb/20-modem",
                "xsession login  /etc/X11/Xsession.d/90x",
            ]
        );
        assert!(gaps.is_empty());
    }

    #[test]
    fn every_place_is_found_under_its_own_pattern() {
        for hook in HOOKS {
            let path = super::super::testing::example(hook.at);
            let (rows, _) = starts(&format!("{path} mode=755\n    #!/bin/sh\n"), &ARTIFACT);
            assert_eq!(rows.len(), 1, "{}: {path}", hook.at);
            assert!(rows[0].enabled, "{path}");
            assert_eq!(rows[0].program.as_ref().unwrap().display(), path);
        }
    }
}
