//! The report JSON, schema `cranescope-report/1`: fixed key order, arrays in their natural order, one
//! element a line, so that two reports can be compared with `diff`.
use super::Format;
use super::inert::Inert;
use super::layers::{Layering, layerings};
use crate::base::parallel::{split, stream};
use crate::case::{CaseData, Exhibit};
use crate::inventory::portable::{Ids, PortableEvidence};
use crate::inventory::portable_gap::PortableGap;
use crate::inventory::portable_text::{self, Key};
use crate::inventory::{AnyTable, FilesystemInfo, ImageInfo, SystemInfo, VolumeInfo};
use crate::judge::{Finding, Severity};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json as j};
use std::io::{self, Write};
use std::ops::Range;

pub(super) const SCHEMA: &str = "cranescope-report/1";

pub(super) const FORMAT: Format =
    Format { name: "json", about: "everything, schema cranescope-report/1", write: |case, to| json(case, to) };

/// Writes the whole report.
pub fn json(case: &CaseData, to: &mut dyn Write) -> io::Result<()> {
    let mut to = Inert { to, begun: Vec::new() };
    whole(case, &mut to)?;
    to.flush()
}

fn whole(case: &CaseData, to: &mut dyn Write) -> io::Result<()> {
    let ids = Ids::of(&case.scene);
    let volume_ids: Vec<String> = case.scene.volumes.iter().map(|v| v.id.clone()).collect();
    write!(to, "{{\"schema\":{}", text(SCHEMA))?;
    field(to, "run", &run(case))?;
    field(to, "tool", &tool(case))?;
    field(to, "scope", &scope(case))?;
    list(to, "images", case.scene.images.iter().map(|i| image(case, i)))?;
    list(to, "volumes", case.scene.volumes.iter().map(|v| volume(case, v, &ids)))?;
    list(to, "filesystems", case.scene.filesystems.iter().map(|f| filesystem(f, &volume_ids)))?;
    list(to, "systems", case.scene.systems.iter().map(|s| system(s, &ids)))?;
    write!(to, ",\n\"inventory\":{{")?;
    for (n, table) in case.inventory.all().into_iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        write!(to, "{comma}\n{}:[", text(table.table().name))?;
        rows(to, table, &ids)?;
        to.write_all(b"]")?;
    }
    to.write_all(b"}")?;
    list(to, "findings", case.findings.iter().map(|f| FindingOf { finding: f, ids: &ids }))?;
    list(to, "searched", &case.searched)?;
    let unexamined = case.unexamined.iter();
    list(
        to,
        "unexamined",
        unexamined.map(|u| {
            let named_by =
                serde_json::to_value(PortableEvidence { evidence: &u.named_by, ids: &ids }).unwrap_or_default();
            Fixed(vec![("device", j!(u.device)), ("named_by", named_by)])
        }),
    )?;
    list(to, "gaps", case.gaps.iter().map(|gap| PortableGap { gap, ids: &ids, volumes: &volume_ids }))?;
    field(to, "verdict", &verdict(case))?;
    to.write_all(b"\n}\n")
}

fn text(text: &str) -> Value {
    Value::from(text)
}
fn field(to: &mut dyn Write, key: &str, value: &impl Serialize) -> io::Result<()> {
    write!(to, ",\n{}:", text(key))?;
    serde_json::to_writer(to, value).map_err(io::Error::from)
}
fn list<T: Serialize>(to: &mut dyn Write, key: &str, items: impl IntoIterator<Item = T>) -> io::Result<()> {
    write!(to, ",\n{}:[", text(key))?;
    for (n, item) in items.into_iter().enumerate() {
        to.write_all(if n == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *to, &item)?;
    }
    to.write_all(b"]")
}

/// Keys in the order of the contract, whatever a map type would make of them.
struct Fixed(Vec<(&'static str, Value)>);
impl Serialize for Fixed {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter().map(|(k, v)| (k, v)))
    }
}
/// A list of such objects.
struct FixedList(Vec<Fixed>);
impl Serialize for FixedList {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(&self.0)
    }
}

fn time(at: Option<crate::base::Time>) -> Value {
    at.map_or(Value::Null, |t| text(&t.to_string()))
}

