//! Lines in the configuration of servers and daemons that make them run programs: one table of files and keys, and
//! the few formats that need more. snmpd.conf(5), smb.conf(5), aliases(5), dnsmasq(8), openvpn(8), smsd.conf,
//! gammu-smsdrc(5), hosts_options(5), ssh_config(5), crypttab(5), upsmon.conf(5), mdadm.conf(5), the modules and
//! CGI folders of web servers.
use super::{Way, bounded, cut, glob, has};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Name;
use crate::evidence::{Entry, System, Text};
use crate::format::lines::{unquote, words};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.server-programs",
    about: "Programs that the configuration of servers makes them run, modules and CGI programs of web servers",
    os: Os::Linux,
    reads: READS,
    references: &["snmpd.conf(5)", "smb.conf(5)", "aliases(5)", "hosts_options(5)", "ssh_config(5)", "gammu-smsdrc(5)"],
    extract,
};

/// Files whose lines are a key and a command.
struct Keys {
    at: &'static str,
    by: &'static str,
    when: &'static str,
    /// In lower case; `*` at the end stands for anything.
    names: &'static [&'static str],
    /// One of these is on the disk, or nothing reads the file.
    programs: &'static [&'static str],
}

macro_rules! servers {
    ($($at:literal $by:literal $when:literal [$($key:literal),*] [$($program:literal),*],)* ; $($more:literal,)*) => {
        const KEYS: &[Keys] = &[$(Keys { at: $at, by: $by, when: $when, names: &[$($key),*], programs: &[$($program),*] }),*];
        const READS: &[&str] = &[$($at,)* $($more),*];
    };
}

