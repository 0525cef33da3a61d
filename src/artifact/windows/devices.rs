//! Devices that were ever attached: `Enum\USB`, and the classes of modems and network adapters, which tell what a device
//! was used as. Times: DEVPKEY_Device_FirstInstallDate (0x65), _InstallDate (0x64) and _LastArrivalDate (0x66) of the
//! device's properties (devpkey.h). Network adapters: *IfType of ifdef.h, 243 and 244 are mobile broadband.
use crate::artifact::Out;
use crate::base::Time;
use crate::evidence::Registry;
use crate::format::hive::Key;
use crate::format::usbids;
use crate::inventory::Device;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const PROPERTIES: &str = r"Properties\{83da6326-97a6-4088-9453-a1923f573b29}";
const MODEMS: &str = r"Control\Class\{4d36e96d-e325-11ce-bfc1-08002be10318}";
const ADAPTERS: &str = r"Control\Class\{4d36e972-e325-11ce-bfc1-08002be10318}";
/// Interface types of mobile broadband.
const MOBILE: [u32; 2] = [243, 244];

/// Vendor and product, four hex digits each.
type Ids = (String, String);

/// What the interfaces of a composite device and the classes tell of a device.
#[derive(Default)]
struct Used {
    drivers: BTreeSet<String>,
    nodes: BTreeSet<String>,
    is_mobile: bool,
}

pub(super) fn read(registry: &Registry<'_>, set: &str, out: &Out) {
    let mut used: BTreeMap<Ids, Used> = BTreeMap::new();
    let mut others = modems(registry, set, &mut used);
    others.extend(adapters(registry, set, &mut used));
    let at = format!(r"{set}\Enum\USB");
    let models = registry.key(&at).map(|k| registry.hive.subkeys(&k)).unwrap_or_default();
    // First what the interfaces of composite devices tell.
    for model in &models {
        let Some(ids) = usb(&model.name.lossy()).filter(|_| is_interface(model)) else { continue };
        for instance in registry.hive.subkeys(model) {
            let of = used.entry(ids.clone()).or_default();
            of.drivers.extend(registry.text(&instance, "Service"));
            if let Some(port) =
                registry.hive.subkey(&instance, "Device Parameters").and_then(|p| registry.text(&p, "PortName"))
            {
                of.nodes.insert(port);
            }
        }
    }
    let mut seen = BTreeSet::new();
    for model in models.iter().filter(|m| !is_interface(m)) {
        let Some(ids) = usb(&model.name.lossy()) else { continue };
        for instance in registry.hive.subkeys(model) {
            seen.insert(ids.clone());
            let path = format!(r"{at}\{}\{}", model.name.lossy(), instance.name.lossy());
            device(registry, &path, &ids, &instance, used.get(&ids), out);
        }
    }
    // Only an interface is left of some.
    for model in models.iter().filter(|m| is_interface(m)) {
        let Some(ids) = usb(&model.name.lossy()) else { continue };
        if !seen.insert(ids.clone()) {
            continue;
        }
        if let Some(instance) = registry.hive.subkeys(model).first() {
            let path = format!(r"{at}\{}\{}", model.name.lossy(), instance.name.lossy());
            device(registry, &path, &ids, instance, used.get(&ids), out);
        }
    }
    for device in others {
        // A USB device that has a row of its own tells it there.
        let ids = (device.vendor.clone(), device.product.clone());
        if &*device.bus != "usb" || !seen.contains(&ids) {
            out.push(device);
        }
    }
}

/// Whether a key stands for one interface of a composite device.
fn is_interface(model: &Key) -> bool {
    model.name.lossy().to_ascii_uppercase().contains("&MI_")
}

