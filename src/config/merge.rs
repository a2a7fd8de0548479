//! Merges several files into one map.

use std::collections::{HashMap, HashSet};

use super::diagnostic::{Diagnostic, Diagnostics};
use super::model::{Mapping, Mappings, Origin, Policy};
use super::parse::{FileDraft, MappingDraft};
use crate::device::{Device, Form};
use crate::identity::{Key, Name, Owner, Uuid};
use crate::mistake::Mistake;

/// The folder in which the devices of mappings have their nodes.
const FOLDER: &str = "/dev/mapper/";

/// The declarations of all files in one.
pub(super) struct Merged {
    pub owner: Owner,
    pub policy: Policy,
    pub mappings: Mappings,
    /// Mappings that were not read in full.
    pub in_part: HashSet<Key>,
    /// The field `readonly` of each mapping that has it.
    pub readonly: HashMap<Key, bool>,
    /// Whether every file could be read: if not, a missing mapping may be in a file that could not.
    pub complete: bool,
}

/// Puts the files together; a file that could not be read is `None`.
pub(super) fn merge(files: Vec<Option<FileDraft>>, diagnostics: &mut Diagnostics) -> Merged {
    let complete = files.iter().all(|file| file.as_ref().is_some_and(|file| file.complete));
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
    let policy = policy.map(|(_, policy)| policy).unwrap_or_default();
    let mut merged = Merged {
        owner: owner.map_or_else(Owner::default, |(_, owner)| owner),
        policy,
        mappings: Mappings::with_capacity(mappings.len()),
        in_part: HashSet::new(),
        readonly: HashMap::new(),
        complete,
    };
    for draft in by_key(mappings) {
        merged.insert(draft, diagnostics);
    }
    name_mappings(&mut merged.mappings);
    merged
}

/// Sorts by key, and by file where two have the same key. Keys are sorted by themselves: drafts are large.
fn by_key(drafts: Vec<MappingDraft>) -> impl Iterator<Item = MappingDraft> {
    let mut order: Vec<(Key, usize)> =
        drafts.iter().enumerate().map(|(place, draft)| (draft.key.clone(), place)).collect();
    order.sort_unstable();
    let mut drafts: Vec<Option<MappingDraft>> = drafts.into_iter().map(Some).collect();
    order.into_iter().filter_map(move |(_, place)| drafts[place].take())
}

fn top(file: usize) -> Origin {
    Origin { file, path: Vec::new() }
}

/// Returns the one value that the files agree on.
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

impl Merged {
    fn insert(&mut self, draft: MappingDraft, diagnostics: &mut Diagnostics) {
        if let Some(first) = self.mappings.get(&draft.key) {
            let diagnostic = Diagnostic::error(format!("the mapping `{}` is defined twice", draft.key))
                .at(Origin::mapping(draft.file, draft.key.as_str()))
                .label("defined again here")
                .related(first.origin(), "first defined here")
                .help("the files of one map define each mapping once");
            diagnostics.push(diagnostic);
            return;
        }
        let (whole, readonly) = (draft.whole, draft.fields.readonly);
        let Some(mapping) = mapping(draft, &self.owner, diagnostics) else {
            self.complete = false;
            return;
        };
        if !whole {
            self.in_part.insert(mapping.key.clone());
        }
        if let Some(readonly) = readonly {
            self.readonly.insert(mapping.key.clone(), readonly);
        }
        self.mappings.insert(mapping.key.clone(), mapping);
    }
}

fn mapping(draft: MappingDraft, owner: &Owner, diagnostics: &mut Diagnostics) -> Option<Mapping> {
    let MappingDraft { key, file, fields, rows, .. } = draft;
    let name = match fields.name.map_or_else(|| Name::new(key.as_str()), Ok) {
        Ok(name) => name,
        Err(error) => {
            let diagnostic = Diagnostic::from(Mistake::from(error))
                .at(Origin::mapping(file, key.as_str()))
                .label("a device is named by its key")
                .help("give it a `name` of its own");
            diagnostics.push(diagnostic);
            return None;
        }
    };
    Some(Mapping {
        name,
        uuid: fields.uuid.unwrap_or_else(|| Uuid::owned(owner, &key)),
        key,
        state: fields.state.into(),
        readonly: fields.readonly.unwrap_or_default(),
        protect: fields.protect,
        shared: fields.shared,
        renamed_from: fields.renamed_from,
        formerly: fields.formerly.iter().map(|key| Uuid::owned(owner, key)).collect(),
        adopt: fields.adopt,
        suspend: fields.suspend.into(),
        wait: fields.wait,
        boot: fields.boot.into_iter().collect(),
        rows,
        file,
    })
}

/// Replaces `/dev/mapper/NAME` with `@key` where that is a mapping of this map, in whichever file.
fn name_mappings(mappings: &mut Mappings) {
    let is_node = |device: &mut Device| matches!(&device.form, Form::Path(path) if path.starts_with(FOLDER));
    if !devices(mappings).any(is_node) {
        return;
    }
    let mut keys = HashMap::with_capacity(mappings.len());
    for (key, mapping) in &*mappings {
        let name = &mapping.name;
        keys.insert(name.kernel().to_string(), key.clone());
        keys.entry(name.plain().into_owned()).or_insert_with(|| key.clone());
    }
    for device in devices(mappings) {
        if let Form::Path(path) = &device.form
            && let Some(key) = path.strip_prefix(FOLDER).and_then(|name| keys.get(name))
        {
            *device = Device::mapping(key.clone());
        }
    }
}

/// Iterates over the lower devices of all mappings.
fn devices(mappings: &mut Mappings) -> impl Iterator<Item = &mut Device> {
    let rows = mappings.values_mut().flat_map(|mapping| &mut mapping.rows);
    rows.flat_map(|row| row.target.devices_mut())
}
