//! inetd and xinetd: the port is the service's name or number.
use super::push;
use crate::artifact::Out;
use crate::artifact::linux::net::bounded;
use crate::artifact::linux::net::{is_no, is_yes};
use crate::base::Run;
use crate::evidence::System;

/// Name, line and settings of a service.
type Service = (String, u32, Run, Vec<(String, String)>);

pub(super) fn extract(system: &System, out: &Out) {
    out.each(system, &["/etc/inetd.conf", "/etc/inetd.d/*"], |text| {
        for line in bounded(text, out) {
            let w: Vec<&str> = line.text.split_whitespace().collect();
            // service type protocol wait user server arguments
            if let [service, _, protocol, wait, _, server, args @ ..] = w.as_slice()
                && !service.starts_with('#')
                && (wait.starts_with("wait") || wait.starts_with("nowait"))
            {
                let (address, port) = service.rsplit_once(':').unwrap_or(("", service));
                let program = if server.ends_with("/tcpd") { args.first().copied().unwrap_or(server) } else { server };
                push(
                    text,
                    out,
                    (line.number, line.run),
                    service,
                    program,
                    if protocol.starts_with("udp") { "udp" } else { "tcp" },
                    address,
                    port,
                );
            }
        }
    });
    out.each(system, &["/etc/xinetd.conf", "/etc/xinetd.d/*"], |text| {
        let mut open: Option<Service> = None;
        for line in bounded(text, out) {
            let body = line.text.trim();
            if let Some(name) = body.strip_prefix("service ") {
                open = Some((name.trim().trim_end_matches('{').trim().to_owned(), line.number, line.run, Vec::new()));
            } else if body == "}" {
                let Some((name, number, run, own)) = open.take() else { continue };
                let get = |key: &str| own.iter().rev().find(|(k, _)| k == key).map_or("", |(_, v)| v.as_str());
                // The programs that xinetd serves itself are off unless someone changed that.
                if is_yes(get("disable"))
                    || (get("disable").is_empty() && get("server").is_empty() && get("redirect").is_empty())
                {
                    continue;
                }
                let port = if get("port").is_empty() { &name } else { get("port") };
                let program = [get("server"), get("redirect"), &name]
                    .into_iter()
                    .find(|p| !p.is_empty())
                    .unwrap_or_default()
                    .to_owned();
                let protocol = if get("protocol") == "udp" || get("socket_type") == "dgram" { "udp" } else { "tcp" };
                let kept = is_no(get("disable")) || !get("server").is_empty() || !get("redirect").is_empty();
                if kept {
                    push(text, out, (number, run), &format!("service {name}"), &program, protocol, get("bind"), port);
                }
            } else if let (Some((.., own)), Some((key, value))) = (&mut open, body.split_once('='))
                && own.len() < 200
                && !body.starts_with('#')
            {
                own.push((key.trim().trim_end_matches(['+', '-']).trim().to_owned(), value.trim().to_owned()));
            }
        }
    });
}
