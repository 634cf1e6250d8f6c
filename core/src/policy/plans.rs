//! Plans: which limits hold for whom. A plan may inherit another's, with a scale.

use super::build::MAX_BUCKETS;
use super::draft::LimitDraft;
use super::fields::{check_plan, name, scale};
use super::limit::{LIMIT, limit};
use super::scale::Scale;
use super::source::{Part, Source, nearest, one_of, shown};
use super::table::{Field, Table};
use super::terms::Scope;
use crate::error::{Error, Result};

/// Most plans of a policy.
const MAX_PLANS: usize = 64;
const PLAN: &[&str] = &["limit", "inherits", "scale"];
/// In a plan a limit may also be taken away. Each of those that are left has a bucket.
const MAX_ITEMS: usize = 2 * MAX_BUCKETS;

/// Most plans that an error lists.
const MAX_SHOWN: usize = 8;

/// A plan as it was written.
pub(super) struct PlanDraft {
    pub(super) name: String,
    inherits: Option<Part<usize>>,
    scale: Option<Scale>,
    items: Vec<Item>,
}

enum Item {
    Limit(Box<LimitDraft>),
    /// The name of an inherited limit that does not hold here.
    Lifted(Part<String>),
}

/// A limit of a plan, its own or inherited, and the scales on its way.
#[derive(Clone)]
pub(super) struct Held<'d> {
    pub(super) draft: &'d LimitDraft,
    pub(super) scales: Vec<Scale>,
}

/// The fields of `plan`, their names checked.
pub(super) fn tables<'t>(top: &Table<'t>) -> Result<Vec<Field<'t>>> {
    let Some(field) = top.get("plan") else { return Ok(Vec::new()) };
    let table = Table::open_named(field.source, field.node, field.path, MAX_PLANS, "plans")?;
    table
        .fields()
        .map(|field| check_plan(field.source, field.name, &field.name_spot()).map(|()| field))
        .collect()
}

/// Reads each plan.
pub(super) fn read(tables: Vec<Field<'_>>, names: &[String]) -> Result<Vec<PlanDraft>> {
    tables.into_iter().map(|field| plan(field, names)).collect()
}

fn plan(field: Field<'_>, names: &[String]) -> Result<PlanDraft> {
    let table = Table::open(field.source, field.node, field.path, PLAN)?;
    let inherits = super::fields::part(&table, "inherits", |field| find(field, names))?;
    let scale = match (table.get("scale"), &inherits) {
        (Some(field), None) => {
            return field.fail(
                "a plan that inherits nothing has no `scale`",
                "write the amounts themselves, or `inherits = \"…\"`",
            );
        }
        (field, _) => field.map(|field| scale(&field)).transpose()?,
    };
    let mut items = Vec::new();
    if let Some(limits) = table.get("limit") {
        let example = "`[[plan.NAME.limit]]` (TOML) or `\"limit\": [{ … }]` (JSON)";
        for field in limits.items("a list of limits", example)? {
            if items.len() == MAX_ITEMS {
                let problem = format!("more than {MAX_ITEMS} limits in a plan");
                return field.fail(problem, format!("a request can meet {MAX_BUCKETS} buckets"));
            }
            items.push(item(field)?);
        }
    }
    Ok(PlanDraft { name: field.name.to_owned(), inherits, scale, items })
}

fn item(field: Field<'_>) -> Result<Item> {
    let known: Vec<&str> = LIMIT.iter().copied().chain(["unlimited"]).collect();
    let table = Table::open(field.source, field.node, field.path, &known)?;
    let Some(unlimited) = table.get("unlimited") else {
        // Its plan is the one it stands in.
        let (limit, _) = limit(&table, Scope { plans: &[], inside: true })?;
        return Ok(Item::Limit(Box::new(limit)));
    };
    if !unlimited.boolean()? {
        return unlimited.fail("`unlimited` can only be true", "remove it, or write `true`");
    }
    let others = |field: &Field<'_>| !["name", "unlimited"].contains(&field.name);
    if let Some(field) = table.fields().find(others) {
        let problem = format!("`{}` beside `unlimited`", field.name);
        return field.fail(problem, "remove one of the two: what is unlimited has a `name` alone");
    }
    let missing = || {
        let remedy = "write the `name` of the inherited limit that does not hold here";
        table.error("name", "the name is missing", remedy)
    };
    Ok(Item::Lifted(name(&table)?.ok_or_else(missing)?))
}

