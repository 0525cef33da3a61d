//! Installed systems: which distribution in which version, with which kernels.
use super::{Column, Ground, Needs, Section, Takes, Thing, word};
use crate::base::Name;
use crate::inventory::{Kind, Value};

pub(super) const SECTION: Section = Section {
    name: "systems",
    about: "Every installed system that was found. `kernels` is a list, of which every one must be declared.",
    one: "system",
    requires: false,
    columns,
    key: &["name", "hostname"],
    pins: &["id", "version", "kernels", "hostname"],
    together: &[],
    needs: Needs::Tables(&["files"]),
    things,
};

fn columns() -> Vec<Column> {
    let column = |name, about, kind, takes| Column { name, about, kind, takes };
    vec![
        column("family", "linux, windows, unknown.", Kind::Text, Takes::Nothing),
        column("id", "The distribution: debian, ubuntu, rhel …", Kind::Text, Takes::Nothing),
        column("version", "Its version: 12.5.", Kind::Text, Takes::Versions),
        column("name", "Its name as it calls itself.", Kind::Text, Takes::Nothing),
        column("hostname", "Name of the machine.", Kind::Text, Takes::Nothing),
        column("machine_id", "Id of the installation.", Kind::Text, Takes::Nothing),
        column("architecture", "x86-64, aarch64 …", Kind::Text, Takes::Nothing),
        column("kernels", "Releases of the kernels that are installed.", Kind::List, Takes::Versions),
        column(
            "partial",
            "What of it is there, where only a part is; empty for an installed system.",
            Kind::Text,
            Takes::Nothing,
        ),
    ]
}

fn things(ground: &Ground<'_>) -> Vec<Thing> {
    let mut things = Vec::new();
    for (number, s) in (0_u32..).zip(&ground.scene.systems) {
        let release = |path: &str| {
            let named = |f: &&crate::inventory::File| f.system == Some(number) && f.path == Name::from(path);
            ground.inventory.files.iter().find(named).map(|f| f.evidence.clone())
        };
        let evidence = release("/etc/os-release").into_iter().chain(release("/usr/lib/os-release")).collect();
        let values = vec![
            word(&s.os.family),
            word(&s.os.id),
            word(&s.os.version),
            word(&s.os.name),
            word(&s.hostname),
            word(&s.machine_id),
            word(&s.architecture),
            Value::List(s.kernels.clone()),
            word(&s.partial),
        ];
        let family = s.package_database.clone();
        things.push(Thing { system: Some(number), values, evidence, family, ..Thing::default() });
    }
    things
}