#[rustfmt::skip] // one line a server
servers! {
    "/etc/samba/smb.conf" "samba" "request" ["preexec", "root preexec", "postexec", "root postexec", "print command", "lpq command", "magic script", "add user script", "add machine script", "delete user script", "passwd program", "panic action", "wins hook", "message command", "dfree command", "check password script", "username map script", "shutdown script"] ["smbd"],
    "/etc/dnsmasq.conf" "dnsmasq" "network" ["dhcp-script", "dhcp-luascript"] ["dnsmasq"],
    "/etc/dnsmasq.d/*" "dnsmasq" "network" ["dhcp-script", "dhcp-luascript"] ["dnsmasq"],
    "/etc/dhcp/dhclient.conf" "dhclient" "network" ["script"] ["dhclient"],
    "/etc/dhclient*.conf" "dhclient" "network" ["script"] ["dhclient"],
    "/etc/dhcpcd.conf" "dhcpcd" "network" ["script"] ["dhcpcd"],
    "/etc/openvpn/**.{conf,ovpn}" "openvpn" "network" ["up", "down", "ipchange", "route-up", "route-pre-down", "client-connect", "client-disconnect", "learn-address", "auth-user-pass-verify", "tls-verify", "plugin"] ["openvpn"],
    "/etc/wireguard/*.conf" "wg-quick" "network" ["preup", "postup", "predown", "postdown"] ["wg-quick", "wg"],
    "/etc/{smsd.conf,smstools/smsd.conf}" "smstools" "device" ["eventhandler", "checkhandler", "alarmhandler", "regular_run", "regular_run_cmd", "pre_run", "post_run"] ["smsd"],
    "/etc/gammu-smsdrc" "gammu" "device" ["runonreceive", "runonfailure", "runonsent", "runonincomingcall"] ["gammu-smsd"],
    "/etc/nut/upsmon.conf" "upsmon" "event" ["notifycmd", "shutdowncmd"] ["upsmon"],
    "/etc/nut/upssched.conf" "upsmon" "event" ["cmdscript"] ["upssched"],
    "/etc/mdadm{/mdadm,}.conf" "mdadm" "event" ["program"] ["mdadm"],
    "/etc/{nagios,icinga}/nrpe{.cfg,_local.cfg,.d/*.cfg}" "nrpe" "request" ["command[*"] ["nrpe"],
    "/etc/zabbix/zabbix_agent*.{conf,d/*.conf}" "zabbix" "request" ["userparameter"] ["zabbix_agentd", "zabbix_agent2"],
    "/etc/ssh/ssh_config" "ssh" "request" ["proxycommand", "localcommand", "knownhostscommand"] ["ssh"],
    "/etc/ssh/ssh_config.d/*.conf" "ssh" "request" ["proxycommand", "localcommand", "knownhostscommand"] ["ssh"],
    "/{root,home/*}/.ssh/config" "ssh" "request" ["proxycommand", "localcommand", "knownhostscommand"] ["ssh"],
    "/etc/connman/main.conf" "connman" "network" ["onlinecheckscript"] ["connmand"],
    "/etc/iwd/main.conf" "iwd" "network" ["script"] ["iwd"],
    "/etc/ifplugd/ifplugd.conf" "ifplugd" "network" ["run"] ["ifplugd"],
    "/etc/{apache2/mods-enabled,httpd/conf.modules.d,apache2/conf-enabled}/*" "apache" "boot" ["loadmodule"] ["apache2", "httpd"],
    "/etc/nginx/**.conf" "nginx" "boot" ["load_module"] ["nginx"],
    "/etc/lighttpd/**.conf" "lighttpd" "request" ["\"bin-path\""] ["lighttpd"],
    "/etc/exim4/exim4.conf" "exim" "request" ["command"] ["exim4"],
    "/etc/default/networkd-dispatcher" "networkd-dispatcher" "network" ["networkd_dispatcher_args"] ["networkd-dispatcher"],
    ;
    "/etc/snmp/snmpd.conf",
    "/etc/snmp/snmpd.conf.d/*",
    "/var/lib/snmp/snmpd.conf",
    "/etc/{mail/,postfix/,}aliases",
    "/{root,home/*}/{.forward,.procmailrc}",
    "/etc/procmailrc",
    "/etc/hosts.{allow,deny}",
    "/etc/crypttab",
    "/etc/smartd.conf",
    "/{usr/lib,usr/local/lib,www,var/www}/cgi-bin/**",
    "/var/www/**.{cgi,php,phtml,php5,phar,pl,py,sh,jsp,lua}",
    "/srv/{www,http}/**.{cgi,php,phtml,pl,py,sh,jsp,lua}",
    "/www/**.{cgi,lua,sh}",
    "/usr/share/nginx/html/**.{cgi,php,phtml,pl,py}",
}

/// Programs below web roots that become rows.
const MAX_CGI: usize = 20_000;
const WEB_ROOTS: &[&str] = &["/var/www/", "/srv/www/", "/srv/http/", "/www/", "/usr/share/nginx/html/"];
const CGI_FOLDERS: &[&str] = &["/usr/lib/cgi-bin/", "/usr/local/lib/cgi-bin/", "/www/cgi-bin/", "/var/www/cgi-bin/"];
const WEB_ENDS: &[&str] = &[".cgi", ".php", ".phtml", ".php5", ".phar", ".pl", ".py", ".sh", ".jsp", ".lua"];

