//! Cellular, satellite and dial-up links: hardware, drivers, settings, dialers, connections, what
//! starts them and what the logs recorded, one finding a link.
mod hardware;
mod software;
mod starts;

use super::facts::{Cellular, Traces};
use super::frame::{Link, Piece, join, one_a_name};
use super::ground::{Ground, Vouched};
use super::tables::{Ids, ModemLook};
use crate::base::{Evidence, Name};
use crate::judge::draft::Draft;
use crate::judge::finding::Rung;
use crate::judge::knowledge::Knowledge;
use std::collections::BTreeSet;

/// All links of all systems.
pub(super) fn findings(knowledge: &Knowledge, ground: &Ground<'_>, rule: usize) -> Vec<Draft> {
    let know = &*knowledge.facts().cellular;
    let traces = &*knowledge.facts().traces;
    let weak_events = &*knowledge.facts().weak_events;
    let mut drafts = Vec::new();
    for system in &ground.systems {
        let mut view = View {
            know,
            traces,
            weak_events,
            ground,
            look: ground.look(),
            ids: Ids::new(),
            system: *system,
            pieces: Vec::new(),
            stock: Vec::new(),
        };
        view.devices();
        view.drivers();
        view.settings();
        view.programs();
        view.packages();
        view.connections();
        view.interfaces();
        view.files();
        view.starts();
        view.events();
        view.sessions();
        view.context();
        drafts.extend(view.links().into_iter().filter_map(|l| l.draft(knowledge, rule, *system)));
    }
    drafts
}

/// One system while its pieces are collected.
struct View<'a> {
    know: &'a Cellular,
    traces: &'a Traces,
    weak_events: &'a BTreeSet<String>,
    ground: &'a Ground<'a>,
    look: ModemLook<'a>,
    ids: Ids,
    system: Option<u32>,
    pieces: Vec<Piece>,
    /// What packages ship and set up by themselves.
    stock: Vec<Piece>,
}

const CAPABLE: &str = "stock cellular support";
const INSTALLED: &str = "installed cellular software";

impl View<'_> {
    fn vouched(&self, path: &Name) -> Vouched {
        self.ground.vouched(self.system, path)
    }
    /// Rows of one table that belong to this system.
    fn of<'r, T>(&self, rows: &'r [T], system: impl Fn(&T) -> Option<u32>) -> Vec<(usize, &'r T)> {
        rows.iter().enumerate().filter(|(_, r)| system(r) == self.system).collect()
    }
    fn node_key(&self, node: &str) -> Option<String> {
        let name = node.trim().trim_start_matches("/dev/");
        self.know.nodes.is_match(name).then(|| format!("node:{name}"))
    }
    fn links(self) -> Vec<Link> {
        let (context, pieces): (Vec<Piece>, Vec<Piece>) = self.pieces.into_iter().partition(|p| p.chain == 7);
        let mut links = join(pieces);
        bind(&mut links);
        links.retain(|l| l.rung().is_some());
        links.iter_mut().for_each(Link::own_records);
        for link in links.iter_mut().filter(|l| l.rung() >= Some(Rung::Configured)) {
            link.pieces.extend(context.iter().cloned());
        }
        // What packages ship belongs to a link that uses it, else to the one line about stock support.
        let stock: Vec<Piece> = self
            .stock
            .into_iter()
            .map(|p| Piece { rung: Some(Rung::Capable), name: Some((9, CAPABLE.to_owned())), ..p })
            .collect();
        let mut rest = Vec::new();
        for piece in stock {
            let mut used = false;
            for link in &mut links {
                let serves = link.pieces.iter().any(|p| {
                    p.keys.iter().any(|k| piece.follows.contains(k)) || p.keys.iter().any(|k| piece.keys.contains(k))
                });
                if serves && link.rung() > Some(Rung::Capable) {
                    link.pieces.push(piece.clone());
                    used = true;
                }
            }
            if !used {
                rest.push(piece);
            }
        }
        if !rest.is_empty() {
            links.push(Link { pieces: rest });
        }
        one_a_name(links)
    }
}

/// Profiles and log lines that name no hardware, or a node only, belong to the modem there is, if
/// there is exactly one: by its ids, or where none are known, by its node.
fn bind(links: &mut Vec<Link>) {
    let single = |links: &[Link], fits: &dyn Fn(&Link) -> bool| {
        let mut all = links.iter().enumerate().filter(|(_, l)| fits(l)).map(|(at, _)| at);
        all.next().filter(|_| all.next().is_none())
    };
    let by_id = |l: &Link| l.has("id:") && l.rung() >= Some(Rung::Configured);
    let by_node = |l: &Link| l.has("node:");
    let target = match links.iter().filter(|l| by_id(l)).count() {
        0 => single(links, &by_node),
        _ => single(links, &by_id),
    };
    let Some(target) = target else { return };
    let mut at = 0;
    let (before, rest): (Vec<Link>, Vec<Link>) = std::mem::take(links).into_iter().partition(|_| {
        at += 1;
        at <= target
    });
    let mut rest = rest.into_iter();
    let Some(mut modem) = rest.next() else { return };
    let loose = |l: &Link| !l.has("id:") && (l.has("unbound") || l.has("node:"));
    for link in before.into_iter().chain(rest) {
        if loose(&link) {
            modem.absorb(link);
        } else {
            links.push(link);
        }
    }
    links.push(modem);
}

/// `vvvv:pppp` pairs in a text, also as `vendor=0xvvvv product=0xpppp` and `vvvv pppp`.
pub(super) fn usb_ids(text: &str) -> Vec<String> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(|w| w.strip_prefix("0x").unwrap_or(w).to_ascii_lowercase())
        .collect();
    let hex = |w: &&String| w.len() == 4 && w.bytes().all(|b| b.is_ascii_hexdigit());
    let found: Vec<&String> = words.iter().filter(hex).collect();
    found.chunks_exact(2).filter_map(|p| Some(format!("{}:{}", p.first()?, p.get(1)?))).collect()
}

/// The line in which something was read.
fn line_key(e: &Evidence) -> String {
    format!("line:{}:{}", e.path.lossy(), e.line.unwrap_or(0))
}

/// The package manager's own folder: its maintainer scripts belong to packages, without standing in their lists.
pub(super) fn is_packaging(path: &Name) -> bool {
    let text = path.lossy();
    text.starts_with("/var/lib/dpkg/info/")
        || text.starts_with("/usr/lib/opkg/info/")
        || text.starts_with("/usr/share/doc/")
}

/// In a temporary folder, or below a name that begins with a dot.
pub(super) fn off_the_path(path: &Name) -> bool {
    let text = path.lossy();
    ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/"].iter().any(|p| text.starts_with(p)) || text.contains("/.")
}
