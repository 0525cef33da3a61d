//! Listings of eUICCs as JSON: what `lpac chip info` and `lpac profile list` print, one object a line or one in all.
//! Fields by the names of SGP.22 (GSMA), as lpac and programs over it use them.
use serde_json::Value;

/// A profile on an eUICC: a SIM in software.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub iccid: String,
    pub provider: String,
    pub name: String,
    pub nickname: String,
    /// enabled, disabled.
    pub state: String,
    /// operational, provisioning, test.
    pub class: String,
    /// From 1.
    pub line: u32,
}

/// What a listing says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub profiles: Vec<Profile>,
    /// EIDs, and the line of each.
    pub eids: Vec<(String, u32)>,
    /// Servers that profiles are fetched from: SM-DP+ and SM-DS.
    pub servers: Vec<(String, u32)>,
}

/// Values of a listing that are looked at.
const MAX_STEPS: u32 = 200_000;
const MAX_PROFILES: usize = 1000;

/// Reads a text that is JSON as a whole or line by line; nothing where it is none.
pub fn read(text: &str) -> Listing {
    let mut listing = Listing::default();
    let mut steps = MAX_STEPS;
    if let Ok(json) = serde_json::from_str::<Value>(text) {
        let line = |wanted: &str| {
            let at = text.find(wanted).unwrap_or(0);
            let before = text.get(..at).unwrap_or_default().matches('\n').count();
            u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
        };
        take(&json, &line, &mut listing, &mut steps);
        return listing;
    }
    for (number, line) in (1_u32..).zip(text.lines()) {
        // A terminal may have put a prompt or a time before it.
        let Some(json) = line.find('{').and_then(|at| line.get(at..)) else { continue };
        if let Ok(json) = serde_json::from_str::<Value>(json) {
            take(&json, &|_| number, &mut listing, &mut steps);
        }
    }
    listing
}

fn take(json: &Value, line: &dyn Fn(&str) -> u32, listing: &mut Listing, steps: &mut u32) {
    let mut todo = vec![json];
    while let Some(value) = todo.pop() {
        *steps = match steps.checked_sub(1) {
            Some(left) => left,
            None => return,
        };
        let all = match value {
            Value::Array(all) => {
                todo.extend(all.iter().rev());
                continue;
            }
            Value::Object(all) => all,
            _ => continue,
        };
        let text = |key: &str| match all.get(key) {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        if let Some(iccid) = super::at::iccid(&text("iccid"))
            && listing.profiles.len() < MAX_PROFILES
        {
            let line = line(iccid.trim_end_matches('F'));
            listing.profiles.push(Profile {
                provider: text("serviceProviderName"),
                name: text("profileName"),
                nickname: text("profileNickname"),
                state: word(&text("profileState"), &["disabled", "enabled"]),
                class: word(&text("profileClass"), &["test", "provisioning", "operational"]),
                iccid,
                line,
            });
        }
        for key in ["eidValue", "eid"] {
            let eid = text(key);
            if super::at::is_eid(&eid) && !listing.eids.iter().any(|(e, _)| *e == eid) {
                let at = line(&eid);
                listing.eids.push((eid, at));
            }
        }
        for key in ["defaultDpAddress", "rootDsAddress", "smdpAddress"] {
            let server = text(key);
            if server.contains('.') && !listing.servers.iter().any(|(s, _)| *s == server) {
                let at = line(&server);
                listing.servers.push((server, at));
            }
        }
        todo.extend(all.values().rev());
    }
}

/// Older programs write numbers for words.
fn word(text: &str, words: &[&str]) -> String {
    let by_number = text.parse::<usize>().ok().and_then(|n| words.get(n));
    by_number.map_or_else(|| text.to_owned(), |w| (*w).to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIST: &str = r#"{"type":"lpa","payload":{"code":0,"message":"success","data":[{"iccid":"8944476500001224158","isdpAid":"a0000005591010ffffffff8900001100","profileState":"enabled","profileNickname":null,"serviceProviderName":"Carrier","profileName":"Carrier IoT","iconType":"none","icon":null,"profileClass":"operational"},{"iccid":"89860123456789012345","profileState":"disabled","serviceProviderName":"Other","profileName":"m2m","profileClass":"operational"}]}}"#;
    const CHIP: &str = r#"{"type":"lpa","payload":{"code":0,"message":"success","data":{"eidValue":"89049032123451234512345678901235","EuiccConfiguredAddresses":{"defaultDpAddress":null,"rootDsAddress":"lpa.ds.example.com"}}}}"#;

    #[test]
    fn profiles_keep_their_state() {
        let one = read(LIST);
        assert_eq!(one.profiles.len(), 2);
        let first = one.profiles.first().unwrap();
        assert_eq!((&*first.iccid, &*first.state, &*first.name), ("8944476500001224158", "enabled", "Carrier IoT"));
        assert_eq!(one.profiles.get(1).unwrap().state, "disabled");
        let talk = format!("$ lpac chip info\n{{\"type\":\"progress\"}}\n{CHIP}\n$ lpac profile list\n{LIST}\n");
        let all = read(&talk);
        assert_eq!(all.eids, [("89049032123451234512345678901235".to_owned(), 3)]);
        assert_eq!(all.servers, [("lpa.ds.example.com".to_owned(), 3)]);
        assert_eq!(all.profiles.iter().map(|p| p.line).collect::<Vec<_>>(), [5, 5]);
        assert_eq!(word("1", &["disabled", "enabled"]), "enabled");
    }
    #[test]
    fn other_json_is_nothing() {
        for text in ["", "{}", "[1,2]", "{\"iccid\":\"x\"}", "{\"iccid\":", &"[".repeat(5000)] {
            assert_eq!(read(text), Listing::default());
        }
    }
}