/// The plan that a field names.
pub(super) fn find(field: &Field<'_>, names: &[String]) -> Result<usize> {
    let name = field.text("\"starter\"")?.text;
    if let Some(index) = names.iter().position(|known| known == name) {
        return Ok(index);
    }
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let remedy = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "write plans: `[plan.NAME]`".to_owned(),
        None if known.len() > MAX_SHOWN => "write the name of one of its plans".to_owned(),
        None => format!("write {}", one_of(&known)),
    };
    field.fail(format!("{} is not a plan of this policy", shown(name)), remedy)
}

/// The limits of a plan: those that it inherits, each replaced by its own of the same name, then its others.
pub(super) fn resolve<'d>(
    source: Source<'_>,
    drafts: &'d [PlanDraft],
    index: usize,
) -> Result<Vec<Held<'d>>> {
    let mut line = vec![&drafts[index]];
    while let Some(inherits) = &line[line.len() - 1].inherits {
        let parent = &drafts[inherits.value];
        if line.iter().any(|plan| std::ptr::eq(*plan, parent)) {
            return Err(cycle(source, inherits, &line, parent));
        }
        line.push(parent);
    }
    let mut held = Vec::new();
    for plan in line.into_iter().rev() {
        held = extend(source, held, plan)?;
    }
    Ok(held)
}

/// What an heir has of what it inherits.
fn extend<'d>(
    source: Source<'_>,
    inherited: Vec<Held<'d>>,
    plan: &'d PlanDraft,
) -> Result<Vec<Held<'d>>> {
    let mut held: Vec<Option<Held<'d>>> = inherited.into_iter().map(Some).collect();
    for inherited in held.iter_mut().flatten() {
        inherited.scales.extend(plan.scale.clone());
    }
    let inherits = held.len();
    for item in &plan.items {
        let name = match item {
            Item::Limit(draft) => draft.name(),
            Item::Lifted(name) => &name.value,
        };
        let place = held[..inherits]
            .iter_mut()
            .find(|held| held.as_ref().is_some_and(|held| held.draft.name() == name));
        match (item, place) {
            (Item::Limit(draft), Some(place)) => *place = Some(Held { draft, scales: Vec::new() }),
            (Item::Limit(draft), None) => held.push(Some(Held { draft, scales: Vec::new() })),
            (Item::Lifted(_), Some(place)) => *place = None,
            (Item::Lifted(name), None) => {
                let problem =
                    format!("plan `{}` inherits no limit {}", plan.name, shown(&name.value));
                let remedy = "name a limit of the plan that it inherits; those outside of plans hold for all";
                return name.spot.error(source, problem, remedy);
            }
        }
    }
    Ok(held.into_iter().flatten().collect())
}

fn cycle(
    source: Source<'_>,
    inherits: &Part<usize>,
    line: &[&PlanDraft],
    parent: &PlanDraft,
) -> Error {
    let from = line.iter().position(|plan| std::ptr::eq(*plan, parent)).unwrap_or(0);
    let way: Vec<String> =
        line[from..].iter().chain([&parent]).map(|plan| format!("`{}`", plan.name)).collect();
    let problem = match &way[..] {
        [plan, _] => format!("plan {plan} inherits from itself"),
        [first, .., last, _] if way.len() > 5 => {
            format!("plans inherit in a circle, from {first} to {last} and back")
        }
        _ => format!("plans inherit in a circle: {}", way.join(" from ")),
    };
    let remedy = "remove one `inherits` of the circle";
    source.error(inherits.spot.at, inherits.spot.field.clone(), problem, remedy)
}