fn device(registry: &Registry<'_>, path: &str, ids: &Ids, instance: &Key, used: Option<&Used>, out: &Out) {
    let (vendor, product) = ids;
    let known = usbids::usb(vendor, product);
    let own = instance.name.lossy().into_owned();
    // Where the device has no number, Windows makes one of the port.
    let serial = if own.chars().nth(1) == Some('&') || is_composite(path) { String::new() } else { own };
    let said = registry
        .text(instance, "FriendlyName")
        .or_else(|| registry.text(instance, "DeviceDesc").map(|t| described(&t)));
    let maker = registry.text(instance, "Mfg").map(|t| described(&t)).filter(|m| !m.starts_with('('));
    let mut name = [maker, said].into_iter().flatten().collect::<Vec<_>>().join(" ");
    if !known.name.is_empty() {
        name = if name.is_empty() { known.name.to_owned() } else { format!("{} ({name})", known.name) };
    }
    let none = Used::default();
    let used = used.unwrap_or(&none);
    let mut drivers = used.drivers.clone();
    drivers.extend(registry.text(instance, "Service"));
    let class =
        if used.is_mobile && !matches!(known.class, "cellular" | "cellular-vendor") { "cellular" } else { known.class };
    out.push(Device {
        bus: "usb".into(),
        vendor: vendor.clone(),
        product: product.clone(),
        name,
        class: Arc::from(class),
        serial,
        driver: drivers.into_iter().collect::<Vec<_>>().join(", "),
        node: used.nodes.iter().cloned().collect::<Vec<_>>().join(", "),
        source: "registry".into(),
        first_seen: property(registry, instance, 0x65).or_else(|| property(registry, instance, 0x64)),
        last_seen: property(registry, instance, 0x66),
        count: 1,
        evidence: registry.of_key(path, instance),
        ..Device::default()
    });
}

/// Whether the path of an instance is that of an interface.
fn is_composite(path: &str) -> bool {
    path.to_ascii_uppercase().contains("&MI_")
}

/// A time among the properties of a device: in a value of its key, or in one of a key below it (Windows 7).
fn property(registry: &Registry<'_>, instance: &Key, number: u32) -> Option<Time> {
    let all = registry.hive.find(instance, PROPERTIES)?;
    let is = |k: &Key| u32::from_str_radix(&k.name.lossy(), 16) == Ok(number);
    let key = registry.hive.subkeys(&all).into_iter().find(is)?;
    let value = registry.hive.value(&key, "").or_else(|| {
        let inner = registry.hive.subkey(&key, "00000000")?;
        registry.hive.value(&inner, "Data")
    })?;
    registry.hive.data(&value, 8).first_chunk().and_then(|b| Time::from_filetime(u64::from_le_bytes(*b)))
}

/// Modems, of whatever bus; those of a USB device add their port to it.
fn modems(registry: &Registry<'_>, set: &str, used: &mut BTreeMap<Ids, Used>) -> Vec<Device> {
    let at = format!(r"{set}\{MODEMS}");
    let mut found = Vec::new();
    for key in registry.key(&at).map(|k| registry.hive.subkeys(&k)).unwrap_or_default() {
        let path = format!(r"{at}\{}", key.name.lossy());
        let name = ["FriendlyName", "DriverDesc", "Model"].iter().find_map(|n| registry.text(&key, n));
        // The class has keys of its own beside those of devices.
        let Some(name) = name else { continue };
        let ids = registry.text(&key, "MatchingDeviceId").and_then(|t| usb(&t)).unwrap_or_default();
        let port = registry.text(&key, "AttachedTo").unwrap_or_default();
        if !ids.0.is_empty() {
            let of = used.entry(ids.clone()).or_default();
            of.nodes.extend((!port.is_empty()).then(|| port.clone()));
        }
        found.push(Device {
            bus: if ids.0.is_empty() { "modem" } else { "usb" }.into(),
            class: Arc::from(usbids::usb(&ids.0, &ids.1).class),
            vendor: ids.0,
            product: ids.1,
            name,
            node: port,
            source: "registry".into(),
            count: 1,
            evidence: registry.of_key(&path, &key),
            ..Device::default()
        });
    }
    found
}

