//! Files that are shown to agents with the question: read once, before a run begins, so
//! that it can be resumed without them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use massgen_config::{MEDIA_BYTES_MAX_DEFAULT, media_endings, media_of_path};
use massgen_protocol::{AgentId, AgentSpec, Media, MediaKind, MediaSource, RunSpec};

use crate::error::CliError;

/// All files of all agents: each agent's copy is held in memory and in the run's folder.
const TOTAL_BYTES_MAX: u64 = 256 << 20;

const MEGABYTE: u64 = 1 << 20;

/// What files of these types begin with. Providers refuse a file that is another.
const SIGNATURES: &[(&[u8], usize, &str, MediaKind)] = &[
    (b"\x89PNG\r\n\x1a\n", 0, "image/png", MediaKind::Image),
    (b"\xff\xd8\xff", 0, "image/jpeg", MediaKind::Image),
    (b"GIF8", 0, "image/gif", MediaKind::Image),
    (b"WEBP", 8, "image/webp", MediaKind::Image),
    (b"%PDF-", 0, "application/pdf", MediaKind::File),
];

/// Adds the files of the command line to every agent.
///
/// # Errors
/// If a name does not tell what its file is.
pub fn attach(spec: &mut RunSpec, paths: &[PathBuf]) -> Result<(), CliError> {
    for path in paths {
        let media = media_of_path(&path.to_string_lossy()).ok_or_else(|| {
            let message = format!("no telling what kind of file `{}` is", path.display());
            CliError::configuration(message).hint(format!("known endings are {}", media_endings()))
        })?;
        for agent in &mut spec.agents {
            agent.media.push(media.clone());
        }
    }
    Ok(())
}

/// Puts what the files hold in place of their paths. A relative path begins where the
/// command was called, or else where the config lies.
///
/// # Errors
/// The first file that is missing, too large, or not what its name says.
pub fn read(
    spec: &mut RunSpec,
    bytes_max: &BTreeMap<AgentId, u64>,
    config: Option<&Path>,
) -> Result<(), CliError> {
    let mut known: BTreeMap<PathBuf, File> = BTreeMap::new();
    let mut total = 0;
    for agent in &mut spec.agents {
        let most = bytes_max.get(&agent.id).copied().unwrap_or(MEDIA_BYTES_MAX_DEFAULT);
        let AgentSpec { id, media, .. } = agent;
        for media in media {
            let MediaSource::File { path } = &media.source else { continue };
            let path = found(Path::new(path), config);
            if !known.contains_key(&path) {
                known.insert(path.clone(), File::read(&path, most, id)?);
            }
            let Some(file) = known.get(&path) else { continue };
            total += file.n_bytes;
            if file.n_bytes > most {
                return Err(too_large(&path, file.n_bytes, most, id));
            }
            if total > TOTAL_BYTES_MAX {
                let message = format!(
                    "the files of all agents together are too large: at most {} MB are sent",
                    TOTAL_BYTES_MAX / MEGABYTE
                );
                return Err(CliError::configuration(message)
                    .hint("give them to fewer agents, or make them smaller"));
            }
            file.put(media, &path, id)?;
        }
    }
    Ok(())
}

fn found(path: &Path, config: Option<&Path>) -> PathBuf {
    let beside = config.and_then(Path::parent).map(|folder| folder.join(path));
    match beside {
        Some(beside) if !path.exists() && beside.exists() => beside,
        Some(_) | None => path.to_owned(),
    }
}

/// What a file holds.
struct File {
    n_bytes: u64,
    base64: String,
    /// What it is, where its first bytes tell.
    told: Option<(&'static str, MediaKind)>,
}

impl File {
    fn read(path: &Path, most: u64, agent: &AgentId) -> Result<File, CliError> {
        let failed = |error: io::Error| {
            let shown = path.display();
            CliError::configuration(format!("failed to read `{shown}`, a file for agent `{agent}`"))
                .because(error)
                .hint("paths begin where the command is called, or beside the config")
        };
        // A pipe or a device would never end.
        let length = fs::metadata(path).and_then(|metadata| {
            if metadata.is_file() {
                Ok(metadata.len())
            } else {
                Err(io::Error::other("it is not a regular file"))
            }
        });
        let length = length.map_err(failed)?;
        if length > most {
            return Err(too_large(path, length, most, agent));
        }
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(failed)?;
        // It may grow while it is read.
        file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.is_empty() {
            return Err(failed(io::Error::other("the file is empty")));
        }
        let n_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(File { n_bytes, base64: STANDARD.encode(&bytes), told: told(&bytes) })
    }

    fn put(&self, media: &mut Media, path: &Path, agent: &AgentId) -> Result<(), CliError> {
        let has_signature = SIGNATURES.iter().any(|(_, _, known, _)| *known == media.media_type);
        match self.told {
            // A picture under another picture's ending is sent as what it is.
            Some((media_type, kind)) if has_signature => {
                (media.media_type, media.kind) = (media_type.to_owned(), kind);
            }
            None if has_signature => {
                let message = format!(
                    "`{}`, a file for agent `{agent}`, is not {}",
                    path.display(),
                    media.media_type
                );
                return Err(CliError::configuration(message)
                    .hint("give it the ending of what it is, or another file"));
            }
            Some(_) | None => {}
        }
        media.source = MediaSource::Inline { base64: self.base64.clone() };
        Ok(())
    }
}

fn told(bytes: &[u8]) -> Option<(&'static str, MediaKind)> {
    let begins = |(signature, at, ..): &&(&[u8], usize, &'static str, MediaKind)| {
        bytes.get(*at..).is_some_and(|rest| rest.starts_with(signature))
    };
    SIGNATURES.iter().find(begins).map(|(_, _, media_type, kind)| (*media_type, *kind))
}

fn too_large(path: &Path, bytes: u64, most: u64, agent: &AgentId) -> CliError {
    let message = format!(
        "`{}`, a file for agent `{agent}`, is too large: {} MB, at most {} MB",
        path.display(),
        bytes.div_ceil(MEGABYTE),
        most / MEGABYTE
    );
    CliError::configuration(message)
        .hint("make it smaller, or raise `media_max_file_size_mb` of its `backend`")
}
