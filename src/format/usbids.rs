//! What USB and PCI ids say a device is, from `assets/knowledge/usb-devices.toml` (its header gives the layout).
use std::collections::BTreeMap;
use std::sync::LazyLock;

const TEXT: &str = include_str!("../../assets/knowledge/usb-devices.toml");

/// What is known of an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// cellular, cellular-vendor, maybe-cellular, satellite, phone, gnss, other; empty where no list has the id.
    pub class: &'static str,
    pub name: &'static str,
    /// Drivers that claim the id, comma between.
    pub drivers: &'static str,
}

struct Tables {
    usb: BTreeMap<(&'static str, &'static str), Known>,
    vendors: BTreeMap<&'static str, Known>,
    pci: BTreeMap<(&'static str, &'static str), Vec<([&'static str; 2], Known)>>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(read);

/// The lines of one table of the asset: literal strings, so that they are used as they stand.
fn lines(table: &str) -> impl Iterator<Item = &'static str> {
    let open = format!("\n{table} = '''\n");
    let body = TEXT.find(&open).and_then(|at| TEXT.get(at.saturating_add(open.len())..)).unwrap_or_default();
    body.split("'''").next().unwrap_or_default().lines()
}

fn read() -> Tables {
    let drivers = |d: &'static str| if d == "-" { "" } else { d };
    let mut tables = Tables { usb: BTreeMap::new(), vendors: BTreeMap::new(), pci: BTreeMap::new() };
    for line in lines("usb") {
        let mut words = line.splitn(5, ' ');
        if let (Some(vid), Some(pid), Some(class), Some(d)) = (words.next(), words.next(), words.next(), words.next()) {
            let name = words.next().unwrap_or_default();
            tables.usb.insert((vid, pid), Known { class, name, drivers: drivers(d) });
        }
    }
    for line in lines("vendors") {
        let mut words = line.splitn(3, ' ');
        if let (Some(vid), Some(class), Some(name)) = (words.next(), words.next(), words.next()) {
            tables.vendors.insert(vid, Known { class, name, drivers: "" });
        }
    }
    for line in lines("pci") {
        let words: Vec<&str> = line.splitn(7, ' ').collect();
        if let [vid, did, subvid, subdid, class, d, name] = *words {
            let known = Known { class, name, drivers: drivers(d) };
            tables.pci.entry((vid, did)).or_default().push(([subvid, subdid], known));
        }
    }
    tables
}

/// What is known of a USB device; ids are four hex digits in lower case. A product that no list
/// has is described by its vendor.
pub fn usb(vid: &str, pid: &str) -> Known {
    TABLES.usb.get(&(vid, pid)).or_else(|| TABLES.vendors.get(vid)).copied().unwrap_or_default()
}

/// What is known of a PCI device; the subsystem's ids are used where the list needs them.
pub fn pci(vid: &str, did: &str, sub: Option<(&str, &str)>) -> Known {
    let Some(all) = TABLES.pci.get(&(vid, did)) else { return Known::default() };
    let exact = sub.and_then(|(v, d)| all.iter().find(|([sv, sd], _)| *sv == v && *sd == d));
    exact.or_else(|| all.iter().find(|([sv, _], _)| *sv == "-")).map(|(_, k)| *k).unwrap_or_default()
}

/// Drivers of modems: what else a vendor makes is driven by others.
const MODEM_DRIVERS: &[&str] = &[
    "GobiNet",
    "GobiSerial",
    "cdc_mbim",
    "hso",
    "huawei_cdc_ncm",
    "ipw",
    "option",
    "qcserial",
    "qmi_wwan",
    "qmi_wwan_f",
    "qmi_wwan_q",
    "sierra",
    "sierra_net",
    "usb_wwan",
];

/// A modem that a pattern of a driver's aliases (`usb:v2C7Cp0125d*…`, `pci:v000014C3d00004D75sv*…`) claims, as
/// `usb 2c7c:0125 NAME`; `usb 12d1:* NAME` for all devices of a vendor that makes modems. Of vendors that make other things
/// as well only what a driver of modems claims. `None` for everything else.
pub fn modem(alias: &str, driver: &str) -> Option<String> {
    let of_modems = MODEM_DRIVERS.contains(&driver);
    let is_modem = |class: &str| {
        matches!(class, "cellular" | "cellular-vendor" | "satellite") || (of_modems && class == "maybe-cellular")
    };
    if let Some(rest) = alias.strip_prefix("usb:v") {
        let vid = id(rest)?;
        let rest = rest.get(4..)?.strip_prefix('p')?;
        let Some(pid) = id(rest) else {
            let vendor = TABLES.vendors.get(vid.as_str()).filter(|v| rest.starts_with('*') && is_modem(v.class))?;
            return Some(format!("usb {vid}:* {}", vendor.name));
        };
        let exact = TABLES.usb.get(&(vid.as_str(), pid.as_str()));
        let vendor = TABLES.vendors.get(vid.as_str()).filter(|v| v.class == "cellular-vendor");
        let known = exact.or(vendor).filter(|k| is_modem(k.class))?;
        return Some(format!("usb {vid}:{pid} {}", known.name));
    }
    let rest = alias.strip_prefix("pci:v0000")?;
    let (vid, did) = (id(rest)?, id(rest.get(4..)?.strip_prefix("d0000")?)?);
    let all = TABLES.pci.get(&(vid.as_str(), did.as_str()))?;
    let (_, known) = all.iter().find(|(_, k)| is_modem(k.class))?;
    Some(format!("pci {vid}:{did} {}", known.name))
}

/// Four hex digits, in lower case.
fn id(text: &str) -> Option<String> {
    text.get(..4).filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit())).map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn every_line_is_read_and_the_file_is_toml() {
        let asset: toml::Table = TEXT.parse().unwrap();
        let count = |t: &str| asset[t].as_str().unwrap().lines().count();
        assert_eq!(count("usb"), TABLES.usb.len());
        assert_eq!(count("vendors"), TABLES.vendors.len());
        assert_eq!(count("pci"), TABLES.pci.values().map(Vec::len).sum::<usize>());
        assert!(TABLES.usb.len() > 2000 && TABLES.pci.len() > 30);
        let classes = ["cellular", "cellular-vendor", "maybe-cellular", "satellite", "phone", "gnss", "other"];
        for ((vid, pid), known) in &TABLES.usb {
            assert!(vid.len() == 4 && pid.len() == 4 && classes.contains(&known.class), "{vid}:{pid} {known:?}");
        }
    }