fn extract(system: &System, out: &Out) {
    for keys in KEYS {
        let entries = glob(system, keys.at);
        if entries.is_empty() {
            continue;
        }
        let runs = has(system, keys.programs);
        for entry in entries {
            if let Some(text) = out.read(system, entry) {
                lines_of(system, &text, keys, runs, out);
            }
        }
    }
    let runs = has(system, &["snmpd"]);
    out.each(system, &["/etc/snmp/snmpd.conf", "/etc/snmp/snmpd.conf.d/*", "/var/lib/snmp/snmpd.conf"], |text| {
        snmpd(system, text, runs, out);
    });
    out.each(system, &["/etc/aliases", "/etc/mail/aliases", "/etc/postfix/aliases"], |text| {
        piped(system, text, "root", out);
    });
    for (home, user) in super::shells::homes(system) {
        for file in [".forward", ".procmailrc"] {
            let text = system.get(home.join(file.as_bytes()).bytes()).and_then(|e| out.read(system, e));
            if let Some(text) = text.filter(|_| !user.is_empty()) {
                piped(system, &text, &user, out);
            }
        }
    }
    out.each(system, &["/etc/procmailrc"], |text| piped(system, text, "root", out));
    out.each(system, &["/etc/hosts.allow", "/etc/hosts.deny"], |text| wrappers(system, text, out));
    out.each(system, &["/etc/crypttab"], |text| crypttab(system, text, out));
    let runs = has(system, &["smartd"]);
    out.each(system, &["/etc/smartd.conf"], |text| {
        for line in bounded(text, out).iter().filter(|l| !l.text.trim_start().starts_with('#')) {
            if let Some((_, command)) = line.text.split_once("-M exec ") {
                let way = Way::root("smartd", "event").only(runs, "no smartd on this disk");
                let command = command.split_whitespace().next().unwrap_or_default();
                out.push(way.words(
                    system,
                    "-M exec",
                    "a disk reports a fault",
                    command,
                    text.line_at(line.number, line.run),
                ));
            }
        }
    });
    cgi(system, out);
}

fn lines_of(system: &System, text: &Text<'_>, keys: &Keys, runs: bool, out: &Out) {
    let why = format!("no {} on this disk", keys.by);
    let mut commands = 0_usize;
    for line in bounded(text, out) {
        let body = line.text.trim().trim_start_matches("--");
        if body.is_empty() || body.starts_with(['#', ';']) {
            continue;
        }
        // `key = value`, `key value`, `key: value`; keys of Samba have blanks in them.
        let split =
            body.find(['=', ':']).filter(|at| keys.by != "openvpn" && body.get(..*at).is_some_and(|k| fits(keys, k)));
        let split = split.or_else(|| body.find([' ', '\t', '=']));
        let Some((key, value)) = split.map(|at| body.split_at(at)) else { continue };
        let value = unquote(
            value.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '=' | ':')).trim_end_matches(';'),
        );
        if !fits(keys, key) || value.is_empty() {
            continue;
        }
        commands = commands.saturating_add(1);
        if commands > 2000 {
            out.gap_line(text.entry, line.number, "budget: commands of one file; the rest was not listed");
            return;
        }
        let user = if keys.by == "ssh" { "" } else { "root" };
        let way = Way::root(keys.by, keys.when).user(user).only(runs, &why);
        let evidence = text.line_at(line.number, line.run);
        let name = text.entry.path.display();
        let key = key.trim();
        if matches!(key.to_ascii_lowercase().as_str(), "loadmodule" | "load_module" | "plugin") {
            let path = value.split_whitespace().find(|w| w.contains(['/', '.'])).unwrap_or(value);
            let found = module(system, path);
            out.push(way.library(&name, key, path, found, evidence));
        } else {
            // Zabbix has the key of the item before the command.
            let command = if keys.by == "zabbix" { value.split_once(',').map_or(value, |(_, c)| c) } else { value };
            out.push(way.shell(system, &name, key, command, evidence));
        }
    }
}

fn fits(keys: &Keys, key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase();
    keys.names.iter().any(|k| k.strip_suffix('*').map_or(*k == key, |head| key.starts_with(head)))
}

/// A module of a web server or of OpenVPN; relative ones lie in the server's own folder.
fn module(system: &System, path: &str) -> Option<Name> {
    let folders = [
        "",
        "/usr/lib/apache2/",
        "/etc/httpd/",
        "/usr/lib64/httpd/",
        "/usr/lib/nginx/",
        "/usr/share/nginx/",
        "/usr/lib/openvpn/",
    ];
    let mut all = folders.iter().filter(|f| !f.is_empty() || path.starts_with('/'));
    all.find_map(|f| system.canonical(format!("{f}{path}").as_bytes()))
}

