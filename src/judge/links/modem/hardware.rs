//! Hardware, drivers, and what the configuration says about drivers.
use super::{CAPABLE, INSTALLED, View, usb_ids};
use crate::inventory::Device;
use crate::judge::finding::Rung;
use crate::judge::links::frame::Piece;
use std::collections::BTreeSet;

impl View<'_> {
    fn is_modem(&self, d: &Device) -> bool {
        let class = &*d.class;
        let driver = d.driver.replace('-', "_");
        match class {
            "cellular" | "cellular-vendor" | "satellite" => true,
            "gnss" => false,
            // What Windows has among its modems is one, by whatever it is attached.
            _ if &*d.bus == "modem" => true,
            _ => {
                self.know.is_module(&driver)
                    || d.node.split([',', ' ']).any(|n| {
                        let n = n.trim_start_matches("/dev/");
                        n.starts_with("wwan") || n.starts_with("cdc-wdm") || n.starts_with("qcqmi")
                    })
            }
        }
    }
    pub(super) fn devices(&mut self) {
        for (row, d) in self.of(self.look.devices, |d| d.system) {
            if !self.is_modem(d) {
                continue;
            }
            let recorded = matches!(&*d.source, "log" | "registry");
            if !recorded && self.ground.source(self.system, &d.evidence).is_stock() {
                continue;
            }
            // A transcript knows no ids of a bus, but who the modem is.
            let id = if d.vendor.is_empty() { d.serial.clone() } else { format!("{}:{}", d.vendor, d.product) };
            let mut keys: Vec<String> = d.node.split([',', ' ']).filter_map(|n| self.node_key(n)).collect();
            if !d.vendor.is_empty() {
                keys.push(format!("id:{id}"));
            }
            if !d.driver.is_empty() {
                keys.push(format!("driver-of:{}", d.driver.replace('-', "_")));
            }
            let name = if d.name.is_empty() {
                format!("{} device {id}", d.bus)
            } else {
                format!("{} device {id} {}", d.bus, d.name)
            };
            let told = if recorded {
                let when = match (d.first_seen, d.last_seen) {
                    (Some(first), Some(last)) if first != last => format!(", first {first}, last {last}"),
                    (Some(at), _) | (None, Some(at)) => format!(", at {at}"),
                    _ => ", at an unknown time".into(),
                };
                match &*d.source {
                    "log" => format!("the log recorded {name}{when}, {} times", d.count.max(1)),
                    _ => format!("the registry recorded {name}{when}"),
                }
            } else {
                format!("{} names {name} ({})", d.evidence.path, d.source)
            };
            self.pieces.push(Piece {
                rows: vec![(self.ids.devices, row)],
                rung: Some(if recorded { Rung::Seen } else { Rung::Configured }),
                chain: 0,
                keys,
                name: Some((0, format!("modem {id}"))),
                told,
                lowers: super::super::periods::foreign(&d.recorded_as).into_iter().collect(),
                ..Piece::default()
            });
        }
    }
    pub(super) fn drivers(&mut self) {
        // Kernels that mark their own modules: where none has the mark, and nobody vouches, its lack says nothing.
        let marked: BTreeSet<_> = self
            .of(self.look.drivers, |d| d.system)
            .into_iter()
            .filter(|(_, d)| d.intree == Some(true))
            .map(|(_, d)| d.kernel.clone())
            .collect();
        for (row, d) in self.of(self.look.drivers, |d| d.system) {
            if !d.covered.is_empty() {
                continue;
            }
            // A module may be called anything: its file's name and what it builds on tell as well.
            let file = String::from_utf8_lossy(d.path.file_name()).replace('-', "_");
            let file = file.split('.').next().unwrap_or_default();
            let builds_on = |m: &String| matches!(m.replace('-', "_").as_str(), "usb_wwan" | "cdc_wdm" | "wwan");
            if !self.know.is_module(&d.name) && !self.know.is_module(file) && !d.depends.iter().any(builds_on) {
                continue;
            }
            let vouched = self.vouched(&d.path);
            let vendor = self.know.vendor_modules.contains(&*d.name) || self.know.vendor_modules.contains(file);
            let mut reasons = Vec::new();
            if !d.builtin && vouched.is_altered() {
                reasons.push(vouched.words().to_owned());
            }
            let telling = self.ground.has_database(self.system) || marked.contains(&d.kernel);
            if !d.builtin && d.outside && d.intree != Some(true) && telling {
                reasons.push("outside the kernel's own tree, without its mark".into());
            }
            let known = !d.builtin && self.ground.has_database(self.system);
            if known && d.ordered == Some(false) && !vouched.is_stock() {
                reasons.push("not in the kernel's modules.order".into());
            }
            let mut rows = vec![(self.ids.drivers, row)];
            rows.extend(self.ground.file(self.system, &d.path).map(|(f, _)| (self.ids.files, f)));
            let place = if d.builtin { format!("built into the kernel {}", d.kernel) } else { d.path.display() };
            let piece = Piece {
                rows,
                chain: 1,
                keys: vec![format!("driver:{}", d.name)],
                follows: vec![format!("driver-of:{}", d.name)],
                name: Some((4, format!("driver {}", d.name))),
                ..Piece::default()
            };
            if !reasons.is_empty() {
                let told = format!("the driver {} ({place}) is {}", d.name, reasons.join(", "));
                self.pieces.push(Piece { rung: Some(Rung::Altered), told, ..piece });
            } else if d.builtin || vendor || !self.ground.has_database(self.system) {
                let told = format!("the driver {} is there ({place})", d.name);
                let name = Some((8, INSTALLED.to_owned()));
                let keys = [piece.keys, vec!["installed".to_owned()]].concat();
                self.pieces.push(Piece { rung: Some(Rung::Installed), told, name, keys, ..piece });
            } else {
                let told = format!(
                    "the driver {} of package {}",
                    d.name,
                    self.ground.package(self.system, &d.path).unwrap_or("?")
                );
                self.stock.push(Piece { told, keys: vec![format!("driver:{}", d.name)], ..piece });
            }
        }
    }
    pub(super) fn settings(&mut self) {
        let vendor_driver: Vec<String> = self
            .of(self.look.drivers, |d| d.system)
            .into_iter()
            .filter(|(_, d)| d.covered.is_empty() && self.know.vendor_modules.contains(&*d.name))
            .map(|(_, d)| d.name.to_string())
            .collect();
        for (row, s) in self.of(self.look.driver_settings, |s| s.system) {
            let name = s.name.replace('-', "_");
            let ids = usb_ids(&s.value);
            let known = self.know.is_module(&name);
            // `options usbserial vendor=… product=…` and new_id lines bind a device by its ids.
            let binds = matches!(&*s.action, "new-id" | "udev") || (name == "usbserial" && !ids.is_empty());
            let by_id = binds && ids.iter().any(|id| self.pieces.iter().any(|p| p.keys.contains(&format!("id:{id}"))));
            if !known && !by_id {
                continue;
            }
            if self.ground.source(self.system, &s.evidence).is_stock() {
                continue;
            }
            // What one list loads, and a device's own file, belong together.
            let at = s.evidence.path.lossy();
            let together = &*s.action == "load" || at.starts_with("/etc/usb_modeswitch.d/");
            let file = together.then(|| format!("file:{at}"));
            let base = Piece {
                rows: vec![(self.ids.driver_settings, row)],
                chain: 2,
                follows: if by_id { Vec::new() } else { vec![format!("driver-of:{name}")] },
                keys: ids.iter().map(|id| format!("id:{id}")).chain([format!("driver:{name}")]).chain(file).collect(),
                name: Some((3, format!("driver {name}"))),
                ..Piece::default()
            };
            let at = s.evidence.path.display();
            match &*s.action {
                "blacklist" | "remove" => self.blacklist(base, &name, &at, &vendor_driver),
                "install" if s.value.ends_with("/false") || s.value.ends_with("/true") => {
                    self.blacklist(base, &name, &at, &vendor_driver);
                }
                "load" => {
                    let told = format!("{at} loads the driver {name} at boot");
                    self.pieces.push(Piece { rung: Some(Rung::Configured), told, ..base });
                }
                action => {
                    let told = format!("{at} sets {action} for the driver {name}: {}", s.value);
                    self.pieces.push(Piece { rung: Some(Rung::Configured), told, ..base });
                }
            }
        }
    }
    /// Keeping a stock driver away lowers a link, unless a vendor's driver stands in its place.
    fn blacklist(&mut self, base: Piece, name: &str, at: &str, vendor: &[String]) {
        if let (true, Some(other)) = (self.know.replaced_by_vendor.contains(name), vendor.first()) {
            let told = format!("{at} keeps the stock driver {name} away, beside {other}");
            let keys = vec![format!("driver:{other}")];
            let follows = vec![format!("driver:{other}")];
            let raises = vec![format!("the stock driver {name} is kept away beside {other}")];
            self.pieces.push(Piece { rung: Some(Rung::Configured), told, raises, keys, follows, name: None, ..base });
        } else {
            let told = format!("{at} keeps the driver {name} away");
            let lowers = vec![format!("{at} keeps the driver {name} away")];
            self.pieces.push(Piece {
                rung: Some(Rung::Capable),
                told,
                lowers,
                name: Some((9, CAPABLE.into())),
                ..base
            });
        }
    }
}
