//! `upload_files`: images, sounds, films and documents shown to an agent with the question.

use massgen_protocol::{Media, MediaKind, MediaSource};

use crate::host::{UrlFault, check_file_url};
use crate::known::UPLOAD;
use crate::node::Kind;
use crate::reader::Reader;
use crate::section::{Field, Section};

/// Largest file where the config says nothing.
pub const MEDIA_BYTES_MAX_DEFAULT: u64 = 64 * MEGABYTE;

const MEGABYTE: u64 = 1 << 20;

/// Largest file that a config may allow: everything is held in memory and sent at once.
const MEGABYTES_MAX: u64 = 512;

/// Most files of one agent.
const FILES_MAX: usize = 100;

const KINDS: [(&str, MediaKind); 4] = [
    ("image_path", MediaKind::Image),
    ("audio_path", MediaKind::Audio),
    ("video_path", MediaKind::Video),
    ("file_path", MediaKind::File),
];

/// Endings of file names, the type they stand for, and what it is.
const TYPES: &[(&str, &str, MediaKind)] = &[
    ("png", "image/png", MediaKind::Image),
    ("jpg", "image/jpeg", MediaKind::Image),
    ("jpeg", "image/jpeg", MediaKind::Image),
    ("gif", "image/gif", MediaKind::Image),
    ("webp", "image/webp", MediaKind::Image),
    ("bmp", "image/bmp", MediaKind::Image),
    ("heic", "image/heic", MediaKind::Image),
    ("heif", "image/heif", MediaKind::Image),
    ("mp3", "audio/mpeg", MediaKind::Audio),
    ("wav", "audio/wav", MediaKind::Audio),
    ("m4a", "audio/mp4", MediaKind::Audio),
    ("aac", "audio/aac", MediaKind::Audio),
    ("ogg", "audio/ogg", MediaKind::Audio),
    ("opus", "audio/opus", MediaKind::Audio),
    ("flac", "audio/flac", MediaKind::Audio),
    ("aiff", "audio/aiff", MediaKind::Audio),
    ("mp4", "video/mp4", MediaKind::Video),
    ("m4v", "video/mp4", MediaKind::Video),
    ("mov", "video/quicktime", MediaKind::Video),
    ("mpeg", "video/mpeg", MediaKind::Video),
    ("mpg", "video/mpeg", MediaKind::Video),
    ("webm", "video/webm", MediaKind::Video),
    ("avi", "video/x-msvideo", MediaKind::Video),
    ("mkv", "video/x-matroska", MediaKind::Video),
    ("pdf", "application/pdf", MediaKind::File),
    ("json", "application/json", MediaKind::File),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        MediaKind::File,
    ),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        MediaKind::File,
    ),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", MediaKind::File),
    ("csv", "text/csv", MediaKind::File),
    ("html", "text/html", MediaKind::File),
    ("htm", "text/html", MediaKind::File),
    ("md", "text/markdown", MediaKind::File),
    ("xml", "text/xml", MediaKind::File),
    ("txt", "text/plain", MediaKind::File),
    ("log", "text/plain", MediaKind::File),
    ("yaml", "text/plain", MediaKind::File),
    ("yml", "text/plain", MediaKind::File),
    ("toml", "text/plain", MediaKind::File),
    ("tex", "text/plain", MediaKind::File),
    ("rs", "text/plain", MediaKind::File),
    ("py", "text/plain", MediaKind::File),
    ("js", "text/plain", MediaKind::File),
    ("ts", "text/plain", MediaKind::File),
    ("go", "text/plain", MediaKind::File),
    ("c", "text/plain", MediaKind::File),
    ("h", "text/plain", MediaKind::File),
    ("cpp", "text/plain", MediaKind::File),
    ("java", "text/plain", MediaKind::File),
    ("rb", "text/plain", MediaKind::File),
    ("sh", "text/plain", MediaKind::File),
    ("sql", "text/plain", MediaKind::File),
];

/// Returns what a file of this name is, by its ending; it is not read yet.
pub fn media_of_path(path: &str) -> Option<Media> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let (_, media_type, kind) = type_of(name)?;
    Some(Media {
        kind: *kind,
        media_type: (*media_type).to_owned(),
        name: Some(name.to_owned()),
        source: MediaSource::File { path: path.to_owned() },
    })
}

/// Returns the endings of names that are known, for messages.
pub fn media_endings() -> String {
    TYPES.iter().map(|(ending, _, _)| *ending).collect::<Vec<_>>().join(", ")
}

fn type_of(name: &str) -> Option<&'static (&'static str, &'static str, MediaKind)> {
    let (_, ending) = name.rsplit_once('.')?;
    TYPES.iter().find(|(known, _, _)| ending.eq_ignore_ascii_case(known))
}

