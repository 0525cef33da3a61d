//! What all logs came to, as rows: events, devices, periods of use, and from when to when there are lines.
use super::cited::Cited;
use super::machines::Verdict;
use super::patterns::Patterns;
use super::scan::{self, OTHERS};
use super::{File, Gathered, Merged, Source, named, put, sessions, usb, window};
use crate::artifact::Out;
use crate::base::Evidence;
use crate::evidence::System;
use crate::format::usbids;
use crate::inventory::{Device, Event};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The rows of everything that all logs told.
pub(super) fn emit(system: &System, patterns: &Patterns, files: &[File<'_>], gathered: Gathered, out: &Out) {
    let cited: RefCell<BTreeMap<usize, Cited>> = RefCell::default();
    let evidence = |source: Source, text: &str| match files.get(source.file) {
        Some(file) => {
            let mut cited = cited.borrow_mut();
            cited.entry(source.file).or_insert_with(|| Cited::new(system, file.entry)).line(source.spot, text)
        }
        None => Evidence::default(),
    };
    let verdict = Verdict::of(gathered.segments);
    // One event for each machine that recorded it.
    let mut events: BTreeMap<(scan::Key, &str), Merged> = BTreeMap::new();
    for ((key, segment), merged) in gathered.events {
        let label = verdict.label(segment, merged.first, merged.last);
        match events.get_mut(&(key.clone(), label)) {
            Some(known) => known.join(merged),
            None => {
                events.insert((key, label), merged);
            }
        }
    }
    let mut distinct: BTreeMap<usize, u32> = BTreeMap::new();
    let mut others: BTreeMap<usize, Merged> = BTreeMap::new();
    let event = |pattern: usize, program: String, fields: Vec<String>, label: &str, m: Merged| {
        let Some(p) = patterns.all.get(pattern) else { return };
        let recorded_as = recorded_as(&fields, label);
        let fields = fields.into_iter().filter(|f| !f.starts_with(scan::LOGGED_BY)).collect();
        out.push(Event {
            time: m.first,
            kind: p.id.clone(),
            class: p.class.clone(),
            program,
            count: m.count(),
            last: m.last,
            evidence: evidence(m.evidence, &m.text),
            text: m.text,
            fields,
            recorded_as,
            ..Event::default()
        });
    };
    for (((pattern, program, fields), label), merged) in events {
        let rest = fields.first().is_some_and(|f| f == OTHERS);
        let n = distinct.entry(pattern).or_insert(0);
        *n = n.saturating_add(u32::from(!rest));
        if !rest && *n <= scan::DISTINCT {
            event(pattern, program, fields, label, merged);
        } else if let Some(known) = others.get_mut(&pattern) {
            known.join(merged);
        } else {
            others.insert(pattern, merged);
        }
    }
    for (pattern, merged) in others {
        event(pattern, String::new(), vec![OTHERS.to_owned()], "", merged);
    }
    let mut devices: BTreeMap<(usb::Ids, &str), (usb::Seen, Merged)> = BTreeMap::new();
    for ((ids, segment), (seen, merged)) in gathered.devices {
        let label = verdict.label(segment, merged.first, merged.last);
        put(&mut devices, (ids, label), seen, merged);
    }
    for ((_, label), (seen, merged)) in devices {
        device(seen, merged, label, &evidence, out);
    }
    named::others(system, &verdict, &evidence, out);
    sessions::sessions(files, gathered.told, &verdict, &evidence, out);
    let joined = window::union(gathered.spans.iter().map(|s| (s.0, s.1)).collect());
    for (from, to) in joined {
        let source = gathered.spans.iter().find(|s| s.0 == from).map(|s| s.2);
        out.push(Event {
            time: Some(from),
            kind: window::EXTENT.into(),
            class: "log".into(),
            text: format!("the system's logs have lines from {from} to {to}, with no day between without any"),
            count: 1,
            last: Some(to),
            evidence: source.map(|s| evidence(s, "")).unwrap_or_default(),
            ..Event::default()
        });
    }
}

/// What the fields of an event, and the lines around it, say of the machine that recorded it.
fn recorded_as(fields: &[String], label: &str) -> String {
    let named = |f: &String| match f.strip_prefix("machine_id=") {
        Some(id) => Some(format!("machine-id {id}")),
        None => f.strip_prefix(scan::LOGGED_BY).map(|h| format!("host {h}")),
    };
    let mut all: Vec<String> = fields.iter().filter_map(named).collect();
    if !label.is_empty() && !all.iter().any(|a| a == label) {
        all.push(label.to_owned());
    }
    all.join(", ")
}

/// The row of a USB device, and the event that it was found.
fn device(seen: usb::Seen, merged: Merged, label: &str, evidence: &dyn Fn(Source, &str) -> Evidence, out: &Out) {
    let known = usbids::usb(&seen.vid, &seen.pid);
    let list = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(", ");
    let name = [seen.maker, seen.product].iter().filter(|s| !s.is_empty()).cloned().collect::<Vec<_>>().join(" ");
    let name = if name.is_empty() { known.name.to_owned() } else { name };
    let count = merged.count();
    let evidence = evidence(merged.evidence, &merged.text);
    let modem = matches!(known.class, "cellular" | "cellular-vendor" | "satellite");
    let mut fields = vec![format!("vid={}", seen.vid), format!("pid={}", seen.pid)];
    for (key, value) in [("name", &name), ("serial", &seen.serial)] {
        if !value.is_empty() {
            fields.push(format!("{key}={value}"));
        }
    }
    out.push(Event {
        time: merged.first,
        kind: "usb-new-device".into(),
        class: if modem { "modem-hardware" } else { "device" }.into(),
        program: "kernel".to_owned(),
        text: merged.text,
        fields,
        count,
        last: merged.last,
        recorded_as: label.to_owned(),
        evidence: evidence.clone(),
        ..Event::default()
    });
    out.push(Device {
        bus: "usb".into(),
        class: Arc::from(known.class),
        vendor: seen.vid,
        product: seen.pid,
        name,
        serial: seen.serial,
        driver: list(seen.drivers),
        node: list(seen.nodes),
        source: "log".into(),
        first_seen: merged.first,
        last_seen: merged.last,
        count,
        recorded_as: label.to_owned(),
        evidence,
        ..Device::default()
    });
}
