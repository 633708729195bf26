//! Looks at pictures.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use massgen_protocol::{Media, MediaKind, MediaSource, ToolEffect, ToolOutput};
use massgen_workspace::Guard;

use super::params::{Given, Kind, Param, Tool};
use super::{Invocation, Toolbox, blocking, size};

/// Of one picture: some providers take 5 MB of base64 at most, and it grows by a third.
const PICTURE_BYTES_MAX: u64 = 3_700_000;

static READ: Tool = Tool {
    name: "read_media",
    does: "Shows you a picture: PNG, JPEG, GIF or WebP, in the workspace or in the others' work.",
    effect: ToolEffect::Read,
    takes: &[Param::need("path", Kind::Text, "The picture").or(&["file_path", "file", "filename"])],
};

pub(super) struct Pictures {
    guard: Arc<Guard>,
}

impl Pictures {
    pub fn new(guard: Arc<Guard>) -> Pictures {
        Pictures { guard }
    }

    fn read(&self, path: &str) -> Result<ToolOutput, String> {
        let bytes = self.guard.read(path, PICTURE_BYTES_MAX).map_err(|error| error.full_text())?;
        let media_type = type_of(&bytes).ok_or_else(|| {
            format!("`{path}` is no PNG, JPEG, GIF or WebP; for a text use read_text_file")
        })?;
        let name = path.rsplit('/').next().map(str::to_owned);
        let source = MediaSource::Inline { base64: STANDARD.encode(&bytes) };
        let media =
            Media { kind: MediaKind::Image, media_type: media_type.to_owned(), name, source };
        let text = format!("{path}: {media_type}, {}", size(bytes.len() as u64));
        Ok(ToolOutput { text, is_error: false, media: vec![media] })
    }
}

impl Toolbox for Pictures {
    fn tools(&self) -> Vec<&'static Tool> {
        vec![&READ]
    }

    fn call(
        self: Arc<Self>,
        _tool: &'static Tool,
        given: Given,
        _call: Invocation,
    ) -> BoxFuture<'static, ToolOutput> {
        blocking(move || self.read(given.text("path")).unwrap_or_else(ToolOutput::error))
    }
}

/// Returns the media type of a picture by its first bytes, whatever its name says.
pub(super) fn type_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// The same for one in base64; `None` also if it is none.
pub(crate) fn picture_type(base64: &str) -> Option<&'static str> {
    if base64.len() as u64 > PICTURE_BYTES_MAX * 4 / 3 + 4 {
        return None;
    }
    type_of(&STANDARD.decode(base64).ok()?)
}
