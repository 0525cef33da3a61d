//! Services by the hosts under which they are reached: `remote-hosts.toml`.
use super::facts::Tool;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHosts {
    #[serde(rename = "schema")]
    _schema: u32,
    #[serde(rename = "service")]
    services: Vec<RawService>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawService {
    id: String,
    name: Option<String>,
    class: Option<String>,
    hosts: Vec<String>,
}

/// Names of hosts, by their labels from the right; `*` is any one label.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    below: BTreeMap<String, Self>,
    /// Id of the tool whose name ends here.
    tool: Option<String>,
}

impl Hosts {
    /// The index, and the services that no program is known of. `known` are the ids of the tools.
    pub(super) fn new(raw: RawHosts, known: impl Fn(&str) -> bool) -> Result<(Self, Vec<Tool>), String> {
        let mut hosts = Self::default();
        let mut more: Vec<Tool> = Vec::new();
        for service in raw.services {
            let is_new = !known(&service.id);
            match (is_new, service.name, service.class) {
                (true, Some(name), Some(class)) if more.iter().all(|t| t.id != service.id) => {
                    more.push(Tool::of(&service.id, name, class));
                }
                (false, None, None) => {}
                _ => {
                    return Err(format!("{}: either a tool's id, or an own one with name and class, once", service.id));
                }
            }
            for host in &service.hosts {
                let end = host.rsplit('.').fold(&mut hosts, |at, label| at.below.entry(label.to_owned()).or_default());
                if let Some(other) = end.tool.replace(service.id.clone()) {
                    return Err(format!("{host} is named for {other} and for {}", service.id));
                }
            }
        }
        Ok((hosts, more))
    }
    /// Id of the service whose name is the longest end of this host's, label by label.
    pub(super) fn service(&self, host: &str) -> Option<&str> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let mut at = self;
        let mut found = None;
        for label in host.rsplit('.') {
            let Some(next) = at.below.get(label).or_else(|| at.below.get("*")) else { break };
            at = next;
            found = at.tool.as_deref().or(found);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hosts(text: &str) -> Result<Hosts, String> {
        Hosts::new(toml::from_str(text).unwrap(), |id| id == "known").map(|(hosts, _)| hosts)
    }

    #[test]
    fn the_longest_end_of_a_name_counts() {
        let text = "schema = 1\n[[service]]\nid = 'known'\nhosts = ['maker.example', 'iot.*.cloud.example']\n\
                    [[service]]\nid = 'own'\nname = 'Own'\nclass = 'vpn'\nhosts = ['vpn.maker.example']\n";
        let h = hosts(text).unwrap();
        assert_eq!(h.service("maker.example"), Some("known"));
        assert_eq!(h.service("A.Maker.Example."), Some("known"));
        assert_eq!(h.service("eu.vpn.maker.example"), Some("own"));
        assert_eq!(h.service("x.iot.north-4.cloud.example"), Some("known"));
        for other in ["example", "notmaker.example", "maker.example.org", "iot.cloud.example", "", "10.0.0.1"] {
            assert_eq!(h.service(other), None, "{other}");
        }
    }
    /// What a configuration that names this host is worth, with the service's own names taken out.
    fn judged(host: &str, name: &str) -> Vec<String> {
        use crate::base::Evidence;
        use crate::inventory::{Endpoint, Inventory, Scene};
        let evidence = Evidence { path: "/opt/agent/agent.conf".into(), line: Some(3), ..Evidence::default() };
        let host_row = Endpoint {
            system: Some(0),
            host: host.into(),
            class: "name".into(),
            told: "text".into(),
            by: "agent".into(),
            evidence,
            ..Endpoint::default()
        };
        let mut inventory = Inventory::default();
        inventory.push(host_row.into());
        let knowledge = crate::judge::Knowledge::load(&[]).unwrap();
        let sets = crate::baseline::Baselines::default();
        let found = crate::judge::judge(
            &knowledge,
            &sets,
            &crate::judge::Policy::default(),
            "2026-01-01",
            &Scene::default(),
            &inventory,
            &[],
        )
        .findings;
        let telling = |f: &crate::judge::Finding| {
            let observed = f.observed.replace(host, "HOST").replace(name, "NAME");
            let subject = f.subject.replace(host, "HOST").replace(name, "NAME");
            format!("{} {:?} {:?} {:?} {subject}: {observed}", f.rule, f.severity, f.rung, f.confidence)
        };
        found.iter().map(telling).collect()
    }

    #[test]
    fn whose_service_it_is_changes_nothing() {
        let tools = crate::judge::Knowledge::load(&[]).unwrap().facts().tools.clone();
        let mut first: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
        let text = include_str!("../../../assets/knowledge/remote-hosts.toml");
        let raw: RawHosts = toml::from_str(text).unwrap();
        for service in &raw.services {
            let tool = tools.by_id(&service.id).unwrap();
            let host = service.hosts.first().unwrap().replace('*', "region");
            let found = judged(&host, &tool.name);
            assert_eq!(found.len(), 1, "{host}: {found:#?}");
            let (of, like) = first.entry(tool.class.clone()).or_insert_with(|| (service.id.clone(), found.clone()));
            assert_eq!(found, *like, "{} and {of}, both {}", service.id, tool.class);
        }
        assert!(first.len() > 5, "classes of services");
    }
    #[test]
    fn what_contradicts_is_refused() {
        let twice = "schema = 1\n[[service]]\nid = 'known'\nhosts = ['a.b', 'a.b']\n";
        assert!(hosts(twice).unwrap_err().contains("a.b"));
        let nameless = "schema = 1\n[[service]]\nid = 'other'\nhosts = ['a.b']\n";
        assert!(hosts(nameless).unwrap_err().contains("other"));
    }
}