/// Network adapters on a bus of their own, and those of mobile broadband.
fn adapters(registry: &Registry<'_>, set: &str, used: &mut BTreeMap<Ids, Used>) -> Vec<Device> {
    let at = format!(r"{set}\{ADAPTERS}");
    let mut found = Vec::new();
    for key in registry.key(&at).map(|k| registry.hive.subkeys(&k)).unwrap_or_default() {
        let Some(id) = registry.text(&key, "MatchingDeviceId").or_else(|| registry.text(&key, "ComponentId")) else {
            continue;
        };
        let is_mobile = registry.number(&key, "*IfType").is_some_and(|n| MOBILE.contains(&n));
        let (of_usb, of_pci) = (usb(&id), pci(&id));
        if let Some(ids) = &of_usb {
            used.entry(ids.clone()).or_default().is_mobile |= is_mobile;
        }
        if of_usb.is_none() && of_pci.is_none() && !is_mobile {
            continue; // ports of the system's own making
        }
        let bus = if of_usb.is_some() {
            "usb"
        } else if of_pci.is_some() {
            "pci"
        } else {
            "net"
        };
        let known = match (&of_usb, &of_pci) {
            (Some((v, p)), _) => usbids::usb(v, p),
            (_, Some((v, p))) => usbids::pci(v, p, None),
            _ => usbids::Known::default(),
        };
        let is_known = matches!(known.class, "cellular" | "cellular-vendor");
        let (vendor, product) = of_usb.or(of_pci).unwrap_or_default();
        let installed = registry.text(&key, "NetworkInterfaceInstallTimestamp").and_then(|t| t.parse().ok());
        found.push(Device {
            bus: bus.into(),
            vendor,
            product,
            name: registry.text(&key, "DriverDesc").unwrap_or_else(|| known.name.to_owned()),
            class: Arc::from(if is_mobile && !is_known { "cellular" } else { known.class }),
            node: registry.text(&key, "NetCfgInstanceId").unwrap_or_default(),
            source: "registry".into(),
            first_seen: installed.and_then(Time::from_filetime),
            count: 1,
            evidence: registry.of_key(&format!(r"{at}\{}", key.name.lossy()), &key),
            ..Device::default()
        });
    }
    found
}

/// The text behind the reference to a file that it comes from: `@oem3.inf,%x%;Name`.
fn described(text: &str) -> String {
    let shown = if text.starts_with('@') { text.rsplit_once(';').map_or(text, |(_, t)| t) } else { text };
    shown.trim().to_owned()
}

/// The ids in `VID_12D1&PID_1506`, in lower case.
fn usb(text: &str) -> Option<Ids> {
    ids(text, "VID_", "PID_")
}
/// The ids in `PCI\VEN_8086&DEV_15B8`.
fn pci(text: &str) -> Option<Ids> {
    ids(text, "VEN_", "DEV_")
}
fn ids(text: &str, vendor: &str, product: &str) -> Option<Ids> {
    let text = text.to_ascii_uppercase();
    let id = |mark: &str| {
        let at = text.find(mark)?.checked_add(mark.len())?;
        let digits = text.get(at..at.checked_add(4)?)?;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| digits.to_ascii_lowercase())
    };
    Some((id(vendor)?, id(product)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_read_out_of_texts() {
        let ids = |v: &str, p: &str| Some((v.to_owned(), p.to_owned()));
        assert_eq!(usb("VID_12D1&PID_1506&MI_00"), ids("12d1", "1506"));
        assert_eq!(usb(r"usb\vid_2c7c&pid_0125"), ids("2c7c", "0125"));
        assert_eq!(pci(r"PCI\VEN_8086&DEV_15B8&SUBSYS_1"), ids("8086", "15b8"));
        assert_eq!(usb("ROOT_HUB30").or(usb("VID_12").or(usb("VID_XYZW&PID_0000"))), None);
        assert_eq!(described("@oem3.inf,%x%;HUAWEI Mobile"), "HUAWEI Mobile");
        assert_eq!(described("Plain"), "Plain");
    }
}