fn run(case: &CaseData) -> impl Serialize + use<> {
    let run = &case.run;
    let mut timings = serde_json::Map::new();
    for (stage, seconds) in &run.timings {
        timings.insert(stage.clone(), j!((seconds * 1000.0).round() / 1000.0));
    }
    Fixed(vec![
        ("started", time(run.started)),
        ("finished", time(run.finished)),
        ("host", text(&run.host)),
        ("examiner", text(&run.examiner)),
        ("command", j!(run.command)),
        ("timings", Value::Object(timings)),
        ("sandbox", text(&run.sandbox)),
        ("scratch", if run.scratch.is_empty() { Value::Null } else { text(&run.scratch) }),
        ("baselines", j!(run.baselines)),
    ])
}

fn tool(case: &CaseData) -> impl Serialize + use<> {
    #[derive(Serialize)]
    struct Rules {
        count: u64,
        sha256: String,
    }
    #[derive(Serialize)]
    struct Knowledge {
        sha256: String,
    }
    #[derive(Serialize)]
    struct Tool {
        name: String,
        version: String,
        rules: Rules,
        knowledge: Knowledge,
    }
    let tool = case.tool.clone();
    Tool {
        name: tool.name,
        version: tool.version,
        rules: Rules { count: tool.rules, sha256: tool.rules_sha256 },
        knowledge: Knowledge { sha256: tool.knowledge_sha256 },
    }
}

fn scope(case: &CaseData) -> impl Serialize + use<> {
    #[derive(Serialize)]
    struct Scope {
        crane: String,
        devices: FixedList,
        exhibits: FixedList,
    }
    let devices = case.scope.devices.iter().map(|d| {
        Fixed(vec![("id", j!(d.id)), ("role", j!(d.role)), ("named_by", j!(d.named_by)), ("exhibits", j!(d.exhibits))])
    });
    let exhibit = |e: &Exhibit| {
        Fixed(vec![
            ("id", j!(e.id)),
            ("device", j!(e.device)),
            ("images", j!(e.images)),
            ("seal", j!(e.seal)),
            ("serial", j!(e.serial)),
            ("label_bytes", j!(e.label_bytes)),
            ("write_blocker", j!(e.write_blocker)),
            ("acquisition_log", j!(e.acquisition_log)),
        ])
    };
    Scope {
        crane: case.scope.crane.clone(),
        devices: FixedList(devices.collect()),
        exhibits: FixedList(case.scope.exhibits.iter().map(exhibit).collect()),
    }
}

/// A line of what a container says of its acquisition.
#[derive(Serialize)]
struct Detail {
    field: String,
    value: String,
}

fn image(case: &CaseData, image: &ImageInfo) -> impl Serialize + use<> {
    #[derive(Serialize)]
    struct Image {
        id: String,
        exhibit: Option<String>,
        path: String,
        container: String,
        size: u64,
        segments: Vec<String>,
        sha256: Option<String>,
        stored_hashes: Vec<crate::inventory::StoredHash>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        details: Vec<Detail>,
        bytes: crate::inventory::BytesRead,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        changed: Vec<String>,
    }
    let exhibit = case.scope.exhibits.iter().find(|e| e.images.contains(&image.id));
    let ImageInfo { id, path, container, size, segments, sha256, stored_hashes, details, bytes, changed } =
        image.clone();
    let details = details.into_iter().map(|(field, value)| Detail { field, value }).collect();
    let exhibit = exhibit.map(|e| e.id.clone());
    Image { id, exhibit, path, container, size, segments, sha256, stored_hashes, details, bytes, changed }
}

fn volume(case: &CaseData, v: &VolumeInfo, ids: &Ids) -> impl Serialize + use<> {
    let volume = |n: u32| case.scene.volumes.get(n as usize).map(|p| &p.id);
    let parent = v.parent.and_then(volume);
    let mut fields = vec![
        ("id", j!(v.id)),
        ("image", j!(ids.image(v.image))),
        ("parent", j!(parent)),
        ("scheme", j!(v.scheme)),
        ("index", j!(v.index)),
        ("offset", j!(v.offset)),
        ("size", j!(v.size)),
        ("type", j!(v.type_name)),
        ("label", j!(v.label)),
        ("uuid", j!(v.uuid)),
        ("state", j!(v.state)),
        ("filesystem", j!(v.filesystem.map(|f| ids.filesystem(f)))),
    ];
    if !v.members.is_empty() {
        fields.push(("members", j!(v.members.iter().filter_map(|m| volume(*m)).collect::<Vec<_>>())));
    }
    Fixed(fields)
}

