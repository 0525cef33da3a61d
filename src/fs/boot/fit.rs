//! FIT images: device trees whose nodes below `/images` are what is loaded, inside the tree or behind it, with hashes.
//! Device trees that are none name the device. Format: "Flattened Image Tree Specification" (fitspec.osfw.foundation).
use super::{BY, Body, File, Parts, info};
use crate::base::{Gaps, Run, hex};
use crate::fs::FsError;
use crate::fs::raw::{corrupt, size as bytes};
use crate::image::{Source, read_exact};
use crate::volume::flash::tree::{self, DeviceTree, Node};
use sha2::Digest as _;

/// Images of one tree, and the longest whose hashes are computed.
const MAX_IMAGES: usize = 256;
const LONGEST: u64 = 512 << 20;

/// Images of a tree with the run that each has in the volume.
fn images(tree: &DeviceTree) -> Vec<(&Node, Option<Run>)> {
    let base = tree.size.next_multiple_of(4);
    let place = |node: &Node| {
        if let Some(data) = node.properties.iter().find(|p| p.name == "data") {
            return Some(data.value);
        }
        let len = tree.number(node, "data-size")?;
        let inside = tree.number(node, "data-offset").map(|o| base.saturating_add(o));
        Some(Run::new(tree.number(node, "data-position").or(inside)?, len))
    };
    tree.below("/images").take(MAX_IMAGES).map(|node| (node, place(node))).collect()
}

pub(super) fn size(source: &Source) -> Option<u64> {
    tree::size(source)?;
    let tree = DeviceTree::read(source)?;
    let end = images(&tree).iter().filter_map(|(_, run)| *run).map(Run::end).max().unwrap_or(0);
    Some(end.max(tree.size).min(source.len()))
}

pub(super) fn open(source: &Source, gaps: &Gaps) -> Result<Parts, FsError> {
    let tree = DeviceTree::read(source).ok_or_else(|| corrupt(0, "no device tree that holds"))?;
    let root = tree.node("/").ok_or_else(|| corrupt(0, "a device tree without a root"))?;
    let found = images(&tree);
    let size = found.iter().filter_map(|(_, run)| *run).map(Run::end).max().unwrap_or(0).max(tree.size);
    if found.is_empty() {
        let mut features: Vec<String> =
            tree.texts(root, "compatible").iter().map(|c| format!("compatible={c}")).collect();
        let arguments = tree.node("/chosen").and_then(|n| tree.text(n, "bootargs"));
        features.extend(arguments.map(|a| format!("bootargs={}", crate::base::secret::masked_command(&a))));
        let files = vec![File { name: "device-tree".to_owned(), body: Body::Run(Run::new(0, tree.size)) }];
        let model = tree.text(root, "model").unwrap_or_default();
        return Ok(Parts { files, info: info("device-tree", model, None, features), size });
    }
    let mut files = Vec::new();
    let mut features = Vec::new();
    for (node, run) in found {
        let name = node.path.rsplit('/').next().unwrap_or_default().to_owned();
        let words = ["type", "arch", "os", "compression"].map(|w| tree.text(node, w).unwrap_or_default());
        features.push(format!("{name}: {}", words.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")));
        let Some(run) = run else {
            gaps.add_at(BY, "volume_offset", 0, format!("image {name} of a FIT has no data"), 0);
            continue;
        };
        check(source, &tree, node, &name, run, gaps)?;
        files.push(File { name, body: Body::Run(run) });
    }
    features.extend(configurations(&tree));
    let created = tree.number(root, "timestamp").and_then(|n| u32::try_from(n).ok());
    let label = tree.text(root, "description").unwrap_or_default();
    Ok(Parts { files, info: info("fit", label, created, features), size })
}

/// Which images are loaded together, the choice that is taken by itself first.
fn configurations(tree: &DeviceTree) -> Vec<String> {
    let default = tree.node("/configurations").and_then(|n| tree.text(n, "default"));
    let mut told: Vec<String> = default.iter().map(|name| format!("default={name}")).collect();
    for node in tree.below("/configurations").take(MAX_IMAGES) {
        let name = node.path.rsplit('/').next().unwrap_or_default();
        let parts = ["kernel", "fdt", "ramdisk", "firmware", "fpga", "loadables"].map(|w| (w, tree.texts(node, w)));
        let parts: Vec<String> = parts
            .iter()
            .filter(|(_, images)| !images.is_empty())
            .map(|(word, images)| format!("{word}={}", images.join("+")))
            .collect();
        told.push(format!("configuration {name}: {}", parts.join(" ")));
    }
    if let Some(name) = default.filter(|d| tree.node(&format!("/configurations/{d}")).is_none()) {
        told.push(format!("the default configuration {name} is not there"));
    }
    told
}

/// Compares the hashes of an image.
fn check(source: &Source, tree: &DeviceTree, node: &Node, name: &str, run: Run, gaps: &Gaps) -> Result<(), FsError> {
    let say = |what: String, bytes| {
        gaps.add_at(BY, "volume_offset", run.offset, format!("image {name} of a FIT: {what}"), bytes);
    };
    let hashes: Vec<&Node> = tree
        .below(&node.path)
        .filter(|n| n.path.rsplit('/').next().is_some_and(|name| name.starts_with("hash")))
        .collect();
    if hashes.is_empty() {
        return Ok(());
    }
    if run.len > LONGEST {
        say("too long for its hashes to be computed".to_owned(), 0);
        return Ok(());
    }
    // What lies beyond the volume is told by whoever cuts the file.
    let Some(data) = read_exact(&**source, run.offset, bytes(run.len))? else { return Ok(()) };
    for hash in hashes {
        let algorithm = tree.text(hash, "algo").unwrap_or_default();
        let stored = tree.get(hash, "value").unwrap_or_default();
        let made = match algorithm.as_str() {
            "crc32" => crc32fast::hash(&data).to_be_bytes().to_vec(),
            "md5" => md5::Md5::digest(&data).to_vec(),
            "sha1" => sha1::Sha1::digest(&data).to_vec(),
            "sha256" => sha2::Sha256::digest(&data).to_vec(),
            "sha384" => sha2::Sha384::digest(&data).to_vec(),
            "sha512" => sha2::Sha512::digest(&data).to_vec(),
            other => {
                say(format!("its hash by {} is not checked", other.escape_default()), 0);
                continue;
            }
        };
        if made != stored {
            say(format!("its {algorithm} is {}, stored is {}", hex(&made), hex(stored)), run.len);
        }
    }
    Ok(())
}
