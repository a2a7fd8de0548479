//! Several files are one map.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use super::diagnostic::{Diagnostic, Diagnostics};
use super::model::{Mapping, Origin, Policy};
use super::parse::{FileDraft, MappingDraft};
use super::wording::split_advice;
use crate::device::{Device, Form};
use crate::identity::{Key, Name, Owner, Uuid};

/// All that the files declare, as one.
pub(super) struct Merged {
    pub owner: Owner,
    pub policy: Policy,
    pub mappings: BTreeMap<Key, Draft>,
    /// Whether every file could be read: if not, what is missing may stand in one that could not.
    pub complete: bool,
}

/// A mapping on its way.
pub(super) struct Draft {
    pub mapping: Mapping,
    /// Whether all of it was read.
    pub whole: bool,
    /// Whether the map says that it is read-only, and what.
    pub readonly: Option<bool>,
}

/// Puts the files together; a file that could not be read is none.
pub(super) fn merge(files: Vec<Option<FileDraft>>, diagnostics: &mut Diagnostics) -> Merged {
    let mut complete = files.iter().all(|file| file.as_ref().is_some_and(|file| file.complete));
    let (mut owners, mut policies, mut mappings) = (Vec::new(), Vec::new(), Vec::new());
    for (file, draft) in files.into_iter().enumerate() {
        let Some(draft) = draft else { continue };
        owners.extend(draft.owner.map(|owner| (file, owner)));
        policies.extend(draft.policy.map(|policy| (file, policy)));
        mappings.extend(draft.mappings);
    }
    let owner = one_of(owners, "owner", "an owner", diagnostics);
    let policy = one_of(policies, "policy", "a policy", diagnostics);
    if let Some((file, Policy { prune: true, .. })) = &policy
        && owner.is_none()
        && complete
    {
        diagnostics.push(
            Diagnostic::error("`prune` needs a written `owner`")
                .at(top(*file).field("policy.prune"))
                .label("this would remove devices of an owner that the map doesn't name")
                .help(
                    "write `owner = \"...\"` at the top of the map: prune removes only devices of that owner",
                ),
        );
    }
    let owner = owner.map_or_else(Owner::default, |(_, owner)| owner);
    let mut drafts = BTreeMap::new();
    for mapping in mappings {
        complete &= insert(&mut drafts, mapping, &owner, diagnostics);
    }
    name_mappings(&mut drafts);
    Merged { owner, policy: policy.map(|(_, policy)| policy).unwrap_or_default(), mappings: drafts, complete }
}

fn top(file: usize) -> Origin {
    Origin { file, path: Vec::new() }
}

/// The one value that the files agree on.
fn one_of<T: PartialEq>(
    written: Vec<(usize, T)>,
    field: &str,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<(usize, T)> {
    let mut written = written.into_iter();
    let (first, value) = written.next()?;
    for (file, _) in written.filter(|(_, other)| *other != value) {
        diagnostics.push(
            Diagnostic::error(format!("the files of one map disagree about `{field}`"))
                .at(top(file).field(field))
                .label("another one here")
                .related(top(first).field(field), format!("{what} here"))
                .help(format!("write `{field}` in one of the files, or the same in all")),
        );
    }
    Some((first, value))
}

/// Whether the key of the mapping is known now.
fn insert(
    drafts: &mut BTreeMap<Key, Draft>,
    mapping: MappingDraft,
    owner: &Owner,
    diagnostics: &mut Diagnostics,
) -> bool {
    match drafts.entry(mapping.key.clone()) {
        Entry::Occupied(first) => {
            let diagnostic = Diagnostic::error(format!("the mapping `{}` is defined twice", mapping.key))
                .at(mapping.origin)
                .label("defined again here")
                .related(first.get().mapping.origin.clone(), "first defined here")
                .help("the files of one map define each mapping once");
            diagnostics.push(diagnostic);
            true
        }
        Entry::Vacant(place) => {
            let draft = draft(mapping, owner, diagnostics);
            let known = draft.is_some();
            draft.map(|draft| place.insert(draft));
            known
        }
    }
}

fn draft(mapping: MappingDraft, owner: &Owner, diagnostics: &mut Diagnostics) -> Option<Draft> {
    let MappingDraft { key, origin, fields, rows, whole } = mapping;
    let name = match fields.name.map_or_else(|| Name::new(key.as_str()), Ok) {
        Ok(name) => name,
        Err(error) => {
            let diagnostic = Diagnostic::from(split_advice(&error.to_string()))
                .at(origin)
                .label("a device is named by its key")
                .help("give it a `name` of its own");
            diagnostics.push(diagnostic);
            return None;
        }
    };
    let mapping = Mapping {
        name,
        uuid: fields.uuid.unwrap_or_else(|| Uuid::owned(owner, &key)),
        key,
        state: fields.state.into(),
        readonly: fields.readonly.unwrap_or_default(),
        protect: fields.protect,
        shared: fields.shared,
        renamed_from: fields.renamed_from,
        adopt: fields.adopt,
        suspend: fields.suspend.into(),
        wait: fields.wait,
        boot: fields.boot.into_iter().collect(),
        rows,
        origin,
    };
    Some(Draft { mapping, whole, readonly: fields.readonly })
}

/// Makes `@key` of `/dev/mapper/NAME` where that is a mapping of this map, in whichever file.
fn name_mappings(drafts: &mut BTreeMap<Key, Draft>) {
    const FOLDER: &str = "/dev/mapper/";
    let mut keys = HashMap::with_capacity(drafts.len());
    for (key, draft) in &*drafts {
        let name = &draft.mapping.name;
        keys.insert(name.kernel().to_string(), key.clone());
        keys.entry(name.plain().into_owned()).or_insert_with(|| key.clone());
    }
    let rows = drafts.values_mut().flat_map(|draft| &mut draft.mapping.rows);
    for device in rows.flat_map(|row| row.target.devices_mut()) {
        if let Form::Path(path) = &device.form
            && let Some(key) = path.strip_prefix(FOLDER).and_then(|name| keys.get(name))
        {
            *device = Device::mapping(key.clone());
        }
    }
}
