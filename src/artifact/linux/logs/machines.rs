//! Whose lines a log holds. A disk that was copied from a master brings the master's lines along: they name its board
//! (the kernel's `DMI:` line) and the addresses of its network cards (drivers' lines, dhclient's). Lines are taken
//! together from one start of the kernel to the next; the newest machine that the logs tell of is this one, and a
//! start with another board, or with other addresses in the same places, was another machine's, or this one's before
//! its board or cards were exchanged. A firmware's new version or a card that is added is none of that.
use super::Source;
use super::scan::Spot;
use crate::base::{Name, Time};
use regex::bytes::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Literals of the lines that tell of the board, of network cards and their addresses.
pub(super) const NEEDLES: &[&str] = &[
    "DMI: ",
    "(PCI",
    "MAC addr",
    " MAC: ",
    ", XID ",
    "node addr ",
    ": addr ",
    ", addr ",
    "Ethernet [",
    "base HW address: ",
    "assigned IRQ ",
    "RealTek RTL8139 at ",
    " Cadence GEM rev ",
    "on LPF/eth",
    "on LPF/en",
];
/// Machines that one file may tell apart; later ones are taken for the last.
const MOST: usize = 64;
/// Addresses and places of one machine.
const MAX_ADDRESSES: usize = 64;

struct Expressions {
    card: Regex,
    address: Regex,
    name: Regex,
    lent: Regex,
    renamed: Regex,
}
static EXPRESSIONS: LazyLock<Option<Expressions>> = LazyLock::new(|| {
    let make = |re: &str| regex::bytes::RegexBuilder::new(re).unicode(false).build().ok();
    Some(Expressions {
        // By the place on PCI, or of a part of the chip; what is plugged in by USB says nothing of the machine.
        card: make(
            r"^[\w-]{2,24}:? (?P<place>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|[0-9a-f]{4,16}\.(?:ethernet|gmac|mac)[\w@.-]{0,24})(?P<rest>:? .*)$",
        )?,
        address: make(r"(?:^|[^0-9A-Fa-f:])((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})(?:$|[^0-9A-Fa-f:])")?,
        name: make(r"^:? (?:ifname )?(eth\d{1,3}|en[a-wyz][0-9a-z]{1,14}|wlan\d{1,3})\b")?,
        lent: make(
            r"^(?:Listening|Sending) on +LPF/(?P<name>eth\d{1,3}|en[a-wyz][0-9a-z]{1,14})/(?P<address>(?:[0-9a-f]{2}:){5}[0-9a-f]{2})$",
        )?,
        renamed: make(
            r"^[\w-]{2,24}:? [0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]:? (?P<new>\w{1,15}): renamed from (?P<old>\w{1,15})$",
        )?,
    })
});

/// An address that a maker gave to a card: neither made up by software nor of a group.
pub(super) fn address(text: &str) -> Option<String> {
    let text = text.trim().replace('-', ":").to_ascii_lowercase();
    let first = u8::from_str_radix(text.get(..2)?, 16).ok()?;
    let fits = text.len() == 17
        && text.split(':').count() == 6
        && text.split(':').all(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()));
    (fits && first.trailing_zeros() >= 2 && text != "00:00:00:00:00:00").then_some(text)
}

/// What the lines between two starts of the kernel name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    /// As the kernel wrote it.
    dmi: String,
    /// By the name of an interface or its place on the bus.
    cards: BTreeMap<String, BTreeSet<String>>,
    /// The line that names the board, else the first that names a card.
    at: Option<(Spot, String)>,
}

