//! Holds files, ports, signals and abstract sockets back by Landlock.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
    Scope,
};

use crate::plan::{Files, Policy, Sockets};

/// The newest one whose rights are all known here.
const KNOWN: ABI = ABI::V6;

/// Below the second version nothing could be moved from one folder to another; below the third
/// files could be cut off that cannot be written.
const NEEDED: ABI = ABI::V3;

pub(crate) fn apply(policy: &Policy) -> Result<(), String> {
    let failed = |error: RulesetError| format!("Landlock: {error}");
    if policy.files.is_none() && !policy.scoped {
        return Ok(());
    }
    let mut ruleset = Ruleset::default();
    if policy.files.is_some() {
        let level = match policy.files_needed {
            true => CompatLevel::HardRequirement,
            false => CompatLevel::BestEffort,
        };
        ruleset = ruleset
            .set_compatibility(level)
            .handle_access(AccessFs::from_all(NEEDED))
            .map_err(failed)?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(KNOWN))
            .map_err(failed)?;
        if policy.sockets == Sockets::Pairs {
            ruleset = ruleset.handle_access(AccessNet::from_all(KNOWN)).map_err(failed)?;
        }
    }
    if policy.scoped {
        ruleset = ruleset
            .set_compatibility(CompatLevel::BestEffort)
            .scope(Scope::from_all(KNOWN))
            .map_err(failed)?;
    }
    let mut created = ruleset.create().map_err(failed)?;
    if let Some(files) = &policy.files {
        created = rules(created, files).map_err(failed)?;
    }
    created.restrict_self().map_err(failed)?;
    Ok(())
}

fn rules(mut created: RulesetCreated, files: &Files) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::from_read(KNOWN);
    // Devices cannot be made by anybody without the right to, but say so twice.
    let write = AccessFs::from_all(KNOWN) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
    for (paths, access) in [(&files.read, read), (&files.write, write), (&files.devices, device)] {
        for path in paths {
            // Gone since it was looked for: then there is nothing to allow.
            let Ok(opened) = PathFd::new(path) else { continue };
            let access: BitFlags<AccessFs> =
                if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN) };
            created = created.add_rule(PathBeneath::new(opened, access))?;
        }
    }
    Ok(created)
}

/// Returns the version this process can use, zero without any: asked by a process that has
/// nothing left to do, since it confines itself for it.
pub(crate) fn version() -> u32 {
    let asked = Ruleset::default()
        .scope(Scope::from_all(KNOWN))
        .and_then(Ruleset::create)
        .and_then(RulesetCreated::restrict_self);
    match asked.map(|status| status.landlock) {
        Ok(LandlockStatus::Available { effective_abi, .. }) => effective_abi as u32,
        Ok(LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) | Err(_) => 0,
    }
}
