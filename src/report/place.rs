//! How anybody finds the same bytes again with a standard tool.
use crate::inventory::ImageInfo;

/// The line that reads a run of an image with `dd`; only for raw images in one file, where it is true, and whose path
/// can be written in a shell without harm.
pub fn dd_line(image: &ImageInfo, offset: u64, len: u64) -> Option<String> {
    let path = image.path.as_str();
    let plain = image.container == "raw" && image.segments.len() <= 1;
    let safe = !path.contains(['\'', '\\']) && crate::base::inert::is_plain(path) && !path.is_empty();
    (plain && safe).then(|| {
        format!("dd if='{path}' iflag=skip_bytes,count_bytes skip={offset} count={len} status=none | xxd -o {offset}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_it_is_true_and_harmless() {
        let image = |path: &str, container: &str| ImageInfo {
            path: path.into(),
            container: container.into(),
            ..ImageInfo::default()
        };
        let line = dd_line(&image("/e/岸桥 1.raw", "raw"), 512, 16);
        assert_eq!(
            line.as_deref(),
            Some("dd if='/e/岸桥 1.raw' iflag=skip_bytes,count_bytes skip=512 count=16 status=none | xxd -o 512")
        );
        for (path, container) in
            [("/e/a.E01", "ewf"), ("/e/a';x", "raw"), ("/e/a\n", "raw"), ("", "raw"), ("a\\n", "raw")]
        {
            assert_eq!(dd_line(&image(path, container), 0, 1), None, "{path}");
        }
    }
}