impl Machine {
    /// The board, without the version of its firmware.
    fn board(&self) -> &str {
        self.dmi.split(", BIOS").next().unwrap_or_default().trim()
    }
    /// The addresses in one place, or under one name.
    pub(super) fn of_place(&self, place: &str) -> Option<&BTreeSet<String>> {
        self.cards.get(place)
    }
    pub(super) fn addresses(&self) -> BTreeSet<&str> {
        self.cards.values().flatten().map(String::as_str).collect()
    }
    fn is_unknown(&self) -> bool {
        self.dmi.is_empty() && self.cards.is_empty()
    }
    /// Takes what a line tells of the machine.
    pub(super) fn line(&mut self, program: &[u8], message: &[u8], at: Spot, text: &dyn Fn() -> String) {
        let Some(re) = EXPRESSIONS.as_ref() else { return };
        let is_kernel = program == b"kernel" || program.is_empty();
        let word = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if let Some(dmi) = message.strip_prefix(b"DMI: ".as_slice()).filter(|_| is_kernel) {
            self.dmi = word(dmi).trim().chars().take(160).collect();
            self.at = Some((at, text()));
            return;
        }
        if is_kernel && let Some(found) = re.renamed.captures(message) {
            let name = |n: &str| found.name(n).map(|m| word(m.as_bytes())).unwrap_or_default();
            if let Some(known) = self.cards.get(&name("old")).cloned() {
                self.card(name("new"), known);
            }
            return;
        }
        let (places, mac) = if is_kernel && let Some(card) = re.card.captures(message) {
            let rest = card.name("rest").map(|m| m.as_bytes()).unwrap_or_default();
            let mac = re.address.captures(rest).and_then(|c| c.get(1)).map(|m| word(m.as_bytes()));
            let name = re.name.captures(rest).and_then(|c| c.get(1));
            let place = card.name("place").map(|m| word(m.as_bytes()));
            (place.into_iter().chain(name.map(|m| word(m.as_bytes()))).collect::<Vec<_>>(), mac)
        } else if program == b"dhclient"
            && let Some(lent) = re.lent.captures(message)
        {
            let get = |n: &str| lent.name(n).map(|m| word(m.as_bytes()));
            (get("name").into_iter().collect(), get("address"))
        } else {
            return;
        };
        let Some(mac) = mac.and_then(|m| address(&m)) else { return };
        for place in places {
            self.card(place, BTreeSet::from([mac.clone()]));
        }
        if self.at.is_none() {
            self.at = Some((at, text()));
        }
    }
    fn card(&mut self, place: String, addresses: BTreeSet<String>) {
        let known: usize = self.cards.values().map(BTreeSet::len).sum();
        if known < MAX_ADDRESSES {
            self.cards.entry(place).or_default().extend(addresses);
        }
    }
    /// How it is told apart from another one; `None` where nothing says that it is another one.
    fn other_than(&self, own: &Self) -> Option<String> {
        let (board, known) = (self.board(), own.board());
        if !board.is_empty() && !known.is_empty() && board != known {
            return Some(format!("DMI {}", self.dmi));
        }
        let (mine, its) = (self.addresses(), own.addresses());
        let same_places = self.cards.keys().any(|place| own.cards.contains_key(place));
        (same_places && mine.is_disjoint(&its)).then(|| {
            let shown: Vec<&str> = mine.into_iter().take(4).collect();
            format!("MAC {}", shown.join(" "))
        })
    }
    fn learn(&mut self, more: Self) {
        if self.dmi.is_empty() || !more.dmi.is_empty() {
            (self.dmi, self.at) = (more.dmi, more.at.or(self.at.take()));
        }
        for (place, addresses) in more.cards {
            self.card(place, addresses);
        }
    }
}

/// The machines of one file, as its lines follow each other. The first goes on with what the file before it held.
#[derive(Debug)]
pub(super) struct Machines {
    pub(super) all: Vec<Machine>,
    /// What was told since the last start.
    now: Machine,
    /// No start was seen yet.
    is_head: bool,
}
impl Default for Machines {
    fn default() -> Self {
        Self { all: vec![Machine::default()], now: Machine::default(), is_head: true }
    }
}
impl Machines {
    pub(super) fn line(&mut self, program: &[u8], message: &[u8], at: Spot, text: &dyn Fn() -> String) {
        self.now.line(program, message, at, text);
    }
    /// Whether the kernel starts with this line.
    pub(super) fn is_start(program: &[u8], message: &[u8]) -> bool {
        (program == b"kernel" || program.is_empty()) && message.starts_with(b"Linux version ")
    }
    /// The lines of one start are over: which of [`Self::all`] they are of.
    pub(super) fn settle(&mut self) -> usize {
        let now = std::mem::take(&mut self.now);
        let is_head = std::mem::take(&mut self.is_head);
        let full = self.all.len() >= MOST;
        // What came before the first start and says nothing may be of another machine than what follows.
        let first = self.all.len() == 1 && self.all.iter().all(Machine::is_unknown) && !now.is_unknown();
        match self.all.last_mut() {
            Some(last) if is_head || full || (!first && now.other_than(last).is_none()) => {
                last.learn(now);
            }
            _ => self.all.push(now),
        }
        self.all.len().saturating_sub(1)
    }
}

/// Lines of one machine in one file.
pub(super) struct Segment {
    pub(super) file: usize,
    /// The journal of a user, which the kernel writes nothing to.
    pub(super) log: (Name, bool),
    pub(super) age: std::cmp::Reverse<u64>,
    pub(super) first: Option<Time>,
    /// Of its file, where it is not the last one.
    pub(super) last: Option<Time>,
    pub(super) machine: Machine,
    /// The whole file is another installation's.
    pub(super) foreign: Option<String>,
}

/// A machine that some of the logs tell of and the newest ones do not.
pub(super) struct Other {
    pub(super) label: String,
    pub(super) from: Option<Time>,
    /// When the next machine began.
    pub(super) to: Option<Time>,
    pub(super) at: Option<(Source, String)>,
    /// Of its network cards.
    pub(super) addresses: BTreeSet<String>,
}