fn filesystem(f: &FilesystemInfo, volumes: &[String]) -> impl Serialize + use<> {
    let mut fields = vec![
        ("id", j!(f.id)),
        ("volume", j!(volumes.get(f.volume as usize))),
        ("type", j!(f.kind)),
        ("label", j!(f.label)),
        ("uuid", j!(f.uuid)),
        ("block_size", j!(f.block_size)),
        ("files", j!(f.files)),
        ("directories", j!(f.directories)),
        ("deleted", j!(f.deleted)),
        ("last_mounted", j!(f.last_mounted)),
        ("last_mount_time", time(f.last_mount_time)),
        ("last_write_time", time(f.last_write_time)),
        ("created", time(f.created)),
        ("clean", j!(f.clean)),
        ("features", j!(f.features)),
    ];
    if !f.details.is_empty() {
        let details: Vec<Detail> = f.details.iter().cloned().map(|(field, value)| Detail { field, value }).collect();
        fields.push(("details", j!(details)));
    }
    // Absent where the second reader was not asked for: nothing was compared, which is not the same as none.
    if let Some(second) = f.second_reader {
        fields.push(("second_reader", j!(second)));
    }
    Fixed(fields)
}

fn system(s: &SystemInfo, ids: &Ids) -> impl Serialize + use<> {
    #[derive(Serialize)]
    struct Mount {
        at: String,
        filesystem: Option<String>,
        device: String,
        path: String,
        kind: String,
    }
    #[derive(Serialize)]
    struct Logs {
        first: Value,
        last: Value,
        gaps: Vec<[Value; 2]>,
        volatile: bool,
    }
    #[derive(Serialize)]
    struct System {
        id: String,
        os: crate::inventory::OsInfo,
        partial: String,
        hostname: String,
        machine_id: String,
        architecture: String,
        kernels: Vec<String>,
        installed: Value,
        timezone: String,
        mounts: Vec<Mount>,
        layers: Vec<Layering>,
        mount_notes: Vec<String>,
        slot: crate::inventory::SlotInfo,
        clone_signs: Vec<String>,
        logs: Logs,
        package_database: String,
        initramfs: Vec<Initramfs>,
    }
    #[derive(Serialize)]
    struct Initramfs {
        path: String,
        filesystem: String,
    }
    let s = s.clone();
    let initramfs = s
        .initramfs
        .iter()
        .map(|i| Initramfs { path: i.path.display(), filesystem: ids.filesystem(i.filesystem).to_owned() });
    let initramfs = initramfs.collect();
    let filesystem = |m: &crate::inventory::Mount| m.filesystem.map(|f| ids.filesystem(f).to_owned());
    let mounts = s.mounts.iter().map(|m| Mount {
        at: m.at.clone(),
        filesystem: filesystem(m),
        device: m.device.clone(),
        path: m.path.clone(),
        kind: m.kind.clone(),
    });
    let gaps = s.logs.gaps.iter().map(|(from, to)| [time(Some(*from)), time(Some(*to))]);
    System {
        id: s.id,
        os: s.os,
        partial: s.partial,
        hostname: s.hostname,
        machine_id: s.machine_id,
        architecture: s.architecture,
        kernels: s.kernels,
        installed: time(s.installed),
        timezone: s.timezone,
        mounts: mounts.collect(),
        layers: layerings(&s.layers, &|fs| ids.filesystem(fs).to_owned()),
        mount_notes: s.mount_notes,
        slot: s.slot,
        clone_signs: s.clone_signs,
        logs: Logs {
            first: time(s.logs.first),
            last: time(s.logs.last),
            gaps: gaps.collect(),
            volatile: s.logs.volatile,
        },
        package_database: s.package_database,
        initramfs,
    }
}

/// Rows that one thread writes at a time, at most.
const CHUNK: usize = 1024;

/// All rows of a table, one a line. The many of a large table are written by several threads, into memory piece by
/// piece, and put together in their order.
fn rows(to: &mut dyn Write, table: &dyn AnyTable, ids: &Ids) -> io::Result<()> {
    let keys = keys(table);
    let chunk = |rows: Range<usize>| -> Vec<u8> {
        let mut out = Vec::new();
        for at in rows {
            out.extend_from_slice(if at == 0 { b"\n" } else { b",\n" });
            row(&mut out, table, &keys, at, ids);
        }
        out
    };
    stream("report-rows", &split(table.len(), table.len().div_ceil(CHUNK)), &chunk, &mut |part| to.write_all(&part))
}

