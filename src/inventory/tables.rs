//! The tables. Columns are facts of the evidence; judgement is elsewhere.
use super::record::record;
use super::value::Mode;
use crate::base::{Digest, Name, Time};
use std::sync::Arc;

record! {
    /// Every file, directory, link and device node, live or deleted.
    File in "files", key [path, deleted] {
        /// Path in the running system, or in its file system where no system mounts it.
        path: Name,
        /// file, directory, symlink, char-device, block-device, fifo, socket, unknown.
        kind: Arc<str>,
        /// Size in bytes.
        size: u64,
        /// Bytes of storage allocated.
        allocated: u64,
        /// Permission bits, octal.
        mode: Mode,
        uid: u32,
        gid: u32,
        /// NTFS: the owner by the file's security descriptor (`S-1-5-32-544`); uid and gid are those of Linux there, 0 where none were set.
        owner_sid: Arc<str>,
        /// NTFS: the primary group by the file's security descriptor.
        group_sid: Arc<str>,
        /// Number of hard links.
        links: u32,
        modified: Option<Time>,
        accessed: Option<Time>,
        /// Change of the metadata.
        changed: Option<Time>,
        created: Option<Time>,
        deleted_at: Option<Time>,
        /// NTFS: the times beside the file's name ($FILE_NAME), where they differ from those above.
        name_times: Arc<str>,
        /// immutable, append, nodump …
        flags: Vec<String>,
        /// File capabilities as getcap writes them.
        capabilities: Arc<str>,
        /// Access control list, as `getfacl` writes its entries: user:1000:rwx … with those for new files as default:….
        acl: Arc<str>,
        /// Names of all extended attributes.
        xattrs: Vec<String>,
        /// Target of a symlink, as stored.
        target: Option<Name>,
        /// What the content is, by its first bytes: elf, script, gzip, pe, empty, text, data …
        content: Arc<str>,
        sha256: Option<Digest>,
        /// Why there is no hash: sparse, over the limit, read error, not a regular file.
        unhashed: Arc<str>,
        /// The package that owns it.
        package: Option<Arc<str>>,
        /// ok, differs, conffile-ok, conffile-changed, no-digest (owned, but the package lists no digest), unchecked (the package lists a digest, but the content was not hashed), unowned (of no package; where a component lists it without a digest, `package` names that); component-ok, component-differs (owned by no package, but listed by the component of another package manager that `package` names); empty where there is no package database and no component lists it.
        package_check: Arc<str>,
        /// What of its owner, group, permissions and capabilities is not as the package database says: `mode 0755 -> 4755`.
        package_attributes: Vec<String>,
        /// Found in directory slack or as a deleted inode.
        deleted: bool,
        /// In a tree merged of layers: the layer it is from, `upper NAME` or `lower NAME`.
        layer: Arc<str>,
        /// Why the running system does not show it at this path; empty if it does. replaced (a layer above has something else there), removed (a layer above marks it as removed), opaque (a folder above shows nothing of this layer), merged (a folder seen with the attributes of a layer above), attributes (an inode that holds only attributes for a content below), mark (a whiteout, or another mark of the layers), mount (a mount lies over it), twice (its folder holds the name twice), archive (it is, or lies in, a member of an archive).
        covered: Arc<str>,
        /// The file that the archive is, of which this is a member.
        archive: Option<Name>,
        /// A file of a writable layer against the same path in the layers below it: added, changed (another content), attributes (the same content, other owner or permissions), same, unknown (a content was not hashed); empty for everything else.
        against_lower: Arc<str>,
        /// A file of an initramfs against the system that it starts: packaged (the content of a file there that is as its package ships it), on-disk (the content of another file there), changed (no file there has the content, but one has the name), alone (neither); empty for everything else.
        against_system: Arc<str>,
        /// Whose numbers no account or group of its system has: owner, group, or both; empty where they are known, and where the files of containers, of subordinate numbers and of numbers that systemd gives out lie.
        no_account: Arc<str>,
        /// Made only where a baseline knows contents by SHA-1 alone; else empty.
        sha1: String,
        /// Made only where a baseline knows contents by MD5 alone; else empty.
        md5: String,
    }
}
record! {
    /// Every executable, library and object file.
    Binary in "binaries", key [path] {
        path: Name,
        /// elf, pe, script.
        format: Arc<str>,
        /// executable, shared, relocatable, core; for a script its language: sh, python, perl …
        kind: Arc<str>,
        /// Machine: x86-64, aarch64, arm, mips …; empty for a script.
        machine: Arc<str>,
        /// 32 or 64; 0 for a script.
        bits: u32,
        /// little or big; empty for a script.
        endian: Arc<str>,
        /// An executable with no interpreter and no needed library.
        static_linked: bool,
        /// Path of the dynamic loader; for a script what stands behind `#!`.
        interpreter: String,
        /// Needed libraries.
        libraries: Vec<String>,
        /// Folders that the program itself adds to the search for libraries, as written.
        search_paths: Vec<String>,
        /// Imported functions that matter for judging abilities; for a script the constructs that do: `/dev/tcp/`, `ssh -R` …
        imports: Vec<String>,
        /// For a script: programs that it names by an absolute path where a command may stand; at most 32.
        runs: Vec<String>,
        /// GNU build id, hex.
        build_id: String,
        /// No symbol table.
        stripped: bool,
        /// The packer's name, or why it looks packed; empty if it does not.
        packed: String,
        /// Version of the Go toolchain, if it is a Go program.
        go_version: String,
        /// Main module path of a Go program.
        go_module: String,
        /// Modules it was built from, path and version.
        go_deps: Vec<String>,
        /// Rust crates, name and version, found in panic paths.
        rust_crates: Vec<String>,
        /// Known programs whose telling strings it contains: `tool: string`.
        traces: Vec<String>,
        /// Why the running system does not show its file at this path, as in files; empty if it does.
        covered: Arc<str>,
    }
}
record! {
    /// Network interfaces as configured.
    Interface in "interfaces", key [name, manager] {
        name: String,
        /// ifupdown, networkmanager, networkd, netplan, windows …
        manager: Arc<str>,
        /// ethernet, wifi, bridge, bond, vlan, ppp, wwan, tunnel, loopback.
        kind: Arc<str>,
        /// dhcp, static, manual, ppp …
        method: String,
        addresses: Vec<String>,
        gateway: Vec<String>,
        mac: String,
        /// Brought up at boot or by hot-plug.
        auto: bool,
        /// Commands run on up and down, bridge ports, and whatever else was set: `key=value`.
        details: Vec<String>,
    }
}
record! {
    /// Ways out and in: cellular, dial-up, Wi-Fi, VPN and tunnel connections as configured.
    Connection in "connections", key [kind, name, manager] {
        name: String,
        /// networkmanager, netplan, ppp, wvdial, wpa_supplicant, openvpn, wireguard, frp …
        manager: Arc<str>,
        /// gsm, cdma, ppp-modem, pppoe, pptp, l2tp, wifi, wifi-ap, vpn, wireguard, tunnel, ethernet, bluetooth …
        kind: Arc<str>,
        /// Comes up without anyone asking.
        enabled: bool,
        /// What brings it up: autoconnect, a unit, a cron line; or why nothing does.
        enabled_by: Vec<String>,
        interface: String,
        /// Device node or hardware it is bound to.
        device: String,
        apn: String,
        /// Number dialled.
        number: String,
        username: String,
        /// Names of the secrets that are stored with it (never their values): password, pin, psk, private-key.
        secrets: Vec<String>,
        /// Remote hosts, with port.
        endpoints: Vec<String>,
        uuid: String,
        /// Becomes, or may become, the default route.
        default_route: bool,
        /// Last use, by the manager's own record.
        last_used: Option<Time>,
        /// Further settings that matter: `key=value`.
        details: Vec<String>,
    }
}
record! {
    /// Static routes as configured.
    Route in "routes", key [destination, gateway, interface] {
        destination: String,
        gateway: String,
        interface: String,
        manager: Arc<str>,
    }
}
record! {
    /// Names and servers: resolvers, hosts, search domains, NTP servers, proxies.
    NameSetting in "names", key [kind, value] {
        /// nameserver, search, host, ntp, proxy.
        kind: Arc<str>,
        /// Address or URL; for a host: `address name…`.
        value: String,
        /// Interface or program it is for.
        scope: String,
    }
}
record! {
    /// Packet filter and NAT rules, as written.
    FirewallRule in "firewall", key [manager, table, chain, rule] {
        /// nftables, iptables, ufw, firewalld.
        manager: Arc<str>,
        table: String,
        chain: String,
        rule: String,
        /// accept, drop, reject, masquerade, dnat, snat, forward, policy …
        action: Arc<str>,
    }
}
record! {
    /// Ports that a server is configured to listen on.
    Listener in "listeners", key [protocol, port, address, program] {
        /// tcp, udp, unix.
        protocol: Arc<str>,
        /// As configured; `*` for all.
        address: String,
        port: String,
        /// Server, by its configuration or unit.
        program: String,
        /// The unit that starts it, if known.
        service: String,
    }
}
record! {
    /// Kernel modules on disk or built in.
    Driver in "drivers", key [name, kernel, path] {
        /// Module name, with `-` written as `_`.
        name: Arc<str>,
        /// Kernel release it is for.
        kernel: Arc<str>,
        /// Its file; empty if built in.
        path: Name,
        builtin: bool,
        /// Compiled in the kernel's own tree, by its own mark; `None` where it has no mark.
        intree: Option<bool>,
        vermagic: String,
        license: Arc<str>,
        description: String,
        author: String,
        version: String,
        /// Modules it needs.
        depends: Vec<String>,
        /// Signer's name, if it carries a signature.
        signer: String,
        /// Listed in the kernel's modules.order.
        ordered: Option<bool>,
        /// Its path lies outside kernel/: extra, updates, dkms …
        outside: bool,
        /// Number of device aliases it claims.
        aliases: u32,
        /// Number of the known modems among the ids that it claims.
        modem_ids: u32,
        /// The known modems among the ids that it claims, at most 40: `usb 2c7c:0125 Quectel EC25`; `usb 12d1:* Huawei` for a whole vendor.
        modems: Vec<String>,
        /// Its kernel's modules.alias has all its aliases; `None` without that file, or where it has no alias.
        indexed: Option<bool>,
        /// Its vermagic begins with the kernel whose tree it lies in; `None` if it has none or lies in none.
        kernel_fits: Option<bool>,
        /// Names a module source path or build directory reveals.
        source: String,
        /// Checksum of its sources, by its own record.
        srcversion: String,
        /// How it is signed: `PKCS#7 sha256, key …`; empty if it is not.
        signature: String,
        /// Known programs whose telling strings it contains: `tool: string`.
        traces: Vec<String>,
        /// Why the running system does not show its file at this path, as in files; empty if it does.
        covered: Arc<str>,
    }
}
record! {
    /// What the configuration says about drivers: load, blacklist, options, install, alias, new_id.
    DriverSetting in "driver_settings", key [name, action, value] {
        /// Module name, with `-` written as `_`.
        name: String,
        /// load, blacklist, options, install, remove, alias, softdep, new-id, udev; unfiled-alias (a line of modules.alias whose module is not there).
        action: Arc<str>,
        value: String,
        /// No file of the same name in a folder that comes first hides the file it stands in.
        effective: bool,
    }
}
record! {
    /// Hardware that this disk's system recorded, or that its configuration names.
    Device in "devices", key [bus, vendor, product, serial, source] {
        /// usb, pci, tty, net, sim, bluetooth, modem (of Windows' class of modems, on no bus that it names).
        bus: Arc<str>,
        /// Vendor id, four hex digits.
        vendor: String,
        /// Product id, four hex digits.
        product: String,
        /// Name as recorded.
        name: String,
        /// What its ids say it is: cellular (a modem and nothing else), cellular-vendor (its vendor makes nothing but modems), maybe-cellular (vendor or driver serve modems and other things), satellite, phone, gnss, sim, other; empty where no list has the ids.
        class: Arc<str>,
        serial: String,
        driver: String,
        /// Interface or node it got: wwan0, ttyUSB2, cdc-wdm0.
        node: String,
        /// log, registry (of Windows, which keeps every device that was attached), udev-rule, new-id, usb-modeswitch, networkmanager, at-transcript, bluetooth-pairing, bluetooth (heard of only).
        source: Arc<str>,
        first_seen: Option<Time>,
        last_seen: Option<Time>,
        /// How often it was recorded.
        count: u32,
        /// Where the log tells that another machine recorded it: `machine-id …`, `DMI …`, `MAC …`. Such a device is recorded on this disk, and not shown to have been at this machine.
        recorded_as: String,
    }
}
record! {
    /// Installed packages and what checking their files gave.
    Package in "packages", key [name, architecture] {
        name: Arc<str>,
        version: String,
        architecture: Arc<str>,
        /// dpkg, rpm …; windows for what its list of programs has.
        manager: Arc<str>,
        /// As the database says: `install ok installed`.
        state: String,
        section: String,
        maintainer: String,
        source: String,
        /// Installed because something else needed it; `None` if the database does not say.
        automatic: Option<bool>,
        /// When its files list was written.
        installed: Option<Time>,
        /// Paths it owns.
        files: u64,
        /// Digests it lists.
        listed: u64,
        /// Files whose digest was checked and matches.
        matching: u64,
        /// Paths that differ from its digest.
        differing: Vec<String>,
        /// Paths that it lists and that are not there.
        missing: Vec<String>,
        /// Configuration files that differ from what was shipped.
        conffiles_changed: Vec<String>,
        /// Names of its maintainer scripts.
        scripts: Vec<String>,
    }
}
record! {
    /// Accounts.
    Account in "accounts", key [name] {
        name: String,
        uid: u32,
        gid: u32,
        comment: String,
        home: Name,
        shell: String,
        /// none (no entry), empty, locked, disabled (`*` or `!`), or the hash's kind: yescrypt, sha512, sha256, md5, des …
        password: Arc<str>,
        /// Date of the last password change.
        changed: Option<Time>,
        /// From this day on the account is refused, whatever the password.
        expires: Option<Time>,
        /// Days that have to pass between two changes of the password.
        min_days: Option<u32>,
        /// Days after which the password has to be changed.
        max_days: Option<u32>,
        /// Days of warning before.
        warn_days: Option<u32>,
        /// Days after which an expired password is refused altogether.
        inactive_days: Option<u32>,
        /// Can log in: a shell that is none of nologin and false, and a usable password or a key.
        login: bool,
        /// Groups it is in.
        groups: Vec<String>,
    }
}
record! {
    /// Groups.
    Group in "groups", key [name] {
        name: String,
        gid: u32,
        members: Vec<String>,
    }
}
record! {
    /// Who may run what as whom: rules of sudo and doas, grants of polkit.
    SudoRule in "sudoers", key [who, hosts, runas, commands] {
        /// sudo, doas, polkit.
        by: Arc<str>,
        who: String,
        hosts: String,
        runas: String,
        commands: String,
        nopasswd: bool,
    }
}
record! {
    /// SSH keys: authorized, host, private, known hosts; keys of Kerberos that the system holds.
    Key in "keys", key [kind, user, fingerprint, options] {
        /// authorized, host, private, known-host, certificate-authority; keytab.
        kind: Arc<str>,
        /// Whose it is; empty for host keys.
        user: String,
        algorithm: String,
        /// SHA256:… as ssh-keygen -l prints it.
        fingerprint: String,
        comment: String,
        options: String,
        /// Private keys: protected by a passphrase.
        encrypted: Option<bool>,
        /// Known hosts: the host, if it is not hashed.
        host: String,
    }
}
record! {
    /// Settings that decide who gets in and what is forwarded: sshd, sysctl, PAM, telnet …
    Setting in "settings", key [program, scope, name, value] {
        /// sshd, sysctl, pam …
        program: Arc<str>,
        /// `Match` block, service, or empty.
        scope: String,
        name: String,
        value: String,
        /// It is the one that counts (first match, last file …).
        effective: bool,
    }
}
record! {
    /// Variables of boot loaders' environments (U-Boot), of every copy.
    BootVariable in "boot_environment", key [place, name] {
        name: String,
        value: String,
        /// Where the copy lies: a volume with its offset in the image, or a file.
        place: String,
        /// Number of the copy, where there are two; else 0.
        copy: u32,
        /// The boot loader uses this copy; `None` for a text whose use nothing tells.
        used: Option<bool>,
        /// Of the copy: ok, differs, none (a text without one).
        checksum: Arc<str>,
        /// Of one of two copies: its counter or mark.
        flag: String,
        /// command (bootcmd, and what it runs), arguments (of the kernel), network, slot, delay; empty for others.
        role: Arc<str>,
        /// Value in the other copy, where that holds and has another one; `(not set)` where it has none.
        other: String,
    }
}
record! {
    /// What logs recorded, as far as it bears on links out and in.
    Event in "events", key [kind, time, text] {
        /// `None` where the line has no usable time.
        time: Option<Time>,
        /// Id of the pattern: usb-new-device, usbserial-gsm, pppd-address, sshd-accepted …
        kind: Arc<str>,
        /// modem-hardware, modem-use, remote-access, login, account, clock, integrity, wireless, package, history, device, log.
        class: Arc<str>,
        /// Program that logged it.
        program: String,
        /// The line.
        text: String,
        /// What was captured from it: `vid=2c7c`, `address=10.1.2.3`.
        fields: Vec<String>,
        /// Times the same kind of line with the same fields stands in the log (this one is the first).
        count: u32,
        last: Option<Time>,
        /// Where the log tells that another machine recorded it, or this one under another name: `machine-id …`, `host …`, `DMI …` (of its board), `MAC …` (of its network cards). Such a line is recorded on this disk, and not shown to be of this machine.
        recorded_as: String,
    }
}
