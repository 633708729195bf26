//! What the team shares of files: context paths, planning, how writes are kept apart.

mod mentions;
mod place;

use massgen_protocol::{Access, ContextPath, Drift, FilesSpec, WriteMode};

pub use mentions::context_in_question;
pub use place::place_paths;

use crate::known::CONTEXT_PATH;
use crate::node::{Kind, Node};
use crate::problem::shown;
use crate::reader::Reader;
use crate::section::{Field, Section};
use crate::tooling::{TeamTools, Wishes, only_seen, team_sandbox};

/// Most context paths of a team.
const PATHS_MAX: usize = 256;

const ACCESS: &[(&str, Access)] = &[("read", Access::Read), ("write", Access::Write)];
const WRITE_MODES: &[(&str, WriteMode)] = &[
    ("auto", WriteMode::Auto),
    ("worktree", WriteMode::Worktree),
    ("isolated", WriteMode::Isolated),
    ("legacy", WriteMode::Legacy),
];
const DRIFT: &[(&str, Drift)] =
    &[("skip", Drift::Skip), ("prefer_presenter", Drift::PreferPresenter), ("fail", Drift::Fail)];

/// Reads what stands under `orchestrator`.
pub(crate) fn of_orchestrator(
    r: &mut Reader<'_>,
    s: &mut Section<'_>,
    files: &mut FilesSpec,
    tools: &mut TeamTools,
) {
    if let Some(field) = s.given("sandbox") {
        files.sandbox = team_sandbox(r, field);
    }
    files.context_paths = context_paths(r, s.given("context_paths")).unwrap_or_default();
    let media = s.given("enable_multimodal_tools");
    let at = media.as_ref().map(|field| (field.key_at, field.path.clone()));
    tools.read_media = r.flag(media).unwrap_or(false);
    if let Some((at, path)) = at.filter(|_| tools.read_media) {
        only_seen(r, at, &path);
    }
    // Where snapshots are kept is the run's own business: each has its folder.
    for key in ["snapshot_storage", "agent_temporary_workspace"] {
        r.text(s.given(key));
    }
}

/// Reads what stands under `orchestrator.coordination`.
pub(crate) fn of_coordination(
    r: &mut Reader<'_>,
    s: &mut Section<'_>,
    files: &mut FilesSpec,
    tools: &mut TeamTools,
) {
    tools.planning = r.flag(s.given("enable_agent_task_planning")).unwrap_or(false);
    // Plans are kept where they can be read, whatever it says.
    r.flag(s.given("task_planning_filesystem_mode"));
    files.planning_mode = r.flag(s.given("enable_planning_mode")).unwrap_or(false);
    if let Some(field) = s.given("planning_mode_instruction") {
        let (at, path) = (field.key_at, field.path.clone());
        if r.text(Some(field)).is_some() && files.planning_mode {
            let message = "`planning_mode_instruction` has no effect: what cannot be undone is \
                           refused until the presentation, in words of ours";
            r.report.notice_once(at, &path, message.to_owned());
        }
    }
    if let Some(mode) = r.choice(s.given("write_mode"), WRITE_MODES) {
        files.write_mode = mode;
    }
    if let Some(drift) = r.choice(s.given("drift_conflict_policy"), DRIFT) {
        files.drift = drift;
    }
}

/// Reads a list of paths, each a text or a map.
pub(crate) fn context_paths(
    r: &mut Reader<'_>,
    field: Option<Field<'_>>,
) -> Option<Vec<ContextPath>> {
    let field = field?;
    let Kind::List(items) = &field.node.kind else {
        r.mismatch(&field, "a list of paths");
        return None;
    };
    if items.len() > PATHS_MAX {
        let message = format!("{} paths, at most {PATHS_MAX} are taken", items.len());
        r.error(field.key_at, &field.path, message, None);
        return None;
    }
    let mut paths: Vec<ContextPath> = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let at = format!("{}[{n}]", field.path);
        let Some(read) = context_path(r, item, at.clone(), &field) else { continue };
        if paths.iter().any(|known| known.path == read.path) {
            let message = format!("`{}` is named twice: the first holds", shown(&read.path));
            r.report.notice(item.at, &at, message, None);
            continue;
        }
        paths.push(read);
    }
    Some(paths)
}

fn context_path(
    r: &mut Reader<'_>,
    node: &Node,
    path: String,
    list: &Field<'_>,
) -> Option<ContextPath> {
    if matches!(node.kind, Kind::Scalar { .. }) {
        let field = Field { node, key_at: list.key_at, path };
        let path = r.path(field, "the path of a file or a folder")?;
        return Some(ContextPath { path, access: Access::Read, protected: Vec::new() });
    }
    let mut section = Section::open(r, node, path, &CONTEXT_PATH)?;
    let s = &mut section;
    let path = match s.given("path") {
        Some(field) => r.path(field, "the path of a file or a folder"),
        None => {
            let message = "this entry has no `path`".to_owned();
            r.error(s.at, &s.path_of("path"), message, None);
            None
        }
    };
    let access = r.choice(s.given("permission"), ACCESS).unwrap_or_default();
    let protected = s.given("protected_paths").map(|field| {
        let (at, place) = (field.node.at, field.path.clone());
        (r.paths(field), at, place)
    });
    section.finish(r);
    let path = path?;
    let mut kept = Vec::new();
    if let Some((written, at, place)) = protected {
        for inner in written {
            match inside(&path, &inner) {
                Some(inner) => kept.push(inner),
                None => {
                    let message = format!("`{}` is not inside `{}`", shown(&inner), shown(&path));
                    r.report.notice(at, &place, message, Some("it is left out".to_owned()));
                }
            }
        }
    }
    Some(ContextPath { path, access, protected: kept })
}

/// Returns a protected path as seen from its context path, if it lies in it.
fn inside(path: &str, inner: &str) -> Option<String> {
    let folder = path.trim_end_matches('/');
    let below = inner.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    let below = match below {
        Some(below) => below,
        None if inner.starts_with('/') => return None,
        None => inner.strip_prefix("./").unwrap_or(inner),
    };
    let leads_out = below.split('/').any(|part| part == "..");
    (!leads_out && !below.is_empty()).then(|| below.to_owned())
}

/// Takes in what an agent says for the whole team; what is said first holds.
pub(crate) fn take_wishes<'w>(
    r: &mut Reader<'_>,
    files: &mut FilesSpec,
    wishes: impl IntoIterator<Item = &'w Wishes>,
) {
    let (mut has_approval, mut has_container) = (false, false);
    for Wishes { context_paths, approval, container } in wishes {
        for path in context_paths {
            if files.context_paths.iter().all(|known| known.path != path.path) {
                files.context_paths.push(path.clone());
            }
        }
        if let Some(wish) = approval {
            if !has_approval {
                files.approval = wish.approval.clone();
            } else if files.approval != wish.approval {
                let message = "how questions are answered is the same for the whole team: what \
                               the first agent says holds";
                r.report.notice(wish.at, &wish.path, message.to_owned(), None);
            }
            has_approval = true;
        }
        if let Some((container, at, path)) = container {
            if !has_container {
                files.sandbox.container = container.clone();
            } else if files.sandbox.container != *container {
                let message = "containers are the same for the whole team: what the first agent \
                               says holds";
                r.report.notice(*at, path, message.to_owned(), None);
            }
            has_container = true;
        }
    }
}