fn keys(table: &dyn AnyTable) -> Vec<Key> {
    table.table().columns.iter().map(|c| Key::new(c.name)).collect()
}

/// One row as an object.
fn row(out: &mut Vec<u8>, table: &dyn AnyTable, keys: &[Key], row: usize, ids: &Ids) {
    out.extend_from_slice(b"{\"system\":");
    match ids.system(table.system(row)) {
        Some(id) => portable_text::text(out, id),
        None => out.extend_from_slice(b"null"),
    }
    let mut keys = keys.iter();
    table.cells(row, &mut |value| {
        if let Some(key) = keys.next() {
            portable_text::cell(out, key, &value);
        }
    });
    if let Some(evidence) = table.evidence(row) {
        out.extend_from_slice(b",\"evidence\":");
        portable_text::evidence(out, evidence, ids);
    }
    out.push(b'}');
}

struct FindingOf<'a> {
    finding: &'a Finding,
    ids: &'a Ids,
}
impl Serialize for FindingOf<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (f, ids) = (self.finding, self.ids);
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("id", &f.id)?;
        map.serialize_entry("rule", &f.rule)?;
        map.serialize_entry("title", &f.title)?;
        map.serialize_entry("severity", &f.severity)?;
        map.serialize_entry("conformity", &f.conformity)?;
        map.serialize_entry("category", &f.category)?;
        map.serialize_entry("rung", &f.rung)?;
        map.serialize_entry("confidence", &f.confidence)?;
        map.serialize_entry("system", &ids.system(f.system))?;
        map.serialize_entry("subject", &f.subject)?;
        map.serialize_entry("observed", &f.observed)?;
        map.serialize_entry("supports", &f.supports)?;
        map.serialize_entry("does_not_show", &f.does_not_show)?;
        map.serialize_entry("ordinary_explanations", &f.ordinary_explanations)?;
        map.serialize_entry("check", &f.check)?;
        map.serialize_entry("attack", &f.attack)?;
        map.serialize_entry("baseline", &f.baseline)?;
        let evidence: Vec<_> = f.evidence.iter().map(|evidence| PortableEvidence { evidence, ids }).collect();
        map.serialize_entry("evidence", &evidence)?;
        let reviews = f.reviews.iter().map(|r| {
            let at = j!(r.at.to_string());
            Fixed(vec![
                ("examiner", j!(r.examiner)),
                ("disposition", j!(r.disposition)),
                ("note", j!(r.note)),
                ("at", at),
            ])
        });
        map.serialize_entry("reviews", &FixedList(reviews.collect()))?;
        map.end()
    }
}

fn verdict(case: &CaseData) -> impl Serialize + use<> {
    #[derive(Serialize)]
    struct Counts {
        critical: usize,
        high: usize,
        medium: usize,
        low: usize,
        info: usize,
    }
    #[derive(Serialize)]
    struct Verdict {
        result: crate::case::Outcome,
        policy: String,
        counts: Counts,
        reasons: Vec<String>,
        policy_file: Option<String>,
        policy_sha256: Option<String>,
    }
    Verdict {
        result: case.verdict.result,
        policy: case.verdict.policy.clone(),
        counts: Counts {
            critical: case.count(Severity::Critical),
            high: case.count(Severity::High),
            medium: case.count(Severity::Medium),
            low: case.count(Severity::Low),
            info: case.count(Severity::Info),
        },
        reasons: case.verdict.reasons.clone(),
        policy_file: case.verdict.assessment.as_ref().map(|a| a.file.clone()),
        policy_sha256: case.verdict.assessment.as_ref().map(|a| a.sha256.clone()),
    }
}

/// Rows of one table as a JSON array, one row a line.
pub fn json_rows(
    scene: &crate::inventory::Scene,
    table: &dyn AnyTable,
    rows: &[usize],
    to: &mut dyn Write,
) -> io::Result<()> {
    let (ids, keys) = (Ids::of(scene), keys(table));
    let mut to = Inert { to, begun: Vec::new() };
    to.write_all(b"[")?;
    for (n, at) in rows.iter().enumerate() {
        let mut out = if n == 0 { b"\n".to_vec() } else { b",\n".to_vec() };
        row(&mut out, table, &keys, *at, &ids);
        to.write_all(&out)?;
    }
    to.write_all(b"\n]\n")?;
    to.flush()
}