/// What is known of all segments, when all logs were read.
#[derive(Default)]
pub(super) struct Verdict {
    /// By segment: `None` where its own lines do not tell whose they are.
    labels: Vec<Option<String>>,
    pub(super) others: Vec<Other>,
    /// The newest machine.
    pub(super) own: Machine,
}

impl Verdict {
    pub(super) fn of(segments: Vec<Segment>) -> Self {
        let mut logs: BTreeMap<(Name, bool), Vec<(usize, Segment)>> = BTreeMap::new();
        let count = segments.len();
        for (at, segment) in segments.into_iter().enumerate() {
            logs.entry(segment.log.clone()).or_default().push((at, segment));
        }
        // Each log by itself: machines in their order, and which segments are of which.
        let mut machines: Vec<(Machine, Vec<(usize, usize, Option<Time>)>)> = Vec::new();
        let mut newest: Option<(Option<Time>, usize)> = None;
        let mut labels: Vec<Option<String>> = (0..count).map(|_| None).collect();
        for mut parts in logs.into_values() {
            parts.sort_by_key(|(at, s)| (s.age, s.first, s.file, *at));
            let mut current: Option<usize> = None;
            for (at, part) in parts {
                if let Some(foreign) = part.foreign {
                    if let Some(label) = labels.get_mut(at) {
                        *label = Some(foreign);
                    }
                    continue;
                }
                let known = current.and_then(|c| machines.get(c)).map(|m| part.machine.other_than(&m.0).is_none());
                let place = (at, part.file, part.first);
                match (known, current) {
                    (Some(true), Some(c)) => {
                        if let Some(m) = machines.get_mut(c) {
                            m.0.learn(part.machine);
                            m.1.push(place);
                        }
                    }
                    _ if part.machine.is_unknown() => continue,
                    _ => {
                        current = Some(machines.len());
                        machines.push((part.machine, vec![place]));
                    }
                }
                if let Some(c) = current
                    && newest.is_none_or(|(time, _)| part.last >= time)
                {
                    newest = Some((part.last, c));
                }
            }
        }
        let mut verdict = Self { labels, ..Self::default() };
        let Some(own) = newest.and_then(|(_, at)| machines.get(at)).map(|m| m.0.clone()) else { return verdict };
        let mut starts: Vec<(Option<Time>, bool)> = Vec::new();
        for (machine, segments) in machines {
            let label = machine.other_than(&own);
            for (at, ..) in &segments {
                if let Some(known) = verdict.labels.get_mut(*at) {
                    *known = Some(label.clone().unwrap_or_default());
                }
            }
            let from = segments.iter().filter_map(|s| s.2).min();
            starts.push((from, label.is_some()));
            if let Some(label) = label {
                let file = segments.first().map_or(0, |s| s.1);
                let addresses = machine.addresses().into_iter().map(str::to_owned).collect();
                let at = machine.at.map(|(spot, text)| (Source { file, spot }, text));
                verdict.others.push(Other { label, from, to: None, at, addresses });
            }
        }
        for other in &mut verdict.others {
            let later = starts.iter().filter(|(from, is_other)| !is_other && *from > other.from);
            other.to = later.filter_map(|(from, _)| *from).min();
        }
        verdict.others.sort_by(|a, b| (a.from, &a.label).cmp(&(b.from, &b.label)));
        verdict.own = own;
        verdict
    }
    /// Whose lines of a segment are, seen from `first` to `last`: empty where they are this machine's, or nothing tells.
    pub(super) fn label(&self, segment: usize, first: Option<Time>, last: Option<Time>) -> &str {
        if let Some(known) = self.labels.get(segment).and_then(Option::as_ref) {
            return known;
        }
        // A log without a word of the machine: by the times of those that have one.
        let (Some(first), Some(last)) = (first, last) else { return "" };
        let within = |o: &&Other| o.from.is_some_and(|f| f <= first) && o.to.is_some_and(|t| last < t);
        self.others.iter().find(within).map_or("", |o| &o.label)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn machine(lines: &[&str]) -> Machine {
        let mut machine = Machine::default();
        for line in lines {
            let (program, message) = line.split_once(": ").unwrap();
            machine.line(program.as_bytes(), message.as_bytes(), Spot::default(), &|| (*line).to_owned());
        }
        machine
    }
    fn cards(lines: &[&str]) -> Vec<String> {
        let all = machine(lines).cards;
        all.into_iter().map(|(k, v)| format!("{k} {}", v.into_iter().collect::<Vec<_>>().join(" "))).collect()
    }

    /// As the drivers of Linux 2.6 to 6.8 write them.
    #[test]
    fn cards_by_what_their_drivers_say() {
        for (line, expected) in [
            ("e1000e 0000:00:19.0 eth0: (PCI Express:2.5GT/s:Width x1) 00:22:68:11:22:33", "eth0 00:22:68:11:22:33"),
            ("igb 0000:01:00.0: eth0: (PCIe:2.5Gb/s:Width x1) 00:25:90:aa:bb:cc", "eth0 00:25:90:aa:bb:cc"),
            ("igc 0000:02:00.0 eth1: MAC: 00:e0:67:01:02:03", "eth1 00:e0:67:01:02:03"),
            (
                "r8169 0000:03:00.0 eth0: RTL8168evl/8111evl, 4c:cc:6a:01:02:03, XID 2c9, IRQ 28",
                "eth0 4c:cc:6a:01:02:03",
            ),
            (
                "r8169 0000:03:00.0: eth0: RTL8168e/8111e at 0xffffc9000063a000, 00:E0:4C:01:02:03, XID 0c200000 IRQ 43",
                "eth0 00:e0:4c:01:02:03",
            ),
            (
                "tg3 0000:02:00.0 eth0: Tigon3 [partno(BCM95720) rev 5720000] (PCI Express) MAC address 18:66:da:01:02:03",
                "eth0 18:66:da:01:02:03",
            ),
            (
                "forcedeth 0000:00:07.0: ifname eth0, PHY OUI 0x5043 @ 1, addr 00:1d:60:01:02:03",
                "eth0 00:1d:60:01:02:03",
            ),
            (
                "macb f8008000.ethernet eth0: Cadence GEM rev 0x00020118 at 0xf8008000 irq 31 (fc:c2:3d:01:02:03)",
                "eth0 fc:c2:3d:01:02:03",
            ),
        ] {
            let found = cards(&[&format!("kernel: {line}")]);
            assert!(found.iter().any(|f| f == expected) && found.len() == 2, "{line}: {found:?}");
        }
        assert_eq!(cards(&["dhclient: Listening on LPF/enp3s0/00:22:68:11:22:33"]), ["enp3s0 00:22:68:11:22:33"]);
        // Given by software, plugged in, or no address at all.
        for line in [
            "kernel: qmi_wwan 1-1.2:1.4 wwan0: register 'qmi_wwan' at usb-0000:00:14.0-1.2, WWAN/QMI device, 00:1b:2c:3d:4e:5f",
            "kernel: e1000e 0000:00:19.0 eth0: (PCI Express:2.5GT/s:Width x1) 02:22:68:11:22:33",
            "kernel: e1000e 0000:00:19.0 eth0: NIC Link is Up 1000 Mbps",
            "dhclient: Listening on LPF/wwan0/00:22:68:11:22:33",
            "cron: e1000e 0000:00:19.0 eth0: (PCI Express:2.5GT/s:Width x1) 00:22:68:11:22:33",
        ] {
            assert!(cards(&[line]).is_empty(), "{line}");
        }
        let renamed = cards(&[
            "kernel: e1000e 0000:00:19.0 eth0: (PCI Express:2.5GT/s:Width x1) 00:22:68:11:22:33",
            "kernel: e1000e 0000:00:19.0 enp0s25: renamed from eth0",
        ]);
        assert!(renamed.contains(&"enp0s25 00:22:68:11:22:33".to_owned()), "{renamed:?}");
    }

    #[test]
    fn what_tells_two_machines_apart() {
        let one = |dmi: &str, cards: &[(&str, &str)]| {
            let mut lines = vec![format!("kernel: DMI: {dmi}")];
            for (name, mac) in cards {
                lines.push(format!("kernel: e1000e 0000:00:19.0 {name}: (PCI Express:2.5GT/s:Width x1) {mac}"));
            }
            machine(&lines.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let (a, b, c) = ("00:22:68:00:00:01", "00:22:68:00:00:02", "00:22:68:00:00:03");
        let own = one("Acme X1/B, BIOS 1.2 01/01/2020", &[("eth0", a)]);
        let other = |m: Machine| m.other_than(&own).unwrap_or_default();
        assert_eq!(other(one("Acme X1/B, BIOS 1.0 01/01/2018", &[("eth0", a)])), "", "a firmware's update");
        assert_eq!(other(one("Acme X1/B, BIOS 1.2 01/01/2020", &[("eth0", b)])), format!("MAC {b}"), "a twin");
        assert_eq!(other(one("Other Y/B, BIOS 1.2 01/01/2020", &[("eth0", a)])), "DMI Other Y/B, BIOS 1.2 01/01/2020");
        assert_eq!(
            other(one("Acme X1/B, BIOS 1.2 01/01/2020", &[("eth0", b), ("eth1", a)])),
            "",
            "their order changed"
        );
        assert_eq!(other(machine(&[&format!("dhclient: Listening on LPF/eth1/{c}")])), "", "no place in common");
        assert_eq!(other(Machine::default()), "", "nothing is known");
    }
}
