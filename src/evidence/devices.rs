//! Which file system of the evidence a device word of fstab(5), of a mount unit or of a kernel command line means.
use super::identify::Candidate;

/// Whether an fstab device word means this file system. `within` is the volume that holds the asking system.
pub(super) fn names(device: &str, candidate: &Candidate<'_>, within: Option<u32>) -> bool {
    let (fs, volume) = (candidate.filesystem, candidate.volume);
    let same = |a: &str, b: &str| !a.is_empty() && a.eq_ignore_ascii_case(b);
    let word = |v: &str| v.trim_matches('"').to_owned();
    if let Some((tag, value)) = device.split_once('=') {
        let value = word(value);
        return match tag {
            "UUID" => same(&value, &fs.uuid),
            "LABEL" => same(&value, &fs.label),
            "PARTUUID" => same(&value, &volume.uuid),
            "PARTLABEL" => same(&value, &volume.label),
            _ => false,
        };
    }
    if let Some(by) = device.strip_prefix("/dev/disk/by-") {
        let Some((tag, value)) = by.split_once('/') else { return false };
        return match tag {
            "uuid" => same(value, &fs.uuid),
            "label" => same(value, &fs.label),
            "partuuid" => same(value, &volume.uuid),
            "partlabel" => same(value, &volume.label),
            _ => false,
        };
    }
    if volume.scheme == "lvm2"
        && let Some((group, name)) = volume.label.split_once('/')
    {
        // The device mapper doubles dashes, so that the one between group and volume can be told.
        let mapped = format!("/dev/mapper/{}-{}", group.replace('-', "--"), name.replace('-', "--"));
        return device == mapped || device.strip_prefix("/dev/") == Some(volume.label.as_str());
    }
    if volume.scheme == "md" {
        // `host:name` of newer metadata; `md0` of the old one.
        let name = volume.label.rsplit(':').next().unwrap_or_default();
        return device.strip_prefix("/dev/md/").or(device.strip_prefix("/dev/")) == Some(name) && !name.is_empty();
    }
    // sda3, nvme0n1p3, mmcblk0p3: the number is all that can be known from one disk's image.
    let digits: String = device.chars().rev().take_while(char::is_ascii_digit).collect();
    let number: String = digits.chars().rev().collect();
    let of_table = matches!(volume.scheme.as_str(), "gpt" | "mbr");
    let near = volume.parent.is_none() || volume.parent == within;
    volume.index > 0 && number.parse() == Ok(volume.index) && of_table && near
}

/// Whether two kernel names (`/dev/sda1`, `/dev/sda5`) are of one disk; `None` if either is no such name.
pub(super) fn same_disk(a: &str, b: &str) -> Option<bool> {
    let disk = |d: &str| {
        let stem = d.strip_prefix("/dev/")?.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        (!stem.is_empty() && !stem.contains('/')).then_some(stem)
    };
    Some(disk(a)? == disk(b)?)
}

/// What a device word means among the candidates.
pub(super) enum Meant<'a, 'c> {
    One(&'a Candidate<'c>),
    None,
    /// Ids of the file systems that it may be.
    Several(Vec<String>),
}

/// The file system that `device` means for a system whose root lies on `own`; `root` is what that system calls
/// its root's device, so that two kernel names tell whether they are of one disk.
pub(super) fn meant<'a, 'c>(device: &str, root: &str, own: &Candidate<'_>, all: &'a [Candidate<'c>]) -> Meant<'a, 'c> {
    let same_disk = same_disk(device, root);
    let on_disk = |c: &Candidate<'_>| same_disk.is_none_or(|same| same == (c.volume.image == own.volume.image));
    let found: Vec<&Candidate<'_>> = all.iter().filter(|c| names(device, c, own.volume.parent) && on_disk(c)).collect();
    match found.as_slice() {
        [one] => Meant::One(one),
        [] => Meant::None,
        more => Meant::Several(more.iter().map(|c| c.filesystem.id.clone()).collect()),
    }
}

/// What people call a file system: the label of its volume, its own, the file it lies in, else its kind.
pub(super) fn called(candidate: &Candidate<'_>) -> String {
    let (fs, volume) = (candidate.filesystem, candidate.volume);
    let words = [volume.label.as_str(), &fs.label, &fs.kind];
    let word = words.iter().find(|w| !w.is_empty()).copied().unwrap_or_default();
    word.to_owned()
}
