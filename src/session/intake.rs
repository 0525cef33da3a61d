//! What was delivered: crane, devices, exhibits, images, seals, and the hashes that the imager recorded.
//! The format is described in docs/intake.md.
use super::imager_log::{self, Stated};
use super::open::shown;
use super::{Failure, OpenedImage};
use crate::base::{Gap, Name, Place};
use crate::case::{Device, Exhibit, Scope};
use crate::inventory::{Scene, StoredHash};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Logs longer than this are no logs of an imager.
const LOG_LIMIT: u64 = 16 << 20;
const INTAKE_LIMIT: u64 = 4 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    crane: String,
    #[serde(default)]
    device: Vec<FileDevice>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDevice {
    id: Option<Spanned<String>>,
    #[serde(default)]
    role: String,
    #[serde(default)]
    exhibit: Vec<FileExhibit>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileExhibit {
    id: Option<Spanned<String>>,
    #[serde(default)]
    images: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    seal: String,
    #[serde(default)]
    serial: String,
    label_bytes: Option<u64>,
    #[serde(default)]
    write_blocker: String,
    acquisition_log: Option<Spanned<PathBuf>>,
    #[serde(default)]
    hashes: BTreeMap<String, Spanned<String>>,
}

/// The delivery, as far as it is known before an image is read.
#[derive(Debug, Default)]
pub struct Intake {
    /// First segment of every image to examine: those of the command line in their order, then those that
    /// only the intake names.
    pub images: Vec<PathBuf>,
    /// What is recorded of each image, in the same order; to be compared.
    pub stored: Vec<Vec<StoredHash>>,
    /// What could not be made use of.
    pub gaps: Vec<Gap>,
    /// Exhibits name their images by position in `images`, until these have ids.
    scope: Scope,
    /// Image numbers of each exhibit of `scope`.
    exhibits: Vec<Vec<usize>>,
}

impl Intake {
    /// Reads the intake, if there is one, and joins it with the images of the command line.
    pub fn read(intake: Option<&Path>, images: &[PathBuf]) -> Result<Self, Failure> {
        let mut all = Self { images: images.to_vec(), ..Self::default() };
        all.stored.resize_with(images.len(), Vec::new);
        if let Some(path) = intake {
            Reader { path, text: &read_text(path)?, into: &mut all }.read()?;
        }
        all.assume_the_rest();
        Ok(all)
    }
    /// The scope of the case. Images have the ids of `scene`, in the order of [`Self::images`].
    pub fn scope(&self, scene: &Scene) -> Scope {
        let mut scope = self.scope.clone();
        for (exhibit, images) in scope.exhibits.iter_mut().zip(&self.exhibits) {
            exhibit.images = images.iter().filter_map(|i| scene.images.get(*i)).map(|i| i.id.clone()).collect();
        }
        scope
    }
    /// Everything that it says of the delivery, in a form that two intakes can be compared by.
    pub(super) fn stated(&self) -> impl std::fmt::Debug + '_ {
        (&self.scope, &self.exhibits, &self.stored, &self.gaps)
    }
    /// Devices that the intake names and no image covers: id and role.
    pub fn not_imaged(&self) -> Vec<(String, String)> {
        let empty = |id: &String| {
            let exhibit = self.scope.exhibits.iter().position(|e| e.id == *id);
            exhibit.and_then(|at| self.exhibits.get(at)).is_none_or(Vec::is_empty)
        };
        let bare = self.scope.devices.iter().filter(|d| d.exhibits.iter().all(empty));
        bare.map(|d| (d.id.clone(), d.role.clone())).collect()
    }
    /// Where the size of an exhibit's only image is not what its label says. `images` are the opened images, in
    /// the order of [`Self::images`]; of containers the size of the file says nothing, so only raw ones count.
    pub fn size_gaps(&self, images: &[OpenedImage]) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for (exhibit, numbers) in self.scope.exhibits.iter().zip(&self.exhibits) {
            if let ([only], Some(label)) = (numbers.as_slice(), exhibit.label_bytes)
                && let Some(image) = images.get(*only)
                && image.len() < label
            {
                let what =
                    format!("the label of exhibit {} says {label} bytes, the image has {}", exhibit.id, image.len());
                let at = Place { image: u32::try_from(*only).ok(), ..Place::default() };
                gaps.push(Gap { at, by: "intake".into(), what, bytes: label.saturating_sub(image.len()) });
            }
        }
        gaps
    }
    /// Images that no exhibit names: a device and an exhibit each.
    fn assume_the_rest(&mut self) {
        let named: BTreeSet<usize> = self.exhibits.iter().flatten().copied().collect();
        for image in (0..self.images.len()).filter(|i| !named.contains(i)) {
            let device = self.free_id("device", |s, id| s.devices.iter().any(|d| d.id == id));
            let exhibit = self.free_id("exhibit", |s, id| s.exhibits.iter().any(|e| e.id == id));
            self.scope.devices.push(Device {
                id: device.clone(),
                role: String::new(),
                named_by: "assumed".into(),
                exhibits: vec![exhibit.clone()],
            });
            self.scope.exhibits.push(Exhibit { id: exhibit, device, ..Exhibit::default() });
            self.exhibits.push(vec![image]);
        }
    }
    /// `prefix-N`, counted from 1, that is not taken yet.
    fn free_id(&self, prefix: &str, taken: impl Fn(&Scope, &str) -> bool) -> String {
        let mut number = 1_u32;
        loop {
            let id = format!("{prefix}-{number}");
            if !taken(&self.scope, &id) {
                return id;
            }
            number = number.saturating_add(1);
        }
    }
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let bytes = read_file(path, INTAKE_LIMIT)
        .map_err(|e| Failure::usage(format!("{}: {e}; name the intake file", shown(path))))?;
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{}: not UTF-8 text; an intake is TOML", shown(path))))
}

fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let meta = std::fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        _ => e.to_string(),
    })?;
    if !meta.is_file() {
        return Err("not a file".to_owned());
    }
    if meta.len() > limit {
        return Err(format!("{} bytes are too many", meta.len()));
    }
    std::fs::read(path).map_err(|e| e.to_string())
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    into: &'a mut Intake,
}

impl Reader<'_> {
    /// One line: file, line, what.
    fn fail(&self, at: Option<usize>, what: impl std::fmt::Display) -> Failure {
        let before = self.text.as_bytes().get(..at.unwrap_or(0)).unwrap_or_default();
        let line = before.split(|b| *b == b'\n').count();
        let what = Name::from(what.to_string().replace('\n', " ")).display_text();
        Failure::usage(format!("{}: line {line}: {what}", shown(self.path)))
    }
    /// A path of the intake, which is relative to it.
    fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    fn read(&mut self) -> Result<(), Failure> {
        let file: File = toml::from_str(self.text).map_err(|e| self.fail(e.span().map(|s| s.start), e.message()))?;
        self.into.scope.crane = file.crane;
        let known: Vec<Option<PathBuf>> = self.into.images.iter().map(|p| p.canonicalize().ok()).collect();
        let mut known: BTreeMap<PathBuf, usize> =
            known.into_iter().enumerate().filter_map(|(i, p)| Some((p?, i))).collect();
        let mut ids = BTreeSet::new();
        // Given ids first, so that counted ones keep clear of them.
        for id in file.device.iter().flat_map(|d| d.id.iter().chain(d.exhibit.iter().filter_map(|e| e.id.as_ref()))) {
            if id.get_ref().is_empty() {
                return Err(self.fail(Some(id.span().start), "an id must not be empty; leave it out instead"));
            }
            if !ids.insert(id.get_ref().clone()) {
                return Err(self.fail(Some(id.span().start), format!("the id {} is given twice", id.get_ref())));
            }
        }
        for device in file.device {
            let id = take_id(device.id, "device", &mut ids);
            let at = self.into.scope.devices.len();
            self.into.scope.devices.push(Device {
                id: id.clone(),
                role: device.role,
                named_by: "intake".into(),
                exhibits: Vec::new(),
            });
            for exhibit in device.exhibit {
                let exhibit = self.exhibit(exhibit, &id, &mut ids, &mut known)?;
                if let Some(device) = self.into.scope.devices.get_mut(at) {
                    device.exhibits.push(exhibit);
                }
            }
        }
        Ok(())
    }

    fn exhibit(
        &mut self,
        file: FileExhibit,
        device: &str,
        ids: &mut BTreeSet<String>,
        known: &mut BTreeMap<PathBuf, usize>,
    ) -> Result<String, Failure> {
        let mut images = Vec::new();
        for image in &file.images {
            let at = Some(image.span().start);
            let path = self.beside(image.get_ref());
            let full = path
                .canonicalize()
                .map_err(|_| self.fail(at, format!("image {} does not exist; correct the path", shown(&path))))?;
            let number = *known.entry(full).or_insert_with(|| {
                self.into.images.push(path.clone());
                self.into.stored.push(Vec::new());
                self.into.images.len().saturating_sub(1)
            });
            if images.contains(&number) || self.into.exhibits.iter().flatten().any(|n| *n == number) {
                return Err(self.fail(at, format!("image {} is named twice", shown(&path))));
            }
            images.push(number);
        }
        self.stated(&file, &images)?;
        let log = file.acquisition_log.as_ref().map(|l| shown(l.get_ref())).unwrap_or_default();
        let id = take_id(file.id, "exhibit", ids);
        self.into.scope.exhibits.push(Exhibit {
            id: id.clone(),
            device: device.to_owned(),
            images: Vec::new(),
            seal: file.seal,
            serial: file.serial,
            label_bytes: file.label_bytes,
            write_blocker: file.write_blocker,
            acquisition_log: log,
        });
        self.into.exhibits.push(images);
        Ok(id)
    }

    /// Hashes of the intake itself and of the imager's log, entered for the images they are of.
    fn stated(&mut self, file: &FileExhibit, images: &[usize]) -> Result<(), Failure> {
        let mut all = Vec::new();
        for (name, hash) in &file.hashes {
            let at = Some(hash.span().start);
            let algorithm = ["md5", "sha1", "sha256"].into_iter().find(|a| a == name);
            let algorithm =
                algorithm.ok_or_else(|| self.fail(at, format!("unknown algorithm {name}: md5, sha1 or sha256")))?;
            let hex = imager_log::valid(algorithm, hash.get_ref().trim())
                .ok_or_else(|| self.fail(at, format!("this is no {algorithm} in hex")))?;
            all.push(Stated { algorithm, hex, file: None });
        }
        if let Some(log) = &file.acquisition_log {
            let path = self.beside(log.get_ref());
            let bytes = read_file(&path, LOG_LIMIT)
                .map_err(|e| self.fail(Some(log.span().start), format!("acquisition log {}: {e}", shown(&path))))?;
            let found = imager_log::parse(&imager_log::decode(&bytes));
            if found.is_empty() {
                self.gap(&path, "no hash of an image was found in this log");
            }
            all.extend(found);
        }
        let names: Vec<(usize, String)> = images
            .iter()
            .filter_map(|n| Some((*n, self.into.images.get(*n)?.file_name()?.to_string_lossy().into_owned())))
            .collect();
        for stated in all {
            let by_name = stated.file.as_ref().map(|f| names.iter().find(|(_, name)| name == f));
            let image = match (by_name, names.as_slice()) {
                (Some(Some((image, _))), _) | (None, [(image, _)]) => Some(*image),
                // A list of checksums often covers more than this exhibit.
                (Some(None), _) => None,
                (None, _) => {
                    let what = format!(
                        "{} {} is stated, but not of which of {} images",
                        stated.algorithm,
                        stated.hex,
                        names.len()
                    );
                    let path = self.path;
                    self.gap(path, what);
                    None
                }
            };
            let list = image.and_then(|i| self.into.stored.get_mut(i));
            if let Some(list) =
                list.filter(|l| !l.iter().any(|s| s.algorithm == stated.algorithm && s.stored == stated.hex))
            {
                list.push(StoredHash {
                    algorithm: stated.algorithm.into(),
                    stored: stated.hex,
                    ..StoredHash::default()
                });
            }
        }
        Ok(())
    }
    fn gap(&mut self, path: &Path, what: impl Into<String>) {
        let at = Place { path: Some(Name::from(shown(path))), ..Place::default() };
        self.into.gaps.push(Gap { at, by: "intake".into(), what: what.into(), bytes: 0 });
    }
}