    #[test]
    fn aliases_that_claim_modems() {
        assert!(modem("usb:v2C7Cp0125d*dc*dsc*dp*icFFiscFFipFFin*", "x").unwrap().starts_with("usb 2c7c:0125 "));
        assert_eq!(
            modem("usb:v12D1p*d*dc*dsc*dp*icFFisc01ip01in*", "option").unwrap(),
            "usb 12d1:* Huawei(phones,modems)"
        );
        assert!(modem("pci:v000014C3d00004D75sv*sd*bc*sc*i*", "mtk_t7xx").unwrap().starts_with("pci 14c3:4d75 "));
        assert_eq!(modem("usb:v0489p*d*dcE0dsc01dp01ic*", "btusb"), None);
        for other in [
            "usb:v046DpC52Bd*dc*",
            "usb:v*p*d*dc02*",
            "usb:v1546p01A8d*",
            "pci:v00008086d*sv*",
            "of:N*T*",
            "usb:v12",
            "usb:véép",
        ] {
            assert_eq!(modem(other, "option"), None, "{other}");
        }
    }

    #[test]
    fn ids_fall_back_to_their_vendor() {
        assert_eq!(usb("2c7c", "0125").class, "cellular");
        assert_eq!(usb("2c7c", "ffff").class, "cellular-vendor");
        assert_eq!(usb("1546", "01a8").class, "gnss");
        assert_eq!(usb("1edd", "0001").class, "satellite");
        assert_eq!(usb("ffff", "0001"), Known::default());
        assert_eq!(pci("14c3", "4d75", None).drivers, "mtk_t7xx");
        assert_eq!(pci("17cb", "011a", Some(("1c5d", "2020"))).name, "Telit FN920C04 (sdx35)");
    }
}
