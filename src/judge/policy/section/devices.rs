//! Devices of the delivery that must have been examined.
use super::{Column, Needs, Section, Takes, Thing, word};
use crate::inventory::{Kind, Value};

pub(super) const SECTION: Section = Section {
    name: "devices",
    about: "Devices of the delivery, as the intake names them. A required device of which no image was examined leaves \
            the verdict incomplete.",
    one: "device",
    requires: true,
    columns: || {
        let column = |name, about, kind| Column { name, about, kind, takes: Takes::Nothing };
        vec![
            column("id", "Its id in the intake; without an intake the name that was assumed.", Kind::Text),
            column("role", "crane management, PLC engineering, OCR, gateway …", Kind::Text),
            column(
                "examined",
                "An image of it was examined; without a condition on it, it must have been.",
                Kind::Bool,
            ),
        ]
    },
    key: &["id", "role"],
    pins: &["id", "role"],
    together: &[],
    needs: Needs::Tables(&[]),
    things: |ground| {
        let thing = |d: &super::Delivered| Thing {
            values: vec![word(&d.id), word(&d.role), Value::Bool(d.examined)],
            ..Thing::default()
        };
        ground.devices.iter().map(thing).collect()
    },
};
