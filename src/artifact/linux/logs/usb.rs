//! USB devices as the kernel logs them: "New USB device found", the lines that follow for the same port
//! (product, manufacturer, serial number), and the drivers and nodes it then gets.
use super::clock::When;
use super::scan::Spot;
use regex::bytes::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Devices that one file may give; further ones are left to the events.
const MAX_DEVICES: usize = 10_000;
/// Ports that are watched at a time.
const MAX_PORTS: usize = 1024;

/// A device as one file shows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) vid: String,
    pub(super) pid: String,
    pub(super) product: String,
    pub(super) maker: String,
    pub(super) serial: String,
    pub(super) drivers: BTreeSet<String>,
    pub(super) nodes: BTreeSet<String>,
    pub(super) first: When,
    pub(super) last: When,
    pub(super) count: u32,
    pub(super) at: Spot,
    pub(super) text: String,
}

/// Vendor, product, serial number.
pub(super) type Ids = (String, String, String);

#[derive(Default)]
pub(super) struct Usb {
    /// By port: `1-1.2`.
    ports: BTreeMap<String, Seen>,
    /// Since the kernel started last: by vendor, product and serial number.
    fresh: BTreeMap<Ids, Seen>,
    /// With the machine that they were seen on.
    pub(super) devices: BTreeMap<(Ids, usize), Seen>,
    pub(super) dropped: u64,
}

struct Expressions {
    port: Regex,
    found: Regex,
    node: Regex,
}
static EXPRESSIONS: LazyLock<Option<Expressions>> = LazyLock::new(|| {
    let make = |re: &str| regex::bytes::RegexBuilder::new(re).unicode(false).build().ok();
    Some(Expressions {
        port: make(r"^(?P<driver>[\w-]+) (?P<port>\d{1,3}-\d{1,3}(?:\.\d{1,3}){0,7})(?::\d+\.\d+)?(?P<rest>[ :].*)$")?,
        found: make(r"New USB device found, idVendor=([0-9a-f]{4}), idProduct=([0-9a-f]{4})")?,
        node: make(
            r"\b(ttyUSB\d+|ttyACM\d+|cdc-wdm\d+|wwan\d+|ww[px][0-9a-z]+|usb\d+|eth\d+|enx[0-9a-f]{12}|enp[0-9a-z]+u\w+)\b",
        )?,
    })
});

impl Usb {
    pub(super) fn line(&mut self, message: &[u8], when: When, at: Spot, text: impl FnOnce() -> String) {
        let Some(re) = EXPRESSIONS.as_ref() else { return };
        let Some(captures) = re.port.captures(message) else { return };
        let word = |name: &str| {
            captures.name(name).map(|m| String::from_utf8_lossy(m.as_bytes()).into_owned()).unwrap_or_default()
        };
        let (driver, port) = (word("driver"), word("port"));
        let rest = captures.name("rest").map(|m| m.as_bytes()).unwrap_or_default();
        if let Some(ids) = re.found.captures(rest) {
            let id =
                |n: usize| ids.get(n).map(|m| String::from_utf8_lossy(m.as_bytes()).into_owned()).unwrap_or_default();
            self.settle(&port);
            if self.ports.len() >= MAX_PORTS {
                self.dropped = self.dropped.saturating_add(1);
                return;
            }
            let new =
                Seen { vid: id(1), pid: id(2), first: when, last: when, count: 1, at, text: text(), ..Seen::default() };
            self.ports.insert(port, new);
            return;
        }
        if rest.starts_with(b": USB disconnect") {
            self.settle(&port);
            return;
        }
        let Some(seen) = self.ports.get_mut(&port) else { return };
        let after = |mark: &[u8]| rest.strip_prefix(mark).map(|v| String::from_utf8_lossy(v.trim_ascii()).into_owned());
        if let Some(v) = after(b": Product: ") {
            seen.product = v;
        } else if let Some(v) = after(b": Manufacturer: ") {
            seen.maker = v;
        } else if let Some(v) = after(b": SerialNumber: ") {
            seen.serial = v;
        } else {
            if driver != "usb" {
                seen.drivers.insert(driver);
            }
            // A renamed interface is known by its last name; the old one stands after "from".
            let named = rest.windows(14).position(|w| w == b": renamed from").and_then(|p| rest.get(..p));
            for node in re.node.find_iter(named.unwrap_or(rest)) {
                if seen.nodes.len() < 64 {
                    seen.nodes.insert(String::from_utf8_lossy(node.as_bytes()).into_owned());
                }
            }
        }
    }
    /// A port's device has told all it will tell.
    fn settle(&mut self, port: &str) {
        let Some(seen) = self.ports.remove(port) else { return };
        let key = (seen.vid.clone(), seen.pid.clone(), seen.serial.clone());
        if let Some(known) = self.fresh.get_mut(&key) {
            known.join(seen);
        } else if self.fresh.len().saturating_add(self.devices.len()) < MAX_DEVICES {
            self.fresh.insert(key, seen);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }
    /// The kernel starts anew, or the file ends: what was seen since was seen on this machine.
    pub(super) fn settle_all(&mut self, machine: usize) {
        for port in self.ports.keys().cloned().collect::<Vec<_>>() {
            self.settle(&port);
        }
        for (ids, seen) in std::mem::take(&mut self.fresh) {
            match self.devices.get_mut(&(ids.clone(), machine)) {
                Some(known) => known.join(seen),
                None => {
                    self.devices.insert((ids, machine), seen);
                }
            }
        }
    }
}

impl Seen {
    /// The same device, seen later.
    fn join(&mut self, later: Self) {
        self.count = self.count.saturating_add(later.count);
        self.last = later.last;
        self.drivers.extend(later.drivers);
        self.nodes.extend(later.nodes);
    }
}
