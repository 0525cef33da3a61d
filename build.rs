//! Lists the files of assets/rules, assets/knowledge and assets/variation as `(name, text)`, so that a rule is added
//! by adding a file. The texts become part of the program.
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    list("assets.rs", &[("RULES", "assets/rules"), ("KNOWLEDGE", "assets/knowledge")])?;
    list("variation.rs", &[("VARIATION", "assets/variation")])
}

fn list(file: &str, folders: &[(&str, &str)]) -> io::Result<()> {
    let mut out = String::new();
    for (constant, folder) in folders {
        println!("cargo:rerun-if-changed={folder}");
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "toml")
                && let Some(name) = path.file_name().and_then(|n| n.to_str())
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        let _ = writeln!(
            out,
            "/// The files of `{folder}`: name and text.\npub(super) const {constant}: &[(&str, &str)] = &["
        );
        for name in names {
            let file = format!("/{folder}/{name}");
            let _ = writeln!(out, "    ({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {file:?}))),");
        }
        out.push_str("];\n");
    }
    let target = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    fs::write(Path::new(&target).join(file), out)
}
