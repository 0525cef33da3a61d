//! From the description of a volume group to its volumes' bytes.
use super::super::raid::layout::{Array, Level, Parity};
use super::super::{Assembled, Member};
use super::BY;
use super::group::{Area, Group, LogicalVolume, PhysicalVolume, Segment};
use super::snapshot::Snapshot;
use super::thin::Pool;
use crate::base::{Budget, Gaps, Run};
use crate::image::{Extent, Map, Mapped, ReadError, Slice, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Volumes upon volumes: a snapshot of a mirror of stripes.
const MAX_DEPTH: u32 = 16;

/// Every volume of a group that the running system would show. `set` gives the member of each physical volume.
pub(super) fn volumes(
    group: &Group,
    set: &BTreeMap<String, usize>,
    members: &[Member],
    gaps: &Gaps,
    budget: &mut Budget,
) -> Vec<Assembled> {
    let first = set.values().min().and_then(|n| members.get(*n));
    let ledger = first.map_or_else(|| gaps.clone(), |m| m.gaps.clone());
    let mut build = Build {
        group,
        set,
        members,
        gaps: &ledger,
        budget,
        physical: group.physical.iter().map(|p| (p.name.as_str(), p)).collect(),
        snapshots: snapshots(group),
        made: BTreeMap::new(),
        pools: BTreeMap::new(),
    };
    build.complain();
    let mut all = Vec::new();
    for (index, (name, lv)) in (1..).zip(group.logical.iter().filter(|(_, lv)| lv.visible)) {
        let kind = lv.segments.first().map(|s| s.kind.as_str()).unwrap_or_default();
        // A snapshot is listed as a volume of its own, beside the store whose name it goes by.
        let snapshot = build.snapshots.get(name).cloned();
        let shown = snapshot.as_ref().map_or(name, |(_, store)| store);
        let members = build.members_of(shown);
        let internal = snapshot.is_none() && matches!(kind, "thin-pool" | "cache-pool" | "vdo-pool");
        let source = match &snapshot {
            Some((origin, store)) => build.snapshot(origin, store),
            None if internal => Ok(Arc::new(Vec::new()) as Source),
            None => build.volume(name, 0),
        };
        let source = source.map_err(|what| {
            ledger.add(BY, format!("{}/{shown} not put together: {what}", group.name), lv.len());
        });
        let kind = match (kind, &snapshot) {
            (_, Some(_)) => "snapshot",
            ("striped", _) if lv.segments.iter().all(|s| s.areas("stripes").len() == 1) => "linear",
            (kind, _) => kind,
        };
        all.push(Assembled {
            members,
            index,
            type_name: kind.to_owned(),
            label: format!("{}/{shown}", group.name),
            uuid: lv.uuid.clone(),
            source: source.ok(),
            internal,
            is_filesystem: false,
        });
    }
    all
}

/// By the names of the snapshot and of its store: origin and store.
fn snapshots(group: &Group) -> BTreeMap<String, (String, String)> {
    let mut all = BTreeMap::new();
    for (name, lv) in &group.logical {
        let segment = lv.segments.iter().find(|s| s.kind == "snapshot");
        let pair = segment.and_then(|s| Some((s.text("origin")?.to_owned(), s.text("cow_store")?.to_owned())));
        if let Some(pair) = pair {
            all.insert(pair.1.clone(), pair.clone());
            all.insert(name.clone(), pair);
        }
    }
    all
}

struct Build<'a> {
    group: &'a Group,
    set: &'a BTreeMap<String, usize>,
    members: &'a [Member],
    gaps: &'a Gaps,
    budget: &'a mut Budget,
    /// Physical volumes by the name that segments use.
    physical: BTreeMap<&'a str, &'a PhysicalVolume>,
    /// Snapshots and their stores: origin and store.
    snapshots: BTreeMap<String, (String, String)>,
    made: BTreeMap<String, Result<Source, String>>,
    pools: BTreeMap<String, Result<Arc<Pool>, String>>,
}