/// The given id, or the next counted one.
fn take_id(given: Option<Spanned<String>>, prefix: &str, ids: &mut BTreeSet<String>) -> String {
    if let Some(id) = given {
        return id.into_inner();
    }
    let mut number = 1_u32;
    loop {
        let id = format!("{prefix}-{number}");
        if ids.insert(id.clone()) {
            return id;
        }
        number = number.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::inventory::ImageInfo;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }
    fn scene(images: usize) -> Scene {
        let image = |n: usize| ImageInfo { id: format!("img-{n}"), ..ImageInfo::default() };
        Scene { images: (0..images).map(image).collect(), ..Scene::default() }
    }

    #[test]
    fn the_example_of_the_manual_is_read() {
        let manual = include_str!("../../docs/intake.md");
        let example = manual.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let log = "MD5 hash calculated over data:\t\tb1946ac92492d2347c6235b4d2611184\n";
        let dir = folder(&[("intake.toml", example), ("cms-ssd.001", "x"), ("cms-ssd.log", log)]);
        let intake = Intake::read(Some(&dir.path().join("intake.toml")), &[]).unwrap();
        assert_eq!(intake.images, [dir.path().join("cms-ssd.001")]);
        let stored: Vec<_> = intake.stored[0].iter().map(|s| (s.algorithm.as_str(), &s.stored[..4])).collect();
        assert_eq!(stored, [("sha256", "5891"), ("md5", "b194")]);
        let scope = intake.scope(&scene(1));
        assert_eq!((scope.crane.as_str(), scope.devices.len(), scope.exhibits.len()), ("RTG 07, yard 3", 2, 2));
        assert_eq!(scope.exhibits[0].images, ["img-0"]);
        assert_eq!(
            (scope.exhibits[0].seal.as_str(), scope.exhibits[0].label_bytes),
            ("A 004711", Some(500_107_862_016))
        );
        assert_eq!(
            (scope.devices[0].named_by.as_str(), &scope.devices[0].exhibits),
            ("intake", &vec!["E-001".to_owned()])
        );
        assert_eq!(intake.not_imaged(), [("OCR-1".to_owned(), "OCR".to_owned())]);
        assert_eq!(intake.gaps, []);
        let opened = super::super::open_all(&intake.images).unwrap();
        assert!(intake.size_gaps(&opened)[0].what.contains("says 500107862016 bytes, the image has 1"));
    }

    #[test]
    fn without_an_intake_one_exhibit_for_each_image_is_assumed() {
        let intake = Intake::read(None, &["a".into(), "b".into()]).unwrap();
        let scope = intake.scope(&scene(2));
        let exhibits: Vec<_> =
            scope.exhibits.iter().map(|e| (e.id.as_str(), e.device.as_str(), e.images.clone())).collect();
        assert_eq!(
            exhibits,
            [("exhibit-1", "device-1", vec!["img-0".to_owned()]), ("exhibit-2", "device-2", vec!["img-1".to_owned()])]
        );
        assert!(scope.devices.iter().all(|d| d.named_by == "assumed"));
        assert_eq!(intake.not_imaged(), []);
    }

    #[test]
    fn images_of_both_places_are_joined() {
        let text = "[[device]]\n[[device.exhibit]]\nimages = ['b.img', 'c.img']\n[[device]]\nid = 'device-3'\n";
        let dir = folder(&[("intake.toml", text), ("a.img", "a"), ("b.img", "b"), ("c.img", "c")]);
        let at = |name: &str| dir.path().join(name);
        let intake = Intake::read(Some(&at("intake.toml")), &[at("a.img"), at("./b.img")]).unwrap();
        assert_eq!(intake.images, [at("a.img"), at("./b.img"), at("c.img")]);
        let scope = intake.scope(&scene(3));
        let exhibits: Vec<_> = scope.exhibits.iter().map(|e| (e.device.as_str(), e.images.join(","))).collect();
        assert_eq!(exhibits, [("device-1", "img-1,img-2".to_owned()), ("device-2", "img-0".to_owned())]);
    }

    #[test]
    fn a_log_of_several_images_counts_for_those_it_names() {
        let md5 = |c: char| String::from(c).repeat(32);
        let log = format!("{}  a.img\n{}  other.img\nMD5: {}\n", md5('a'), md5('b'), md5('c'));
        let text = "[[device]]\n[[device.exhibit]]\nimages = ['a.img', 'b.img']\nacquisition_log = 'log'\n";
        let dir = folder(&[("intake.toml", text), ("a.img", "a"), ("b.img", "b"), ("log", &log)]);
        let mut intake = Intake::read(Some(&dir.path().join("intake.toml")), &[]).unwrap();
        assert_eq!(intake.stored.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0]);
        assert!(intake.gaps[0].what.contains("not of which of 2 images"));
        intake.stored[0].iter_mut().for_each(|h| h.compare(Some(md5('A'))));
        assert_eq!((intake.stored[0][0].matches, intake.stored[0][0].computed.clone()), (Some(true), Some(md5('A'))));
        intake.stored[0].iter_mut().for_each(|h| h.compare(None));
        assert_eq!(intake.stored[0][0].matches, None);
    }

    #[test]
    fn errors_are_one_line_with_file_and_line() {
        let dir = folder(&[("a.img", "a"), ("empty.log", "nothing")]);
        let path = dir.path().join("intake.toml");
        for (text, words) in [
            ("crane = 'x'\nseel = 1\n", "line 2: unknown field `seel`"),
            ("crane = \n", "line 1: "),
            ("[[device]]\n[[device.exhibit]]\nimages = ['none.img']\n", "line 3: image"),
            ("[[device]]\n[[device.exhibit]]\nimages = ['a.img', 'a.img']\n", "is named twice"),
            ("[[device]]\nid = 'x'\n[[device]]\nid = 'x'\n", "line 4: the id x is given twice"),
            ("[[device]]\nid = ''\n", "line 2: an id must not be empty"),
            ("[[device]]\n[[device.exhibit]]\n[device.exhibit.hashes]\nmd5 = 'abc'\n", "line 4: this is no md5"),
            ("[[device]]\n[[device.exhibit]]\n[device.exhibit.hashes]\ncrc = 'abc'\n", "line 4: unknown algorithm crc"),
            ("[[device]]\n[[device.exhibit]]\nacquisition_log = 'no.log'\n", "line 3: acquisition log"),
            ("[[device]]\n[[device.exhibit]]\nlabel_bytes = -1\n", "line 3: "),
        ] {
            std::fs::write(&path, text).unwrap();
            let failure = Intake::read(Some(&path), &[]).unwrap_err();
            assert_eq!(failure.code, 2, "{failure}");
            assert!(failure.message.contains(words) && !failure.message.contains('\n'), "{words}: {failure}");
            assert!(failure.message.contains("intake.toml"), "{failure}");
        }
        std::fs::write(&path, "[[device]]\n[[device.exhibit]]\nimages = ['a.img']\nacquisition_log = 'empty.log'\n")
            .unwrap();
        assert!(Intake::read(Some(&path), &[]).unwrap().gaps[0].what.contains("no hash of an image"));
        let none = Intake::read(Some(&dir.path().join("no.toml")), &[]).unwrap_err();
        assert!(none.code == 2 && none.message.contains("no such file"), "{none}");
        assert_eq!(Intake::read(Some(dir.path()), &[]).unwrap_err().code, 2);
    }
}
