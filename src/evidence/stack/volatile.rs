//! A writable layer by the kernel's command line alone: in memory (the Raspberry Pi's `boot=overlay`, systemd's
//! `systemd.volatile=`), or on a device (`rootrw=` and `overlayrootrwdev=` of Yocto's initramfs).
use super::{Root, Stack, Upper, folder_of};
use crate::evidence::devices::{self, Meant};

/// Parameter that names the device, and the folder of it that is the layer.
const DEVICES: &[(&str, &[&str])] = &[
    ("overlayrootrwdev", &["/upperdir", "/overlay-root/upper", "/upper"]),
    ("rootrw", &["/upperdir", "/upper", "/rw"]),
];

pub(super) fn stack(root: &Root<'_, '_>) -> Option<Stack> {
    for (parameter, folders) in DEVICES {
        let Some((line, device)) = root.parameter(parameter).filter(|(_, v)| !v.is_empty()) else { continue };
        let mut stack = Stack::new(&format!("{} ({parameter})", line.path), &root.folder);
        device.clone_into(&mut stack.named);
        let own = line.get("root").unwrap_or_default();
        let found = match devices::meant(device, own, root.candidate, root.all) {
            Meant::One(found) => Some(found),
            Meant::None | Meant::Several(_) => None,
        };
        let folder = found.and_then(|f| folders.iter().find_map(|p| folder_of(f, p)));
        if let Some(folder) = folder {
            stack.upper = Upper::Disk(folder);
        } else {
            let why = if found.is_some() { "holds no layer" } else { "is not in the evidence" };
            let what = format!("{parameter}={device}: this device {why}: only the layer below is shown");
            root.gaps.add("layers", what, 0);
            stack.upper = Upper::Missing;
        }
        return Some(stack);
    }
    let (line, what) =
        root.parameter("boot").filter(|(_, v)| *v == "overlay").map(|(l, _)| (l, "boot=overlay")).or_else(|| {
            root.parameter("systemd.volatile")
                .filter(|(_, v)| *v == "overlay")
                .map(|(l, _)| (l, "systemd.volatile=overlay"))
        })?;
    let mut stack = Stack::new(&format!("{} ({what})", line.path), &root.folder);
    stack.upper = Upper::Memory;
    Some(stack)
}
