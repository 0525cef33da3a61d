//! The index of modules by the devices that they drive, `modules.alias` (depmod(8)), against the modules beside it.
use super::modules::{canonical, is_module_name};
use crate::artifact::Out;
use crate::evidence::System;
use crate::inventory::DriverSetting;
use std::collections::BTreeSet;

/// Aliases of one index that lead to no module and are told.
const MAX_UNFILED: usize = 200;

/// The index is made of the modules: a line that leads to none of them was written by another hand, or the module was
/// taken away.
pub(super) fn read(system: &System, out: &Out) {
    out.each(system, &["/lib/modules/*/modules.alias"], |text| {
        let folder = [text.entry.path.parent(), b"/"].concat();
        let files = system.below(&folder).filter(|e| is_module_name(e.path.bytes()));
        let mut names: BTreeSet<String> = files.map(|e| canonical(&e.path.lossy())).collect();
        let builtin = system.resolve([folder.as_slice(), b"modules.builtin"].concat());
        if let Some(builtin) = builtin.and_then(|e| out.read(system, e)) {
            names.extend(builtin.lines().map(|(_, line, _)| canonical(line.trim())));
        }
        let mut count = 0_usize;
        for (number, line, run) in text.lines() {
            let Some((pattern, module)) = line.strip_prefix("alias ").and_then(|l| l.trim().rsplit_once(' ')) else {
                continue;
            };
            let name = canonical(module);
            if names.contains(&name) {
                continue;
            }
            count = count.saturating_add(1);
            if count > MAX_UNFILED {
                out.gap_line(text.entry, number, "budget: aliases without a module; the rest was not listed");
                return;
            }
            out.push(DriverSetting {
                name,
                action: "unfiled-alias".into(),
                value: pattern.trim().to_owned(),
                effective: true,
                evidence: text.line_at(number, run),
                ..DriverSetting::default()
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::system;
    use super::*;
    use crate::inventory::Row;

    #[test]
    fn aliases_that_lead_to_no_module() {
        let s = system(
            "/lib/modules/6.1.0/modules.alias
    # Aliases
    alias usb:v2C7Cp* option
    alias usb:v1234p* evil-one
    alias fs-ext4 ext4

/lib/modules/6.1.0/modules.builtin
    kernel/fs/ext4/ext4.ko

/lib/modules/6.1.0/kernel/drivers/usb/serial/option.ko.xz
    x
",
        );
        let out = Out::new(Some(0), "test");
        read(&s, &out);
        let (rows, gaps) = out.take();
        let [Row::DriverSetting(row)] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((row.name.as_str(), &*row.action, row.value.as_str()), ("evil_one", "unfiled-alias", "usb:v1234p*"));
        assert_eq!((row.evidence.line, gaps.len()), (Some(3), 0));
    }
}
