//! Servers that are told on their command line where to listen. Options: the programs' own manuals.
use super::{arguments, option};
use crate::format::lines::words;

const SERVERS: &[&str] = &[
    "x11vnc",
    "Xvnc",
    "x0vncserver",
    "Xtigervnc",
    "vncserver",
    "tigervncserver",
    "ttyd",
    "shellinaboxd",
    "gotty",
    "telnetd",
    "in.telnetd",
    "utelnetd",
    "dropbear",
    "sshd",
    "mosquitto",
    "websockify",
    "dockerd",
    "node_exporter",
    "prometheus-node-exporter",
    "prometheus",
    "microsocks",
    "diagslave",
    "mbusd",
    "socat",
    "nc",
    "ncat",
    "netcat",
    "nc.traditional",
    "nc.openbsd",
];

/// What a command line makes its program listen on: program, protocol, address, port.
pub(in super::super) fn listens(line: &str) -> Option<(String, &'static str, String, String)> {
    let all = words(line);
    for (at, word) in all.iter().enumerate().take(64) {
        let program = word.rsplit(['/', '=']).next().unwrap_or(word).trim_start_matches(['-', '@', '!', ':', '+', '(']);
        if !SERVERS.contains(&program) {
            continue;
        }
        let args = arguments(&all, at);
        let port = |names: &[&str]| option(&args, names).map(str::to_owned);
        let display = || {
            let n = args.iter().find_map(|a| a.strip_prefix(':')?.parse::<u16>().ok())?;
            Some(5900_u16.saturating_add(n).to_string())
        };
        let found = match program {
            "x11vnc" => port(&["-rfbport"]).or_else(|| Some("5900".into())),
            "Xvnc" | "x0vncserver" | "Xtigervnc" | "vncserver" | "tigervncserver" if !args.contains(&"-kill") => {
                port(&["-rfbport", "--rfbport"]).or_else(display)
            }
            "ttyd" => port(&["-p", "--port"]).or_else(|| Some("7681".into())),
            "shellinaboxd" => port(&["-p", "--port"]).or_else(|| Some("4200".into())),
            "gotty" => port(&["-p", "--port"]).or_else(|| Some("8080".into())),
            "dockerd" => args.iter().find_map(|a| a.split_once("tcp://")).map(|(_, rest)| rest.to_owned()),
            "node_exporter" | "prometheus-node-exporter" | "prometheus" => {
                let default = if program == "prometheus" { "9090" } else { "9100" };
                port(&["--web.listen-address"]).or_else(|| Some(default.into()))
            }
            "microsocks" => port(&["-p"]).or_else(|| Some("1080".into())),
            "diagslave" => port(&["-p"]).or_else(|| Some("502".into())),
            "mbusd" => port(&["-P"]).or_else(|| Some("502".into())),
            "telnetd" | "in.telnetd" | "utelnetd" | "dropbear" | "sshd" | "mosquitto" => port(&["-p"]),
            "websockify" => args.iter().find(|a| split_port(a).is_some()).map(|a| (*a).to_owned()),
            "socat" => args.iter().find_map(|a| {
                let (kind, rest) = a.split_once(':')?;
                let kind = kind.to_ascii_uppercase();
                (kind.ends_with("-LISTEN") || kind.ends_with("-L"))
                    .then(|| rest.split(',').next().unwrap_or(rest).to_owned())
            }),
            "nc" | "ncat" | "netcat" | "nc.traditional" | "nc.openbsd"
                if args
                    .iter()
                    .any(|a| a.starts_with('-') && !a.starts_with("--") && a.contains('l') || *a == "--listen") =>
            {
                args.iter().rev().find(|a| a.parse::<u16>().is_ok()).map(|a| (*a).to_owned())
            }
            _ => None,
        };
        // A variable tells nothing; a port of a file is told by the file.
        if let Some((address, port)) = found.as_deref().and_then(split_port) {
            let udp = args.iter().any(|a| a.to_ascii_uppercase().starts_with("UDP"));
            return Some((program.to_owned(), if udp { "udp" } else { "tcp" }, address.to_owned(), port.to_owned()));
        }
    }
    None
}

/// `port` or `address:port`, if the port is a number.
fn split_port(value: &str) -> Option<(&str, &str)> {
    let (address, port) = value.rsplit_once(':').unwrap_or(("*", value));
    port.parse::<u16>().ok().map(|_| (if address.is_empty() { "*" } else { address }, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_by_their_arguments() {
        for (line, shown) in [
            ("ExecStart=/usr/bin/x11vnc -forever -rfbport 5901 -nopw", "x11vnc tcp * 5901"),
            ("ExecStart=/usr/bin/Xvnc :3 -geometry 1x1", "Xvnc tcp * 5903"),
            ("/opt/x/ttyd -c u:p bash", "ttyd tcp * 7681"),
            ("dropbear -R -p 0.0.0.0:2222", "dropbear tcp 0.0.0.0 2222"),
            ("socat TCP-LISTEN:9999,fork EXEC:/bin/sh", "socat tcp * 9999"),
            ("nc -lvp 4444 -e /bin/sh", "nc tcp * 4444"),
            ("/sbin/telnetd -l /bin/sh -p 2323", "telnetd tcp * 2323"),
            ("ExecStart=/usr/bin/dockerd -H fd:// -H tcp://0.0.0.0:2375", "dockerd tcp 0.0.0.0 2375"),
            ("/usr/bin/node_exporter --web.listen-address=:9101", "node_exporter tcp * 9101"),
            ("/usr/local/bin/mbusd -d -p /dev/ttyS0", "mbusd tcp * 502"),
        ] {
            let got = listens(line).map(|(a, b, c, d)| format!("{a} {b} {c} {d}"));
            assert_eq!(got.as_deref(), Some(shown), "{line}");
        }
        for line in
            ["/usr/sbin/sshd -D $SSHD_OPTS", "dropbear -EF -p \"$PORT\"", "nc -z host 80", "mosquitto -c /etc/x"]
        {
            assert!(listens(line).is_none(), "{line}");
        }
    }
}