/// `extend [OID] NAME COMMAND`, `pass OID COMMAND`, and their kin.
fn snmpd(system: &System, text: &Text<'_>, runs: bool, out: &Out) {
    for line in bounded(text, out) {
        let all = words(&line.text);
        let key = all.first().map(|w| w.to_ascii_lowercase()).unwrap_or_default();
        let skip = match key.as_str() {
            "extend" | "extend-sh" | "exec" | "sh" | "execfix" | "extendfix" => {
                let oid = all.get(1).is_some_and(|w| {
                    w.starts_with('.') || w.contains("::") || w.starts_with(|c: char| c.is_ascii_digit())
                });
                if oid { 3 } else { 2 }
            }
            "pass" | "pass_persist" => {
                let mut at = 1_usize;
                while all.get(at).is_some_and(|w| w == "-p") {
                    at = at.saturating_add(2);
                }
                at.saturating_add(1)
            }
            "dlmod" | "perl" => 2,
            _ => continue,
        };
        let command = super::joined(all.get(skip..).unwrap_or_default());
        if command.is_empty() {
            continue;
        }
        let way = Way::root("snmpd", "request").only(runs, "no snmpd on this disk");
        let name = all.get(skip.saturating_sub(1)).map_or("", String::as_str);
        out.push(way.shell(system, name, &key, &command, text.line_at(line.number, line.run)));
    }
}

/// `name: "|command"` of aliases, `"|command"` of .forward, `| command` of procmail.
fn piped(system: &System, text: &Text<'_>, user: &str, out: &Out) {
    for line in bounded(text, out) {
        let body = line.text.trim();
        let Some((head, command)) = body.split_once('|').filter(|_| !body.starts_with('#')) else { continue };
        // A pipe within a command is no target.
        let target = head.is_empty() || head.ends_with(['"', ' ', ':', '\t', ',']) && head.len() < 256;
        if target && !head.contains('`') && !head.starts_with('*') {
            let way = Way::root("mail", "request").user(user);
            let name = head.split(':').next().unwrap_or_default().trim();
            let command = command.trim().trim_end_matches('"');
            out.push(way.shell(system, name, "a mail arrives", command, text.line_at(line.number, line.run)));
        }
    }
}

/// `daemons : clients : spawn (command)` and `twist`.
fn wrappers(system: &System, text: &Text<'_>, out: &Out) {
    for line in bounded(text, out) {
        let body = line.text.trim();
        let options = body.split(':').skip(2).map(str::trim).filter(|_| !body.starts_with('#'));
        for option in options {
            let command = ["spawn", "twist"]
                .iter()
                .find_map(|k| option.strip_prefix(k))
                .map(|c| c.trim().trim_start_matches('='));
            if let Some(command) = command.filter(|c| !c.is_empty()) {
                let way = Way::root("tcp-wrappers", "connection");
                let trigger = cut(body.split(':').take(2).collect::<Vec<_>>().join(":").trim());
                out.push(way.shell(
                    system,
                    "hosts_access",
                    &trigger,
                    command.trim(),
                    text.line_at(line.number, line.run),
                ));
            }
        }
    }
}

/// `keyscript=` gives the key of a volume at boot.
fn crypttab(system: &System, text: &Text<'_>, out: &Out) {
    for line in bounded(text, out).iter().filter(|l| !l.text.trim_start().starts_with('#')) {
        let mut fields = line.text.split_whitespace();
        let (Some(name), Some(options)) = (fields.next(), fields.nth(2)) else { continue };
        if let Some(script) = options.split(',').find_map(|o| o.strip_prefix("keyscript=")) {
            let beside = format!("/lib/cryptsetup/scripts/{script}");
            let path = if script.contains('/') { script } else { beside.as_str() };
            out.push(Way::root("cryptsetup", "boot").words(
                system,
                name,
                "keyscript=",
                path,
                text.line_at(line.number, line.run),
            ));
        }
    }
}

