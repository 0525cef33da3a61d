//! Modems and the links over them.
use super::{Ground, Made, Needs, Section, Takes, links};
use crate::judge::finding::Category;
use std::collections::BTreeSet;

pub(super) const SECTION: Section = Section {
    name: "modems",
    about: "Every finding of the category modem, above the one line about what the distribution is capable of by itself. \
            A line that names an id, a number or a connection holds only if the link has no other one.",
    one: "modem link",
    requires: false,
    columns: || {
        links::columns(&[
            ("usb", "USB or PCI ids of its hardware, as vendor:product: 2c7c:0125.", Takes::Nothing),
            ("imei", "Numbers of the device: IMEI.", Takes::Nothing),
            ("iccid", "Numbers of the SIM: ICCID.", Takes::Nothing),
            ("connection", "Names of its connections.", Takes::Nothing),
            ("interface", "Network interfaces that it has.", Takes::Nothing),
            ("node", "Device nodes that it has: ttyUSB2, cdc-wdm0.", Takes::Nothing),
            ("apn", "Access points that it dials.", Takes::Nothing),
        ])
    },
    key: &["subject"],
    pins: &["usb", "imei", "iccid", "connection", "subject"],
    together: &[],
    needs: Needs::Findings(Category::Modem),
    things: |ground| links::things(ground, Category::Modem, names),
};

fn names(ground: &Ground<'_>, made: &Made) -> Vec<BTreeSet<String>> {
    // A transcript knows no ids of a bus, but the number of the device (15 digits) and of its SIM (18 to 20).
    let serials = links::cells(ground, made, &[("devices", "serial")]);
    let digits = |text: &&String, least: usize, most: usize| {
        (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let mut imei = links::captured(ground, made, "imei");
    imei.extend(serials.iter().filter(|s| digits(s, 15, 15)).cloned());
    let mut iccid = links::captured(ground, made, "iccid");
    iccid.extend(serials.iter().filter(|s| digits(s, 18, 20)).cloned());
    vec![
        links::keyed(made, "id:"),
        imei,
        iccid,
        links::cells(ground, made, &[("connections", "name"), ("sessions", "connection")]),
        links::cells(ground, made, &[("connections", "interface"), ("interfaces", "name"), ("sessions", "interface")]),
        links::keyed(made, "node:"),
        links::cells(ground, made, &[("connections", "apn"), ("sessions", "apn")]),
    ]
}
