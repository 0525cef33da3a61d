//! Commands that set packet filters up, and switches of forwarding, as scripts write them.
//! iptables(8), ebtables(8), arptables(8), nft(8), ufw(8), firewall-cmd(1), sysctl(8).
use crate::artifact::linux::net::{iptables, nftables};
use crate::format::lines::words;
use crate::inventory::{FirewallRule, Setting};

/// No line has more.
const MAX_RULES: usize = 64;

/// The rules that one line of a script adds.
pub(in super::super) fn rules(line: &str) -> Vec<FirewallRule> {
    // To take every line apart would cost more than all else.
    if !["tables", "nft", "ufw", "firewall-cmd"].iter().any(|p| line.contains(p)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut command: Vec<String> = Vec::new();
    for word in words(line) {
        let ends = word.ends_with(';') || matches!(word.as_str(), "&&" | "||" | "|" | "&" | "then" | "do" | "else");
        command.push(word);
        if ends {
            found.extend(rule(&std::mem::take(&mut command)));
        }
    }
    found.extend(rule(&command));
    found.truncate(MAX_RULES);
    found
}

fn rule(words: &[String]) -> Option<FirewallRule> {
    let program =
        |w: &String| w.rsplit(['/', '=']).next().unwrap_or(w).trim_start_matches(['-', '@', '!', '+']).to_owned();
    let (at, name) = words.iter().take(8).enumerate().find_map(|(at, w)| {
        let name = program(w);
        let plain = name.trim_end_matches("-legacy").trim_end_matches("-nft");
        matches!(plain, "iptables" | "ip6tables" | "ebtables" | "arptables" | "nft" | "ufw" | "firewall-cmd")
            .then(|| (at, plain.to_owned()))
    })?;
    let rest: Vec<&str> = words
        .get(at.checked_add(1)?..)?
        .iter()
        .map(|w| w.trim_end_matches(';'))
        .take_while(|w| !w.starts_with('>') && !w.starts_with("2>") && !matches!(*w, "&&" | "||" | "|" | "&"))
        .filter(|w| !w.is_empty())
        .collect();
    match name.as_str() {
        "nft" => {
            let verb = rest.iter().position(|w| matches!(*w, "add" | "insert"))?;
            let body = rest.get(verb.checked_add(1)?..)?;
            let (["rule"], body) = body.split_at_checked(1)? else { return None };
            let family =
                usize::from(matches!(body.first(), Some(&("ip" | "ip6" | "inet" | "arp" | "bridge" | "netdev"))));
            let rule = body.get(family.checked_add(2)?..)?.join(" ");
            Some(FirewallRule {
                manager: "nftables".into(),
                table: body.get(..=family)?.join(" "),
                chain: (*body.get(family.checked_add(1)?)?).to_owned(),
                action: nftables::action(&rule).into(),
                rule,
                ..FirewallRule::default()
            })
        }
        "ufw" => {
            let verb = rest.iter().find(|w| matches!(**w, "allow" | "deny" | "reject" | "limit"))?;
            Some(FirewallRule {
                manager: "ufw".into(),
                rule: rest.join(" "),
                action: match *verb {
                    "deny" => "drop",
                    "reject" => "reject",
                    _ => "accept",
                }
                .into(),
                ..FirewallRule::default()
            })
        }
        "firewall-cmd" => {
            let added = rest.iter().find(|w| w.starts_with("--add-") || w.starts_with("--direct"))?;
            Some(FirewallRule {
                manager: "firewalld".into(),
                chain: rest.iter().find_map(|w| w.strip_prefix("--zone=")).unwrap_or_default().to_owned(),
                rule: rest.join(" "),
                action: if added.starts_with("--add-masquerade") {
                    "masquerade"
                } else if added.starts_with("--add-forward-port") {
                    "dnat"
                } else if added.starts_with("--direct") {
                    "other"
                } else {
                    "accept"
                }
                .into(),
                ..FirewallRule::default()
            })
        }
        tables => {
            let at =
                rest.iter().position(|w| matches!(*w, "-A" | "-I" | "--append" | "--insert" | "-P" | "--policy"))?;
            let body = rest.get(at..)?;
            let after =
                |names: &[&str]| rest.iter().position(|w| names.contains(w)).and_then(|p| rest.get(p.checked_add(1)?));
            let table = after(&["-t", "--table"]).map_or("filter", |t| t);
            let policy = matches!(body.first(), Some(&("-P" | "--policy")));
            Some(FirewallRule {
                manager: if tables == "ip6tables" { "iptables" } else { tables }.into(),
                table: if tables == "ip6tables" { format!("{table} (ip6)") } else { table.to_owned() },
                chain: (*body.get(1)?).to_owned(),
                action: if policy {
                    "policy"
                } else {
                    after(&["-j", "--jump", "-g", "--goto"]).map_or("other", |t| iptables::action(t))
                }
                .into(),
                rule: without_table(body),
                ..FirewallRule::default()
            })
        }
    }
}

/// A rule as iptables-save writes it: the table stands elsewhere.
fn without_table(words: &[&str]) -> String {
    let at = words.iter().position(|w| matches!(*w, "-t" | "--table"));
    let kept = words.iter().enumerate().filter(|(n, _)| at.is_none_or(|at| *n != at && *n != at.saturating_add(1)));
    kept.map(|(_, w)| *w).collect::<Vec<_>>().join(" ")
}

/// Forwarding of packets, switched on by a line of a script.
pub(in super::super) fn forwarding(line: &str) -> Option<Setting> {
    if !line.contains("forward") {
        return None;
    }
    let all = words(line);
    let name = |text: &str| {
        let plain = text.trim_start_matches("/proc/sys/").replace('/', ".");
        (plain == "net.ipv4.ip_forward"
            || (plain.starts_with("net.ipv4.conf.") || plain.starts_with("net.ipv6.conf."))
                && plain.ends_with(".forwarding"))
        .then_some(plain)
    };
    let (name, value) = all.iter().enumerate().find_map(|(at, word)| {
        // `sysctl -w net.ipv4.ip_forward=1`, `echo 1 > /proc/sys/net/ipv4/ip_forward`, `echo 1 >/proc/…`
        if let Some((key, value)) = word.split_once('=') {
            return all.iter().any(|w| w.ends_with("sysctl")).then(|| Some((name(key)?, value.to_owned())))?;
        }
        let file = word.trim_start_matches('>');
        let name = name(file).filter(|_| file.starts_with("/proc/sys/"))?;
        let value = all.get(..at)?.iter().rev().find(|w| w.bytes().all(|b| b.is_ascii_digit()))?;
        Some((name, value.clone()))
    })?;
    Some(Setting { program: "sysctl".into(), name, value, effective: true, ..Setting::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_scripts() {
        let shown = |line: &str| -> Vec<String> {
            rules(line)
                .iter()
                .map(|r| format!("{}|{}|{}|{}|{}", r.manager, r.table, r.chain, r.rule, r.action))
                .collect()
        };
        for (line, told) in [
            (
                "/sbin/iptables -t nat -A POSTROUTING -o ppp0 -j MASQUERADE; iptables -P FORWARD ACCEPT",
                &[
                    "iptables|nat|POSTROUTING|-A POSTROUTING -o ppp0 -j MASQUERADE|masquerade",
                    "iptables|filter|FORWARD|-P FORWARD ACCEPT|policy",
                ][..],
            ),
            (
                "up iptables -I PREROUTING -t nat -p tcp --dport 102 -j DNAT --to 10.0.0.9 || true",
                &["iptables|nat|PREROUTING|-I PREROUTING -p tcp --dport 102 -j DNAT --to 10.0.0.9|dnat"],
            ),
            ("ip6tables -A INPUT -j DROP 2>/dev/null", &["iptables|filter (ip6)|INPUT|-A INPUT -j DROP|drop"]),
            ("ebtables -t nat -A PREROUTING -j redirect", &["ebtables|nat|PREROUTING|-A PREROUTING -j redirect|jump"]),
            (
                "nft add rule ip nat post oifname wwan0 masquerade",
                &["nftables|ip nat|post|oifname wwan0 masquerade|masquerade"],
            ),
            ("ufw allow from 10.0.0.0/8 to any port 22", &["ufw|||allow from 10.0.0.0/8 to any port 22|accept"]),
            (
                "firewall-cmd --zone=public --add-masquerade --permanent",
                &["firewalld||public|--zone=public --add-masquerade --permanent|masquerade"],
            ),
            ("iptables -L -n", &[]),
            ("iptables-save > /etc/iptables/rules.v4", &[]),
            ("nft list ruleset", &[]),
            ("iptables -D INPUT 1", &[]),
        ] {
            assert_eq!(shown(line), told, "{line}");
        }
    }

    #[test]
    fn forwarding_is_seen_where_it_is_set() {
        let told = |line: &str| forwarding(line).map(|s| format!("{}={}", s.name, s.value));
        for line in [
            "echo 1 > /proc/sys/net/ipv4/ip_forward",
            "echo \"1\" >/proc/sys/net/ipv4/ip_forward",
            "/sbin/sysctl -w net.ipv4.ip_forward=1",
            "sysctl net/ipv4/ip_forward=1",
        ] {
            assert_eq!(told(line).as_deref(), Some("net.ipv4.ip_forward=1"), "{line}");
        }
        assert_eq!(told("sysctl -q net.ipv6.conf.all.forwarding=1").as_deref(), Some("net.ipv6.conf.all.forwarding=1"));
        assert_eq!(told("cat /proc/sys/net/ipv4/ip_forward"), None);
        assert_eq!(told("echo forward 1"), None);
    }
}