/// Reads the bound of one file, in bytes.
pub(crate) fn media_bytes_max(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<u64> {
    let megabytes = reader.count(section.given("media_max_file_size_mb"), 1..=MEGABYTES_MAX)?;
    Some(megabytes * MEGABYTE)
}

/// Reads the list; `None` comes with at least one error.
pub(crate) fn media(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Vec<Media>> {
    let Some(field) = section.given("upload_files") else { return Some(Vec::new()) };
    let Kind::List(items) = &field.node.kind else {
        reader.mismatch(&field, "a list of files");
        return None;
    };
    if items.len() > FILES_MAX {
        let message = format!("{} files, at most {FILES_MAX} are taken", items.len());
        reader.error(field.key_at, &field.path, message, None);
        return None;
    }
    let mut files = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let path = format!("{}[{n}]", field.path);
        let Some(section) = Section::open(reader, item, path, &UPLOAD) else { continue };
        files.extend(upload(reader, section));
    }
    (files.len() == items.len()).then_some(files)
}

fn upload(reader: &mut Reader<'_>, mut section: Section<'_>) -> Option<Media> {
    let given = KINDS.map(|(key, kind)| section.given(key).map(|field| (field, kind)));
    let mut given: Vec<(Field<'_>, MediaKind)> = given.into_iter().flatten().collect();
    let (at, path) = (section.at, section.path.clone());
    section.finish(reader);
    if given.len() != 1 {
        let keys = KINDS.map(|(key, _)| format!("`{key}`")).join(", ");
        let message = format!("expected exactly one of {keys}, found {}", given.len());
        reader.error(at, &path, message, None);
        return None;
    }
    let (field, kind) = given.pop()?;
    let (at, path) = (field.node.at, field.path.clone());
    let place = reader.text(Some(field))?;
    let place = place.trim();
    if place.is_empty() {
        reader.error(at, &path, "expected a path or an address".to_owned(), None);
        return None;
    }
    let source = match check_file_url(place) {
        Ok(()) => MediaSource::Url { url: place.to_owned() },
        Err(UrlFault::Scheme) => MediaSource::File { path: place.to_owned() },
        Err(UrlFault::Credentials) => {
            let message = "an address must not hold a password".to_owned();
            let hint = "download the file, and give its path".to_owned();
            reader.error(at, &path, message, Some(hint));
            return None;
        }
        Err(UrlFault::NoHost | UrlFault::Blank | UrlFault::Query) => {
            reader.error(at, &path, "this is no address of a file".to_owned(), None);
            return None;
        }
    };
    let last = place.split(['?', '#']).next().unwrap_or(place);
    let name = last.rsplit(['/', '\\']).next().unwrap_or(last);
    let Some((_, media_type, found)) = type_of(name).or_else(|| assumed(&source, kind)) else {
        let message = format!("no telling what kind of file `{}` is", crate::problem::shown(name));
        let hint = format!("known endings are {}", media_endings());
        reader.error(at, &path, message, Some(hint));
        return None;
    };
    if kind != MediaKind::File && kind != *found {
        let message = format!("this file is {media_type}");
        let key = KINDS.iter().find(|(_, kind)| kind == found).map_or("", |(key, _)| key);
        reader.error(at, &path, message, Some(format!("write it under `{key}`")));
        return None;
    }
    Some(Media {
        // A file of a kind that has a way of its own takes it.
        kind: *found,
        media_type: (*media_type).to_owned(),
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        source,
    })
}

/// An address need not end like a file: its key says what is there.
fn assumed(
    source: &MediaSource,
    kind: MediaKind,
) -> Option<&'static (&'static str, &'static str, MediaKind)> {
    if !matches!(source, MediaSource::Url { .. }) {
        return None;
    }
    let ending = match kind {
        MediaKind::Image => "jpg",
        MediaKind::Audio => "mp3",
        MediaKind::Video => "mp4",
        MediaKind::File => "pdf",
    };
    TYPES.iter().find(|(known, _, _)| *known == ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_what_a_file_is() {
        let check = |path: &str, expected: Option<(&str, MediaKind)>| {
            let media = media_of_path(path);
            let found = media.as_ref().map(|media| (media.media_type.as_str(), media.kind));
            assert_eq!(found, expected, "{path}");
        };
        check("/tmp/a.b/Photo.JPG", Some(("image/jpeg", MediaKind::Image)));
        check("song.mp3", Some(("audio/mpeg", MediaKind::Audio)));
        check("dir\\film.mov", Some(("video/quicktime", MediaKind::Video)));
        check("paper.pdf", Some(("application/pdf", MediaKind::File)));
        check("folder.png/none", None);
        check("Makefile", None);
        check("", None);
    }
}
