//! Periods of use in words, for both kinds of link.
use crate::base::Time;
use crate::inventory::Session;
use std::fmt::Write as _;

/// When a link was in use, over what, and how much, as its record tells.
pub(super) fn told(s: &Session) -> String {
    let when = |t: Option<Time>, none: &str| t.map_or_else(|| none.to_owned(), |t| t.to_string());
    let end = match (s.end, s.end_before) {
        (Some(end), _) => format!("to {end}"),
        (None, Some(before)) => format!("(its end is not recorded; before {before})"),
        (None, None) => "(its end is not recorded)".to_owned(),
    };
    let mut told = format!("{} recorded a link in use from {} {end}", s.program, when(s.start, "an unknown time"));
    for (word, text) in [
        ("device", s.device.clone()),
        ("interface", s.interface.clone()),
        ("far end", s.peer.join(", ")),
        ("address", s.address.join(", ")),
        ("APN", s.apn.clone()),
        ("number", s.number.clone()),
        ("operator", s.operator.join(", ")),
    ] {
        if !text.is_empty() {
            let _ = write!(told, ", {word} {text}");
        }
    }
    if let (Some(sent), Some(received)) = (s.sent, s.received) {
        let _ = write!(told, ", {sent} bytes sent, {received} received");
    }
    if !s.recorded_as.is_empty() {
        let _ = write!(told, " (recorded on this disk as {})", s.recorded_as);
    }
    told
}

/// What lines of another machine are worth: of one that only bears another name nothing is known.
pub(super) fn foreign(recorded_as: &str) -> Option<String> {
    let other = ["machine-id ", "DMI ", "MAC "].iter().any(|mark| recorded_as.contains(mark));
    other.then(|| {
        format!("its log names {recorded_as}, which is not this system: recorded on this disk, not shown to be of this machine")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::baseline::Baselines;
    use crate::inventory::{Connection, Inventory, Row, Scene};
    use crate::judge::{Finding, Knowledge, Policy, Rung, judge};

    fn judged(rows: Vec<Row>) -> Vec<Finding> {
        let mut inventory = Inventory::default();
        rows.into_iter().for_each(|r| inventory.push(r));
        let knowledge = Knowledge::load(&[]).unwrap();
        let all = judge(
            &knowledge,
            &Baselines::default(),
            &Policy::default(),
            "2026-01-01",
            &Scene::default(),
            &inventory,
            &[],
        );
        all.findings.into_iter().filter(|f| f.rule == "remote-access-path").collect()
    }
    fn vpn(name: &str, interface: &str) -> Row {
        Connection {
            system: Some(0),
            name: name.into(),
            manager: "openvpn".into(),
            kind: "vpn".into(),
            interface: interface.into(),
            endpoints: vec!["vpn.maker.example:1194".into()],
            enabled: true,
            ..Connection::default()
        }
        .into()
    }
    fn session(interface: &str, peer: &str) -> Row {
        Session {
            system: Some(0),
            kind: "tunnel".into(),
            program: "openvpn".into(),
            interface: interface.into(),
            peer: vec![peer.into()],
            start: Some(Time::seconds(1_700_000_000)),
            end: Some(Time::seconds(1_700_003_600)),
            ..Session::default()
        }
        .into()
    }

    #[test]
    fn a_recorded_period_lifts_its_tunnel_to_used() {
        for period in [session("tun3", "203.0.113.1"), session("", "vpn.maker.example")] {
            let found = judged(vec![vpn("maker", "tun3"), period]);
            assert_eq!(found.len(), 1, "{found:#?}");
            assert_eq!(found[0].rung, Some(Rung::Used));
            assert!(found[0].observed.contains("to 2023-11-14T23:13:20Z"), "{}", found[0].observed);
        }
    }
    #[test]
    fn what_another_machine_recorded_weighs_less_unless_this_one_did_too() {
        let of = |recorded_as: &str, from: i64| {
            let Row::Session(s) = session("tun3", "203.0.113.1") else { unreachable!("a session") };
            Row::from(Session { recorded_as: recorded_as.into(), start: Some(Time::seconds(from)), ..*s })
        };
        let severity = |rows: Vec<Row>| {
            let found = judged([vec![vpn("maker", "tun3")], rows].concat());
            (found[0].severity, found[0].observed.contains("not shown to be of this machine"))
        };
        let own = severity(vec![of("", 1_700_000_000)]);
        let other = severity(vec![of("MAC 00:22:68:00:00:01", 1_600_000_000)]);
        assert!(other.0 < own.0 && other.1 && !own.1, "{own:?} {other:?}");
        let both = severity(vec![of("MAC 00:22:68:00:00:01", 1_600_000_000), of("", 1_700_000_000)]);
        assert_eq!(both, own);
    }
    #[test]
    fn a_period_of_another_machine_says_so() {
        let of_another = Session { recorded_as: "machine-id abc".into(), ..Session::default() };
        assert!(told(&of_another).contains("recorded on this disk as machine-id abc"));
        assert!(foreign("machine-id abc").is_some() && foreign("host b").is_none());
    }
}
