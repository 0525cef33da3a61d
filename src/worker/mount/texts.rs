//! The texts in the root of a mount: what stands where, and what could not be read.
use crate::base::{Gap, Name};
use crate::extract::Indexed;

/// Gaps listed one by one.
const MAX_GAPS: usize = 10_000;

/// Names and contents.
pub(super) fn texts(indexed: &Indexed, gaps: &[Gap]) -> Vec<(&'static str, String)> {
    vec![("about.txt", about(indexed)), ("gaps.txt", listed(gaps))]
}

/// Text of the evidence on one line, so that it cannot pass for ours.
fn safe(text: &str) -> String {
    Name::new(text.as_bytes()).display_text()
}

fn about(indexed: &Indexed) -> String {
    let scene = &indexed.layout.scene;
    let mut text = String::from(
        "Evidence as Cranescope reads it. Nothing here can be written, and nothing of it is run.\n\n\
         volumes/N   the files of file system N, as they are on disk\n\
         systems/N   the files of system N, as it would see them: its file systems joined\n\
         deleted/N   what was deleted from file system N and can still be seen, below the folder it was in;\n\
         \x20           reading what cannot be recovered is an input/output error\n\
         disks/N.raw the decoded disk of image N\n\
         gaps.txt    what could not be read\n\n\
         Of several entries with one name in one folder the first keeps it; the others end in ~inode~count.\n\n",
    );
    for (number, image) in scene.images.iter().enumerate() {
        let path = safe(&image.path);
        text.push_str(&format!("disks/{number}.raw: {path}, {}, {} bytes\n", image.container, image.size));
    }
    for tree in &indexed.trees {
        let Some(fs) = scene.filesystems.get(tree.id.0 as usize) else { continue };
        let volume = scene.volumes.get(fs.volume as usize);
        let place = volume.map(|v| format!("volume {} of image {} at byte {}", v.index, v.image, v.offset));
        text.push_str(&format!(
            "volumes/{}: {} in {}, label {}, UUID {}, {} files, {} folders, {} deleted entries\n",
            tree.id.0,
            fs.kind,
            place.unwrap_or_default(),
            if fs.label.is_empty() { "none".to_owned() } else { safe(&fs.label) },
            safe(&fs.uuid),
            fs.files,
            fs.directories,
            fs.deleted
        ));
    }
    for (number, system) in scene.systems.iter().enumerate() {
        let mounts: Vec<String> = system
            .mounts
            .iter()
            .map(|m| match m.filesystem {
                Some(id) => format!("{} = volumes/{}", safe(&m.at), id.0),
                None => format!("{} = {}, not found", safe(&m.at), safe(&m.device)),
            })
            .collect();
        let (name, host) = (safe(&system.os.name), safe(&system.hostname));
        text.push_str(&format!("systems/{number}: {name}, host {host}; {}\n", mounts.join(", ")));
    }
    text
}

fn listed(gaps: &[Gap]) -> String {
    let mut text = String::new();
    for gap in gaps.iter().take(MAX_GAPS) {
        text.push_str(&format!("{}: {}: {}\n", gap.at, gap.by, safe(&gap.what)));
    }
    if gaps.len() > MAX_GAPS {
        text.push_str(&format!("and {} more\n", gaps.len().saturating_sub(MAX_GAPS)));
    }
    text
}