impl Build<'_> {
    fn lv(&self, name: &str) -> Result<&LogicalVolume, String> {
        self.group.logical.get(name).ok_or_else(|| format!("there is no volume {name}"))
    }

    /// Missing physical volumes, each with the volumes that need it.
    fn complain(&self) {
        for pv in self.group.physical.iter().filter(|pv| !self.set.contains_key(&pv.uuid)) {
            let needs = |name: &&String| self.physical_names(name).contains(pv.name.as_str());
            let visible = self.group.logical.iter().filter(|(_, lv)| lv.visible).map(|(name, _)| name);
            let shown = |name: &String| self.snapshots.get(name).map_or(name, |(_, store)| store).clone();
            let names: Vec<String> = visible.filter(needs).map(shown).collect();
            let used =
                if names.is_empty() { "no volume lies".to_owned() } else { format!("lies: {}", names.join(", ")) };
            let what = format!(
                "volume group {}: the physical volume {} ({}, last seen as {}) is not part of the evidence; on it {used}",
                self.group.name, pv.name, pv.uuid, pv.device
            );
            self.gaps.add(BY, what, pv.count.saturating_mul(self.group.extent));
        }
    }

    /// Names of the physical volumes under a volume. Each volume below is visited once, whatever leads to it.
    fn physical_names(&self, name: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut todo = vec![name];
        while let Some(name) = todo.pop() {
            let Some((name, lv)) = self.group.logical.get_key_value(name) else { continue };
            if !seen.insert(name.as_str()) {
                continue;
            }
            if let Some((origin, store)) = self.snapshots.get(name) {
                todo.extend([origin.as_str(), store.as_str()]);
            }
            for below in lv.segments.iter().flat_map(Segment::below) {
                match self.physical.get(below) {
                    Some(pv) => {
                        found.insert(pv.name.as_str());
                    }
                    None => todo.push(below),
                }
            }
        }
        found
    }

    /// Whether a volume lies, in part at least, on a disk that is missing.
    fn lacks(&self, name: &str) -> bool {
        let on = self.physical_names(name);
        self.group.physical.iter().any(|p| on.contains(p.name.as_str()) && !self.set.contains_key(&p.uuid))
    }

    /// The members that a volume lies on; the group's first where none of its own is there.
    fn members_of(&self, name: &str) -> Vec<usize> {
        let names = self.physical_names(name);
        let on = self.group.physical.iter().filter(|p| names.contains(p.name.as_str()));
        let mut members: Vec<usize> = on.filter_map(|p| self.set.get(&p.uuid).copied()).collect();
        if members.is_empty() {
            members.extend(self.set.values().min());
        }
        members
    }

    fn snapshot(&mut self, origin: &str, store: &str) -> Result<Source, String> {
        let (origin, store) = (self.volume(origin, 0)?, self.volume(store, 0)?);
        Ok(Arc::new(Mapped(Snapshot::open(origin, store, self.budget)?)))
    }

    /// A volume's bytes by its own segments.
    fn volume(&mut self, name: &str, depth: u32) -> Result<Source, String> {
        if depth > MAX_DEPTH {
            return Err(format!("budget: {MAX_DEPTH} volumes within each other"));
        }
        if let Some(made) = self.made.get(name) {
            return made.clone();
        }
        // A volume that lies on itself finds this.
        self.made.insert(name.to_owned(), Err(format!("the volume {name} lies on itself")));
        let made = self.make(name, depth);
        self.made.insert(name.to_owned(), made.clone());
        made
    }
    fn make(&mut self, name: &str, depth: u32) -> Result<Source, String> {
        let group = self.group;
        let lv = group.logical.get(name).ok_or_else(|| format!("there is no volume {name}"))?;
        let mut parts = Vec::with_capacity(lv.segments.len());
        for segment in &lv.segments {
            self.budget.step(1).map_err(|e| e.0.to_owned())?;
            parts.push(self.segment(name, segment, depth.saturating_add(1))?);
        }
        Ok(Arc::new(Mapped(Linear { parts, len: lv.len() })))
    }

    /// Where the areas of a segment are.
    fn area(&mut self, area: &Area, len: u64, depth: u32) -> Result<Place, String> {
        let group = self.group;
        if let Some(pv) = self.physical.get(area.name.as_str()) {
            let bytes = area.extent.checked_mul(group.extent).and_then(|at| at.checked_add(pv.start));
            let offset = bytes.ok_or_else(|| format!("an extent beyond the end of {}", pv.name))?;
            let member = self.set.get(&pv.uuid).and_then(|n| self.members.get(*n));
            return Ok(match member {
                Some(member) => Place::At(Arc::new(Slice::new(member.source.clone(), Run::new(offset, len)))),
                None => {
                    Place::Missing(format!("it lies on {} ({}), which is not part of the evidence", pv.name, pv.uuid))
                }
            });
        }
        let source = self.volume(&area.name, depth)?;
        // A leg of a mirror whose disk is missing gives way to the other one.
        Ok(if self.lacks(&area.name) { Place::Part(source) } else { Place::At(source) })
    }

    fn segment(&mut self, name: &str, segment: &Segment, depth: u32) -> Result<Part, String> {
        let (start, len) = (segment.start, segment.len);
        let part = |kind| Ok(Part { start, len, kind });
        match segment.kind.as_str() {
            "striped" => {
                let areas = segment.areas("stripes");
                let count = areas.len() as u64;
                let each = len.checked_div(count).ok_or("a segment without stripes")?;
                let stripe =
                    if count == 1 { len } else { segment.bytes("stripe_size").ok_or("stripes without a size")? };
                let places = areas.iter().map(|a| self.area(a, each, depth)).collect::<Result<_, _>>()?;
                part(Kind::Stripes { places, stripe })
            }
            "mirror" => {
                let areas = segment.areas("mirrors");
                part(Kind::Copies(areas.iter().map(|a| self.area(a, len, depth)).collect::<Result<_, _>>()?))
            }
            kind if kind.starts_with("raid") => part(Kind::Whole(self.raid(kind, segment, depth)?)),
            "thin" => part(Kind::Whole(self.thin(segment, depth)?)),
            "cache" | "writecache" => {
                let origin = segment.text("origin").ok_or("a cache without its origin")?.to_owned();
                let what = format!(
                    "{}/{name}: its {kind} is not laid over it; newer blocks may be there",
                    self.group.name,
                    kind = segment.kind
                );
                self.gaps.add(BY, what, 0);
                part(Kind::Whole(self.volume(&origin, depth)?))
            }
            "zero" => part(Kind::Zero),
            "error" => {
                part(Kind::Stripes { places: vec![Place::Missing("the segment is set to fail".into())], stripe: len })
            }
            other => Err(format!("segments of the kind {other} are not read")),
        }
    }

    fn raid(&mut self, kind: &str, segment: &Segment, depth: u32) -> Result<Source, String> {
        // Pairs of metadata and data, or data alone.
        let names: Vec<String> = segment.names("raids").into_iter().map(str::to_owned).collect();
        let listed = segment.number("device_count").unwrap_or(0);
        let paired = names.len() as u64 == listed.saturating_mul(2);
        let images: Vec<String> =
            names.into_iter().skip(usize::from(paired)).step_by(if paired { 2 } else { 1 }).collect();
        let count = images.len() as u64;
        use Parity::{First, Last, LeftAsymmetric, LeftSymmetric, RightAsymmetric, RightSymmetric};
        let level = match kind {
            "raid0" | "raid0_meta" => Level::Striped,
            "raid1" => Level::Mirrored,
            "raid4" | "raid5_n" => Level::Single(Last),
            "raid5_0" => Level::Single(First),
            "raid5" | "raid5_ls" => Level::Single(LeftSymmetric),
            "raid5_la" => Level::Single(LeftAsymmetric),
            "raid5_rs" => Level::Single(RightSymmetric),
            "raid5_ra" => Level::Single(RightAsymmetric),
            "raid6" | "raid6_zr" => Level::Double { parity: RightAsymmetric, by_device: true },
            "raid10" | "raid10_near" => {
                Level::Copies { near: segment.number("data_copies").unwrap_or(2), far: 1, offset: false }
            }
            other => return Err(format!("segments of the kind {other} are not read")),
        };
        let mut devices = Vec::new();
        let mut lacking = Vec::new();
        for name in &images {
            let missing = self.lacks(name);
            let source = self.volume(name, depth)?;
            if missing {
                lacking.push(name.clone());
            }
            devices.push(Some(source).filter(|_| !missing));
        }
        let used = images.first().map(|n| self.lv(n).map(LogicalVolume::len)).transpose()?.unwrap_or(0);
        let chunk = segment.bytes("stripe_size").unwrap_or(0);
        let capacity = Array::capacity(level, count, chunk, used).ok_or("its geometry is impossible")?;
        if capacity < segment.len {
            return Err(format!("{} bytes do not fit its devices", segment.len));
        }
        let array = Array { level, devices, chunk, len: segment.len };
        if array.devices.iter().all(Option::is_none) {
            return Err(format!("all of {} lie on disks that are not part of the evidence", lacking.join(", ")));
        }
        Ok(Arc::new(array))
    }

    fn thin(&mut self, segment: &Segment, depth: u32) -> Result<Source, String> {
        let pool = segment.text("thin_pool").ok_or("a thin volume without its pool")?.to_owned();
        let device = segment.number("device_id").ok_or("a thin volume without its number")?;
        if segment.text("external_origin").is_some() {
            return Err("a thin volume over a volume outside its pool is not read".to_owned());
        }
        let opened = if let Some(opened) = self.pools.get(&pool) {
            opened.clone()
        } else {
            let opened = self.pool(&pool, depth).map(Arc::new);
            self.pools.insert(pool.clone(), opened.clone());
            opened
        }?;
        let (volume, damage) = opened.volume(device, segment.len, self.budget)?;
        self.say_damage(&pool, &damage);
        Ok(Arc::new(Mapped(volume)))
    }
    fn pool(&mut self, name: &str, depth: u32) -> Result<Pool, String> {
        let segment = self.lv(name)?.segments.first().filter(|s| s.kind == "thin-pool");
        let segment = segment.ok_or_else(|| format!("{name} is no thin pool"))?;
        let text = |field| segment.text(field).map(str::to_owned).ok_or_else(|| format!("{name} names no {field}"));
        let (metadata, data) = (text("metadata")?, text("pool")?);
        let (metadata, data) = (self.volume(&metadata, depth)?, self.volume(&data, depth)?);
        let pool = Pool::open(metadata, data, self.budget).map_err(|what| format!("thin pool {name}: {what}"))?;
        self.say_damage(name, &pool.damage);
        Ok(pool)
    }
    fn say_damage(&self, pool: &str, damage: &[String]) {
        if let Some(first) = damage.first() {
            let more = damage.len().saturating_sub(1);
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            self.gaps.add(BY, format!("thin pool {}/{pool}: {first}{more}", self.group.name), 0);
        }
    }
}