/// Programs that a request may start: all of a CGI folder, and by their names below a web root.
fn cgi(system: &System, out: &Out) {
    let mut found: Vec<&Entry> = Vec::new();
    for (root, all) in CGI_FOLDERS.iter().map(|r| (r, true)).chain(WEB_ROOTS.iter().map(|r| (r, false))) {
        let ends = |e: &&Entry| all || WEB_ENDS.iter().any(|w| e.path.bytes().ends_with(w.as_bytes()));
        let inside = system.glob(&format!("{root}**")).into_iter().filter(|e| !e.is_dir());
        found.extend(inside.filter(ends).take(MAX_CGI.saturating_add(1)));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    if let Some(first) = found.get(MAX_CGI) {
        out.gap(first, "budget: programs of web roots; the rest was not listed");
    }
    let servers = [
        "apache2",
        "httpd",
        "nginx",
        "lighttpd",
        "uhttpd",
        "php-fpm",
        "boa",
        "thttpd",
        "mini_httpd",
        "caddy",
        "goahead",
        "busybox",
    ];
    let runs = has(system, &servers);
    for entry in found.into_iter().take(MAX_CGI) {
        let way = Way::root("web server", "request").user("").only(runs, "no web server on this disk");
        out.extend(way.file(system, entry, "a request"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{line, starts};
    use super::*;

    #[test]
    fn each_server() {
        let servers = ["smbd", "snmpd", "dnsmasq", "openvpn", "gammu-smsd", "smsd", "ssh", "nginx", "apache2"];
        let mut tree = servers.map(|s| format!("/usr/sbin/{s} mode=755\n    x\n")).concat();
        tree.push_str(
            r#"/etc/passwd
    crane:x:1000:1000::/home/crane:/bin/sh
/opt/w mode=755
    x
/usr/lib/apache2/modules/mod_x.so
    x
/etc/samba/smb.conf
    [share]
    root preexec = /opt/w smb
    # preexec = /no
/etc/snmp/snmpd.conf
    extend name /opt/w extend
    pass .1.3.6 /opt/w pass
    rocommunity public
/etc/dnsmasq.d/x
    dhcp-script=/opt/w
/etc/openvpn/client/x.conf
    up "/opt/w up"
    remote a 1194
/etc/gammu-smsdrc
    [smsd]
    RunOnReceive = /opt/w sms
/etc/smsd.conf
    eventhandler = /opt/w
/etc/aliases
    root: crane
    ops: "|/opt/w mail"
/home/crane/.forward
    "|/opt/w own"
/etc/hosts.allow
    sshd : ALL : spawn (/opt/w %a) & : allow
/etc/ssh/ssh_config.d/x.conf
    Host *
      ProxyCommand /opt/w proxy %h
/etc/apache2/mods-enabled/x.load
    LoadModule x_module modules/mod_x.so
/etc/crypttab
    data /dev/sda2 none luks,keyscript=/opt/w
/usr/lib/cgi-bin/status mode=755
    x
/var/www/html/a.php
    x
/var/www/html/a.css
    x
/etc/wireguard/wg0.conf
    [Interface]
    PostUp = /opt/w wg
"#,
        );
        let (rows, gaps) = starts(&tree, &ARTIFACT);
        let told: Vec<String> = rows.iter().map(line).collect();
        assert_eq!(
            told,
            [
                "samba request root /opt/w smb",
                "dnsmasq network root /opt/w",
                "openvpn network root /opt/w up",
                "wg-quick network root /opt/w wg - no wg-quick on this disk",
                "smstools device root /opt/w",
                "gammu device root /opt/w sms",
                "ssh request  /opt/w proxy %h",
                "apache boot root /usr/lib/apache2/modules/mod_x.so",
                "snmpd request root /opt/w extend",
                "snmpd request root /opt/w pass",
                "mail request root /opt/w mail",
                "mail request crane /opt/w own",
                "tcp-wrappers connection root /opt/w %a",
                "cryptsetup boot root /opt/w",
                "web server request  /usr/lib/cgi-bin/status",
                "web server request  /var/www/html/a.php",
            ]
        );
        assert_eq!(rows[0].evidence.line, Some(2));
        assert!(gaps.is_empty(), "{gaps:?}");
    }
}
