//! Who gave out a SIM: country and network by the codes that an IMSI begins with (ITU-T E.212), from
//! `assets/knowledge/networks.toml`. A code of a network has two digits or three; the list knows which.
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const TEXT: &str = include_str!("../../assets/knowledge/networks.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asset {
    schema: u32,
    country: BTreeMap<String, String>,
    network: BTreeMap<String, String>,
    added: BTreeMap<String, String>,
}

struct Networks {
    country: BTreeMap<String, String>,
    network: BTreeMap<String, String>,
}

static NETWORKS: LazyLock<Result<Networks, String>> = LazyLock::new(|| {
    let mut asset: Asset = toml::from_str(TEXT).map_err(|e| e.to_string())?;
    if asset.schema != 1 {
        return Err("networks.toml: unknown schema".to_owned());
    }
    asset.network.append(&mut asset.added);
    Ok(Networks { country: asset.country, network: asset.network })
});

/// Why nothing is known; a fault of this program.
pub(crate) fn fault() -> Option<&'static str> {
    NETWORKS.as_ref().err().map(String::as_str)
}

/// Whether the number is an IMSI of a country and a network of it that the list has. An IMSI has no check digit: among
/// bytes of no file this is what tells it from other numbers of its length.
pub(crate) fn is_known(number: &str) -> bool {
    let Ok(known) = NETWORKS.as_ref() else { return false };
    let has = |code: Option<&str>| code.is_some_and(|code| known.network.contains_key(code));
    (14..=15).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
        && (has(number.get(..5)) || has(number.get(..6)))
}

/// The network of an IMSI, or of a country and network code alone: `China Mobile (cn)`; a network that the list does
/// not have by its country, `network 99 of cn`; `None` where not even that is known.
pub(crate) fn operator(number: &str) -> Option<String> {
    let known = NETWORKS.as_ref().ok()?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let country = known.country.get(number.get(..3)?)?;
    // Of a code alone its length is told; an IMSI's first five or six digits are one.
    let (short, long) = (number.get(..5)?, number.get(..6));
    let by = |code: Option<&str>| known.network.get(code?);
    let name = if number.len() == 5 { by(Some(short)) } else { by(long).or_else(|| by(Some(short))) };
    Some(match name {
        Some(name) => format!("{name} ({country})"),
        None if number.len() <= 6 => format!("network {} of {country}", number.get(3..).unwrap_or_default()),
        None => format!("a network of {country}"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_asset_is_sound() {
        assert_eq!(fault(), None);
        let known = NETWORKS.as_ref().unwrap();
        for code in known.network.keys() {
            assert!(matches!(code.len(), 5 | 6) && known.country.contains_key(&code[..3]), "{code}");
        }
        // No longer code begins with a shorter one, else six digits would be ambiguous.
        for code in known.network.keys().filter(|c| c.len() == 6) {
            assert!(!known.network.contains_key(&code[..5]), "{code} and {}", &code[..5]);
        }
    }

    #[test]
    fn a_sim_is_of_its_network() {
        let of = |number: &str| operator(number).unwrap_or_default();
        assert_eq!(of("460001234567890"), "China Mobile (cn)");
        assert_eq!(of("460111234567890"), "China Telecom (cn)");
        assert_eq!(of("46007"), "China Mobile (cn)");
        assert_eq!(of("310410123456789"), "AT&T / AweSIM / Straight Talk (us)");
        assert_eq!(of("310410"), "AT&T / AweSIM / Straight Talk (us)");
        assert_eq!(of("460991234567890"), "a network of cn");
        assert_eq!(of("46099"), "network 99 of cn");
        assert_eq!((of("999991234567890"), of("4600x"), of("46")), (String::new(), String::new(), String::new()));
        assert!(is_known("460001234567890") && !is_known("460991234567890"));
        assert!(!is_known("999991234567890") && !is_known("46000"));
    }
}