/// Where an area is, if the evidence has it.
enum Place {
    At(Source),
    /// Parts of it are on a disk that is missing.
    Part(Source),
    Missing(String),
}

enum Kind {
    Stripes {
        places: Vec<Place>,
        stripe: u64,
    },
    /// The same bytes several times.
    Copies(Vec<Place>),
    Whole(Source),
    Zero,
}

/// A segment, ready to be read.
struct Part {
    start: u64,
    len: u64,
    kind: Kind,
}

/// A volume's segments, one after the other.
struct Linear {
    parts: Vec<Part>,
    len: u64,
}

impl Map for Linear {
    fn len(&self) -> u64 {
        self.len
    }
    fn at(&self, offset: u64) -> Result<Extent, ReadError> {
        let fail = || ReadError { offset, what: "the volume's segments do not cover it".into() };
        let part = self.parts.partition_point(|p| p.start <= offset).checked_sub(1);
        let part = part.and_then(|n| self.parts.get(n)).ok_or_else(fail)?;
        let inside = offset.saturating_sub(part.start);
        let left = part.len.checked_sub(inside).filter(|left| *left > 0).ok_or_else(fail)?;
        let place = |place: &Place, offset: u64, len: u64| match place {
            Place::At(source) | Place::Part(source) => Extent::Stored { source: source.clone(), offset, len },
            Place::Missing(what) => Extent::Absent { len, what: what.clone() },
        };
        Ok(match &part.kind {
            Kind::Zero => Extent::Hole { len: left },
            Kind::Whole(source) => Extent::Stored { source: source.clone(), offset: inside, len: left },
            Kind::Copies(places) => {
                let there = places.iter().find(|p| matches!(p, Place::At(_)));
                let there =
                    there.or_else(|| places.iter().find(|p| matches!(p, Place::Part(_)))).or_else(|| places.first());
                place(there.ok_or_else(fail)?, inside, left)
            }
            Kind::Stripes { places, stripe } => {
                let count = places.len() as u64;
                let number = inside.checked_div(*stripe).ok_or_else(fail)?;
                let rest = inside.checked_rem(*stripe).ok_or_else(fail)?;
                let (row, column) =
                    (number.checked_div(count).ok_or_else(fail)?, number.checked_rem(count).ok_or_else(fail)?);
                let on = places.get(usize::try_from(column).unwrap_or(usize::MAX)).ok_or_else(fail)?;
                let offset = row.checked_mul(*stripe).and_then(|at| at.checked_add(rest)).ok_or_else(fail)?;
                place(on, offset, stripe.saturating_sub(rest).min(left))
            }
        })
    }
}
